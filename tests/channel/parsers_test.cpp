// Every parser against a hundred thousand random buffers, and against mutations of good messages:
// no crash, no violation that is not an error, memory bounded.
#include <streamkit/channel/frame.hpp>

#include <random>
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

constexpr int kBuffers = 100'000;

Bytes random_bytes(std::mt19937_64& random, std::size_t most) {
  Bytes out(random() % (most + 1));
  for (std::byte& b : out) b = std::byte(random());
  // Lengths and counts that are absurd, or off by one, are where parsers break.
  static constexpr std::uint32_t kSpecial[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
  if (out.size() >= 4 && random() % 2 == 0) {
    wire::store_u32(&out[random() % (out.size() - 3)],
                    random() % 2 == 0 ? kSpecial[random() % 5]
                                      : static_cast<std::uint32_t>(out.size() - random() % 8));
  }
  return out;
}

TEST(Parsers, c3_of_metadata_take_random_buffers) {
  std::mt19937_64 random(1);
  int decoded = 0;
  for (int i = 0; i < kBuffers; ++i) {
    Bytes in = random_bytes(random, 64);
    if (!in.empty()) in[0] = std::byte{1};
    if (const Result<OpenInfo> info = OpenInfo::decode(in)) {
      EXPECT_EQ(*info->encode(), in);
    }
    if (const Result<Status> status = decode_status(in)) ++decoded;
    static_cast<void>(Hello::decode(in));
  }
  EXPECT_LT(decoded, kBuffers);
}

TEST(Parsers, c3_of_frames_take_random_buffers) {
  std::mt19937_64 random(2);
  for (int i = 0; i < kBuffers; ++i) {
    FrameReader reader(1000);
    const Bytes in = random_bytes(random, 64);
    ByteView rest = in;
    while (!rest.empty()) {
      std::size_t used = 0;
      const Result<std::optional<Bytes>> frame = reader.take(rest, used);
      if (!frame) break;
      ASSERT_GT(used, 0u);
      ASSERT_LE(used, rest.size());
      rest = rest.subspan(used);
      if (!frame->has_value()) {
        ASSERT_TRUE(rest.empty());
      }
    }
  }
}

TEST(Parsers, c3_of_messages_take_random_payloads) {
  std::mt19937_64 random(3);
  for (int i = 0; i < kBuffers; ++i) {
    Raw raw;
    ASSERT_TRUE(raw.feed(Msg(90).str("session").u32(5).u32(1000).u32(1000)));
    ASSERT_TRUE(raw.side.mux.confirm_raw(ChannelId{0}, {}, raw.now));
    for (int n = 0; n < 4; ++n) {
      Bytes in = random_bytes(random, 64);
      if (in.size() >= 5) {
        in[0] = std::byte(80 + random() % 24);
        if (random() % 8 != 0) wire::store_u32(&in[1], 0);
      }
      const Result<void> done = raw.feed(in);
      if (!done) {
        ASSERT_TRUE(done.error().is(Errc::protocol));
        break;
      }
    }
  }
}

TEST(Parsers, c3_of_messages_take_good_ones_with_a_few_bytes_changed) {
  std::mt19937_64 random(4);
  OpenInfo info{.service = "s", .headers = {{"k", "v"}}};
  info.first = to_bytes("first");
  const std::vector<Bytes> good = {
      to_bytes(Msg(80).str("hello@streamkit").u8(1).str("x")),
      to_bytes(Msg(90).str(kChannelType).u32(6).u32(1000).u32(1000).raw(*info.encode())),
      to_bytes(Msg(94).u32(0).str("data")),
      to_bytes(Msg(95).u32(0).u32(1).str("data")),
      to_bytes(Msg(98).u32(0).str("trailers@streamkit").u8(1).u32(1).str("k").str("v")),
      to_bytes(Msg(98).u32(0).str("close@streamkit").u8(1).u32(3).str("r").str("m")),
      to_bytes(Msg(98).u32(0).str("reset@streamkit").u8(1).u32(3).str("m")),
      to_bytes(Msg(98).u32(0).str("exit-signal").u8(1).str("KILL").u8(0).str("m").str(""))};
  const Bytes open =
      to_bytes(Msg(90).str(kChannelType).u32(5).u32(1000).u32(1000).raw(*info.encode()));
  for (int i = 0; i < kBuffers; ++i) {
    Raw raw;
    ASSERT_TRUE(raw.feed(open));
    ASSERT_TRUE(raw.side.mux.confirm(ChannelId{0}, {}, raw.now));
    for (int n = 0; n < 3; ++n) {
      Bytes in = good[random() % good.size()];
      for (std::uint64_t k = random() % 4; k > 0; --k)
        in[random() % in.size()] = std::byte(random());
      if (random() % 8 == 0) in.resize(random() % in.size());
      const Result<void> done = raw.feed(in);
      if (!done) {
        ASSERT_TRUE(done.error().is(Errc::protocol));
        break;
      }
    }
    raw.side.mux.link_lost(Errc::connection_lost);
  }
}

}  // namespace
}  // namespace streamkit::channel::test
