// What goes before what, on one link.
#include "support/peer_pair.hpp"

namespace streamkit::testing {
namespace {

constexpr std::size_t kSmall = 64, kLarge = 16 * 1024;

// The answering side: each small message is answered, and it is noted how much of the large ones
// could be read by then.
struct Answering : std::enable_shared_from_this<Answering> {
  Channel small, large;
  Bytes buffer = Bytes(kSmall);
  Awaited<std::size_t> readable_then, large_arrived;

  std::size_t readable() {
    const Result<ByteView> there = large.peek();
    return there ? there->size() : 0;
  }
  void answer() {
    small.async_read(buffer, [self = shared_from_this()](Result<std::size_t> n) {
      if (!n) return;
      self->readable_then.put(self->readable());
      self->small.async_write(ByteView(self->buffer).first(*n), [self](Result<void> r) {
        if (r) self->answer();
      });
    });
  }
  bool arrives(std::size_t size) {
    while (size > 0) {
      const std::optional<std::size_t> n = large_arrived.next();
      if (!n || *n > size) return false;
      size -= *n;
    }
    return true;
  }
  void watch() {
    large.on_readable([self = shared_from_this()] {
      const std::size_t n = self->readable();
      if (n == 0) return;  // it has ended
      self->large.consume(n);
      self->large_arrived.put(n);
      self->watch();
    });
  }
};

TEST(Turns, a_small_message_is_answered_before_a_large_one_behind_it_is_opened) {
  PeerPair pair("unix");
  auto answering = std::make_shared<Answering>();
  const Awaited<int> accepted;
  for (auto& [service, channel] :
       {std::pair("small", &answering->small), {"large", &answering->large}})
    pair.a->on_open(service, [answering, accepted, channel = channel](Incoming incoming) {
      if (Result<Channel> taken = incoming.accept()) *channel = std::move(*taken);
      accepted.put(0);
    });
  OpenOptions urgent;
  urgent.priority = 10;
  Result<Channel> small = pair.b->open("a", "small", urgent, kPatience);
  Result<Channel> large = pair.b->open("a", "large", {}, kPatience);
  SK_ASSERT_OK(small);
  SK_ASSERT_OK(large);
  ASSERT_TRUE(accepted.next() && accepted.next());
  {
    const io::Context::Lock lock(pair.a->context());
    answering->answer();
    answering->watch();
  }
  const Bytes ping(kSmall), bulk(kLarge), more(2 * kLarge);
  // The room to read to grows with what comes, so that the next ones are read at once.
  SK_ASSERT_OK(large->write(more, kPatience));
  ASSERT_TRUE(answering->arrives(more.size()));

  // What a completion writes leaves together.
  const Awaited<int> written;
  large->async_write(bulk, [&, written](Result<void>) {
    small->async_write(ping, [](Result<void>) {});
    large->async_write(bulk, [written](Result<void>) { written.put(0); });
  });
  ASSERT_TRUE(written.next());
  EXPECT_EQ(answering->readable_then.next(), 0u);
  Bytes pong(kSmall);
  SK_EXPECT_OK(small->read(pong, kPatience));
  EXPECT_TRUE(answering->arrives(2 * kLarge));
  (void)small->close();
  (void)large->close();
}

}  // namespace
}  // namespace streamkit::testing
