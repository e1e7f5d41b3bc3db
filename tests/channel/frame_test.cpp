// Frames: whole, in pieces, empty, huge, and announced but never sent.
#include <streamkit/channel/frame.hpp>

#include <gtest/gtest.h>

namespace streamkit::channel {
namespace {

Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = std::byte(i * 31 >> 3);
  return out;
}

Bytes framed(ByteView body) {
  const auto header = frame_header(body.size());
  Bytes out(header.begin(), header.end());
  append(out, body);
  return out;
}

class FrameSizes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(FrameSizes, come_back_as_they_were_fed_in_single_bytes) {
  const Bytes body = pattern(GetParam());
  const Bytes wire = framed(body);
  FrameReader reader;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    std::size_t used = 0;
    Result<std::optional<Bytes>> frame = reader.take(ByteView(wire).subspan(i, 1), used);
    ASSERT_TRUE(frame);
    ASSERT_EQ(used, 1u);
    ASSERT_EQ(frame->has_value(), i + 1 == wire.size());
    ASSERT_EQ(reader.is_mid_frame(), i + 1 != wire.size());
    if (frame->has_value()) {
      EXPECT_EQ(**frame, body);
    }
  }
}

TEST_P(FrameSizes, come_back_as_they_were_fed_whole_and_cost_one_allocation) {
  const Bytes body = pattern(GetParam());
  FrameReader reader;
  std::size_t used = 0;
  Result<std::optional<Bytes>> frame = reader.take(framed(body), used);
  ASSERT_TRUE(frame);
  ASSERT_TRUE(frame->has_value());
  EXPECT_EQ(used, body.size() + 4);
  EXPECT_EQ(**frame, body);
  EXPECT_EQ((*frame)->capacity(), body.size());
}

INSTANTIATE_TEST_SUITE_P(Frame, FrameSizes,
                         ::testing::Values(0, 1, 4, 255, 32767, 32768, 32769, 1 << 20, 8 << 20));

TEST(Frame, takes_one_frame_at_a_time_and_says_how_much_it_used) {
  Bytes wire = framed(as_bytes("one"));
  append(wire, framed(as_bytes("two")));
  FrameReader reader;
  std::size_t used = 0;
  Result<std::optional<Bytes>> frame = reader.take(wire, used);
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ(as_text(**frame), "one");
  ASSERT_EQ(used, 7u);
  frame = reader.take(ByteView(wire).subspan(used), used);
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ(as_text(**frame), "two");
}

TEST(Frame, c3_refuses_a_claim_of_4_gib_before_any_memory_is_taken) {
  FrameReader reader;
  std::size_t used = 0;
  const Bytes claim(4, std::byte{0xff});
  Result<std::optional<Bytes>> frame = reader.take(claim, used);
  ASSERT_FALSE(frame);
  EXPECT_TRUE(frame.error().is(Errc::frame_too_large));
  frame = reader.take(as_bytes("more"), used);  // final
  ASSERT_FALSE(frame);
  EXPECT_TRUE(frame.error().is(Errc::frame_too_large));
}

TEST(Frame, takes_a_frame_of_exactly_max_frame_and_refuses_one_byte_more) {
  std::size_t used = 0;
  FrameReader exact(1000);
  Result<std::optional<Bytes>> frame = exact.take(framed(pattern(1000)), used);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(*frame);
  FrameReader over(1000);
  frame = over.take(framed(pattern(1001)), used);
  ASSERT_FALSE(frame);
  EXPECT_TRUE(frame.error().is(Errc::frame_too_large));
}

TEST(Frame, an_end_inside_the_length_is_mid_frame) {
  FrameReader reader;
  EXPECT_FALSE(reader.is_mid_frame());
  std::size_t used = 0;
  ASSERT_TRUE(reader.take(Bytes(3), used));
  EXPECT_TRUE(reader.is_mid_frame());
}

}  // namespace
}  // namespace streamkit::channel
