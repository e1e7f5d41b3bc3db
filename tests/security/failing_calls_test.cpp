// Two peers over a socket on which one read or write goes wrong: whichever it is, everything ends
// in time, with the right bytes or with an error.
#include "faulty_calls.hpp"
#include "support/peer_pair.hpp"

namespace streamkit::testing {
namespace {

constexpr std::size_t kSize = 200'000;

/// What an echo over a link of its own gave. Never other bytes.
bool echo(const TemporaryFolder& folder, const crypto::PrivateKey& key_a,
          const crypto::PrivateKey& key_b) {
  PeerOptions to_serve = options_for("a", key_a, key_b.public_key());
  PeerOptions to_ask = options_for("b", key_b, key_a.public_key());
  to_ask.reconnect.on = false;
  Peer a = Peer::make(to_serve).value();
  Awaited<Result<void>> served;
  a.on_open("echo", [=](Incoming incoming) {
    Result<Channel> accepted = incoming.accept();
    if (!accepted) return served.put(accepted.error());
    const auto channel = std::make_shared<Channel>(std::move(*accepted));
    channel->async_read_frame([=](Result<Bytes> got) {
      if (!got) return served.put(got.error());
      channel->async_write_frame(std::move(*got), [=](Result<void> done) {
        served.put(std::move(done));
        channel->async_wait_closed([=](Result<Closed>) { static_cast<void>(channel); });
      });
    });
  });
  Peer b = Peer::make(to_ask).value();
  const Endpoint endpoint = a.bind(fresh_endpoint("unix", folder)).value();
  if (!b.connect(endpoint, kPatience)) return false;
  Result<Channel> channel = b.open("a", "echo", {}, kPatience);
  const Bytes sent = pattern_bytes(kSize);
  if (!channel || !channel->write_frame(sent, kPatience)) return false;
  const Result<Bytes> got = channel->read_frame(kPatience);
  if (got) {
    EXPECT_EQ(*got, sent);
  }
  return got.has_value() && channel->close().has_value();
}

TEST(FailingCalls, any_read_or_write_may_go_wrong_and_everything_ends) {
  const TemporaryFolder folder;
  const crypto::PrivateKey key_a = new_key(), key_b = new_key();
  for (const calls::Fault fault : {calls::Fault::reset, calls::Fault::interrupted,
                                   calls::Fault::would_block, calls::Fault::one_byte}) {
    int failed = 0;
    for (int n = 1; n < 1000; ++n) {
      calls::fail(n, fault);
      const bool whole = echo(folder, key_a, key_b);
      const bool was_reached = calls::has_failed();
      calls::fail(0, fault);
      if (fault != calls::Fault::reset) {
        EXPECT_TRUE(whole) << "call " << n;
      }
      failed += whole ? 0 : 1;
      if (!was_reached) break;
    }
    if (fault == calls::Fault::reset) {
      EXPECT_GT(failed, 5);
    }
  }
}

}  // namespace
}  // namespace streamkit::testing
