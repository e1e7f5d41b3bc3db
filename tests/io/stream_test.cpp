// The conformance suite of Stream: the same expectations of every kind there is.
#include "awaited.hpp"

#include <functional>
#include <sys/socket.h>
#include <vector>

namespace streamkit::io {
namespace {

struct Pair {
  std::unique_ptr<Stream> a, b;
};

struct Kind {
  std::string name;
  std::function<Pair(Context& a, Context& b, TemporaryFolder& folder)> make;
  bool resets = false;  // the system has such a thing
  bool same_context = false;
};

Pair connected(Context& a, Context& b, const Address& at) {
  Connected ends = connect_pair(a, b, at);
  return {std::move(ends.connecting), std::move(ends.accepted)};
}

Pair socket_pair(Context& a, Context& b) {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  return {stream_from_fd(a, fds[0]).value(), stream_from_fd(b, fds[1]).value()};
}

Pair crossed_pipes(Context& a, Context& b) {
  int there[2], back[2];
  EXPECT_EQ(::pipe(there), 0);
  EXPECT_EQ(::pipe(back), 0);
  return {stream_from_fds(a, back[0], there[1]).value(),
          stream_from_fds(b, there[0], back[1]).value()};
}

std::vector<Kind> kinds() {
  using F = TemporaryFolder;
  const auto memory = [](Context& a, Context& b, F&) {
    auto [first, second] = memory_stream_pair(a, b);
    return Pair{std::move(first), std::move(second)};
  };
  const auto tiny = [](Context& a, Context& b, F&) {
    auto [first, second] = memory_stream_pair(a, b, 100);
    return Pair{std::move(first), std::move(second)};
  };
  return {
      {"tcp", [](Context& a, Context& b, F&) { return connected(a, b, tcp("127.0.0.1")); }, true},
      {"tcp_dual_stack",
       [](Context& a, Context& b, F&) {
         Connected ends;
         Awaited<std::unique_ptr<Stream>> accepted;
         Awaited<Result<std::unique_ptr<Stream>>> connecting;
         auto listener =
             on(b, [&] {
               return Listener::listen(b, tcp(""), [accepted](std::unique_ptr<Stream> s) mutable {
                 accepted.set(std::move(s));
               });
             }).value();
         auto connect = on(a, [&] {
           return Connect::start(a, tcp("127.0.0.1", listener->address().port), kNever,
                                 [connecting](auto s) mutable { connecting.set(std::move(s)); });
         });
         Pair pair{std::move(*connecting.take()).value(), std::move(*accepted.take())};
         on(a, [&] { connect.reset(); });
         on(b, [&] { listener.reset(); });
         return pair;
       },
       true},
      {"unix_path",
       [](Context& a, Context& b, F& f) { return connected(a, b, unix_path(f / "socket")); }},
      {"socketpair", [](Context& a, Context& b, F&) { return socket_pair(a, b); }},
      {"pipes", [](Context& a, Context& b, F&) { return crossed_pipes(a, b); }},
      {"memory", memory, true},
      {"memory_on_one_context", memory, true, true},
      {"tiny_memory", tiny, true},
  };
}

// The bytes of a test transfer: each is known from its place.
std::byte byte_at(std::size_t place) {
  return static_cast<std::byte>((place * 2654435761u) >> 13);
}

// Writes `total` known bytes and then ends its direction.
class Sender {
 public:
  Sender(Stream& stream, std::size_t total) : stream_(stream), total_(total) {}
  void start() { step(); }
  Event done;
  std::size_t waits = 0;

 private:
  void step() {
    while (sent_ < total_) {
      chunk_ = chunk_ % 70000 + 1237;
      std::vector<std::byte> bytes(std::min(chunk_, total_ - sent_));
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(sent_ + i);
      const std::size_t half = bytes.size() / 2;
      const ByteView all(bytes), pieces[] = {all.first(half), ByteView(), all.subspan(half)};
      const auto n = stream_.write_some(pieces);
      if (!n) {
        ASSERT_TRUE(n.error().is(Errc::would_block)) << n.error().message();
        ++waits;
        return stream_.wait_writable([this] { step(); });
      }
      ASSERT_GT(*n, 0u);
      sent_ += *n;
    }
    EXPECT_TRUE(stream_.shutdown_write());
    done.set();
  }

  Stream& stream_;
  std::size_t total_, sent_ = 0, chunk_ = 1;
};

// Reads until the end or an error and compares.
class Receiver {
 public:
  explicit Receiver(Stream& stream) : stream_(stream) {}
  void start() { step(); }
  Awaited<Error> ended;
  std::size_t received = 0;
  bool equal = true;

 private:
  void step() {
    std::vector<std::byte> buffer(40000);
    for (;;) {
      const auto n = stream_.read_some(buffer);
      if (!n && n.error().is(Errc::would_block)) return stream_.wait_readable([this] { step(); });
      if (!n) return ended.set(n.error());
      for (std::size_t i = 0; i < *n; ++i) equal = equal && buffer[i] == byte_at(received + i);
      received += *n;
    }
  }

  Stream& stream_;
};

class StreamKind : public testing::TestWithParam<Kind> {
 protected:
  StreamKind() : context_b_(GetParam().same_context ? nullptr : std::make_unique<Context>()) {
    Pair pair = GetParam().make(a_context, b_context(), folder_);
    a = std::move(pair.a), b = std::move(pair.b);
  }
  ~StreamKind() override {
    on(a_context, [&] { a.reset(); });
    on(b_context(), [&] { b.reset(); });
  }
  Context& b_context() { return context_b_ ? *context_b_ : a_context; }

  template <class F>
  auto on_a(F f) {
    return on(a_context, f);
  }
  template <class F>
  auto on_b(F f) {
    return on(b_context(), f);
  }

  static Result<std::size_t> write(Stream& stream, std::string_view text) {
    const ByteView piece[] = {as_bytes(text)};
    return stream.write_some(piece);
  }
  // Waits until b has something to say and answers it: bytes as text, or the error.
  Result<std::string> next_of_b() {
    for (;;) {
      Event readable;
      std::vector<std::byte> buffer(1000);
      auto n = on_b([&] {
        auto got = b->read_some(buffer);
        if (!got && got.error().is(Errc::would_block)) b->wait_readable(readable.setter());
        return got;
      });
      if (n) return to_string(ByteView(buffer).first(*n));
      if (!n.error().is(Errc::would_block)) return n.error();
      readable.wait();
    }
  }
  // Writes until there is no room; answers how much went in.
  std::size_t fill_a() {
    const std::string block(8192, 'x');
    std::size_t sum = 0;
    for (;;) {
      const auto n = on_a([&] { return write(*a, block); });
      if (!n) {
        EXPECT_TRUE(n.error().is(Errc::would_block)) << n.error().message();
        return sum;
      }
      sum += *n;
    }
  }

  TemporaryFolder folder_;
  Context a_context;
  std::unique_ptr<Context> context_b_;
  std::unique_ptr<Stream> a, b;
};

INSTANTIATE_TEST_SUITE_P(Every, StreamKind, testing::ValuesIn(kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(StreamKind, carries_bytes_in_order) {
  on_a([&] {
    EXPECT_EQ(*write(*a, "first "), 6u);
    EXPECT_EQ(*write(*a, "second"), 6u);
  });
  std::string got;
  while (got.size() < 12) got += next_of_b().value();
  EXPECT_EQ(got, "first second");
}

TEST_P(StreamKind, gathers_the_pieces_of_a_write) {
  on_a([&] {
    const ByteView pieces[] = {as_bytes("one"), {}, as_bytes(","), as_bytes("two")};
    EXPECT_EQ(*a->write_some(pieces), 7u);
  });
  std::string got;
  while (got.size() < 7) got += next_of_b().value();
  EXPECT_EQ(got, "one,two");
}

TEST_P(StreamKind, writes_a_prefix_of_very_many_pieces) {
  const std::vector<ByteView> pieces(3000, as_bytes("z"));
  const std::size_t sent = on_a([&] { return a->write_some(pieces).value(); });
  EXPECT_GT(sent, 0u);
  EXPECT_LE(sent, 3000u);
  std::string got;
  while (got.size() < sent) got += next_of_b().value();
  EXPECT_EQ(got, std::string(sent, 'z'));
}

TEST_P(StreamKind, answers_zero_for_nothing_to_read_into_or_to_write) {
  on_a([&] {
    EXPECT_EQ(*a->read_some({}), 0u);
    EXPECT_EQ(*a->write_some({}), 0u);
    EXPECT_EQ(*write(*a, ""), 0u);
  });
}

TEST_P(StreamKind, would_block_when_there_is_nothing_to_read) {
  std::byte buffer[10];
  const auto n = on_b([&] { return b->read_some(buffer); });
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().is(Errc::would_block));
}

TEST_P(StreamKind, tells_when_it_becomes_readable_and_never_inside_the_call) {
  Event readable;
  on_b([&] {
    b->wait_readable([&, readable]() mutable {
      EXPECT_TRUE(b_context().is_current());
      readable.set();
    });
  });
  EXPECT_FALSE(readable.is_set());
  on_a([&] { EXPECT_TRUE(write(*a, "now")); });
  readable.wait();
  Event again;
  on_b([&] {  // still readable
    b->wait_readable(again.setter());
    EXPECT_FALSE(again.is_set());
  });
  again.wait();
  EXPECT_EQ(*next_of_b(), "now");
}

TEST_P(StreamKind, calls_only_the_last_of_two_waits) {
  Event readable;
  const auto token = std::make_shared<int>(0);
  on_b([&] {
    b->wait_readable([token] { ADD_FAILURE() << "the replaced wait was called"; });
    b->wait_readable(readable.setter());
    EXPECT_EQ(token.use_count(), 1);
  });
  on_a([&] { EXPECT_TRUE(write(*a, "x")); });
  readable.wait();
}

TEST_P(StreamKind, is_not_readable_when_what_woke_an_earlier_wait_is_gone) {
  for (int i = 0; i < 20; ++i) {
    on_b([&] { b->wait_readable([] {}); });
    on_a([&] { EXPECT_TRUE(write(*a, "x")); });
    EXPECT_EQ(*next_of_b(), "x");
    Event readable;
    on_b([&] { b->wait_readable(readable.setter()); });
    let_pass(b_context());
    EXPECT_FALSE(readable.is_set());
    on_a([&] { EXPECT_TRUE(write(*a, "y")); });
    readable.wait();
    EXPECT_EQ(*next_of_b(), "y");
  }
}

TEST_P(StreamKind, would_block_when_full_and_is_writable_after_a_drain) {
  std::size_t filled = 0;
  Event writable;
  // The system may move bytes on after a write has found no room, and then there is some again.
  for (bool full = false; !full;) {
    const std::size_t more = fill_a();
    ASSERT_TRUE(more > 0) << "writable for nothing";
    filled += more;
    writable = Event();
    on_a([&] { a->wait_writable(writable.setter()); });
    let_pass(a_context);
    full = !writable.is_set();
  }
  Receiver receiver(*b);
  on_b([&] { receiver.start(); });
  writable.wait();
  on_a([&] {
    EXPECT_TRUE(write(*a, "more"));
    EXPECT_TRUE(a->shutdown_write());
  });
  EXPECT_TRUE(receiver.ended.take()->is(Errc::eof));
  on_b([&] { EXPECT_EQ(receiver.received, filled + 4); });
}

TEST_P(StreamKind, is_writable_at_once_when_there_is_room) {
  Event writable;
  on_a([&] {
    a->wait_writable(writable.setter());
    EXPECT_FALSE(writable.is_set());
  });
  writable.wait();
}

TEST_P(StreamKind, moves_megabytes_both_ways_at_once) {
  const std::size_t total = GetParam().name == "tiny_memory" ? 50'000 : 8'000'000;
  Sender from_a(*a, total), from_b(*b, total);
  Receiver at_a(*a), at_b(*b);
  on_a([&] { from_a.start(), at_a.start(); });
  on_b([&] { from_b.start(), at_b.start(); });
  EXPECT_TRUE(at_b.ended.take()->is(Errc::eof));
  EXPECT_TRUE(at_a.ended.take()->is(Errc::eof));
  from_a.done.wait(), from_b.done.wait();
  on_a([&] {
    EXPECT_EQ(at_a.received, total);
    EXPECT_TRUE(at_a.equal);
  });
  on_b([&] {
    EXPECT_EQ(at_b.received, total);
    EXPECT_TRUE(at_b.equal);
  });
  EXPECT_GT(from_a.waits + from_b.waits, 0u) << "no write ever had to wait";
}

TEST_P(StreamKind, ends_one_direction_and_keeps_the_other) {
  on_a([&] {
    EXPECT_TRUE(write(*a, "last"));
    EXPECT_TRUE(a->shutdown_write());
    EXPECT_TRUE(write(*a, "!").error().is(Errc::closed));
    EXPECT_TRUE(a->shutdown_write().error().is(Errc::closed));
  });
  EXPECT_EQ(*next_of_b(), "last");
  EXPECT_TRUE(next_of_b().error().is(Errc::eof));
  EXPECT_TRUE(next_of_b().error().is(Errc::eof)) << "an end stays one";
  Receiver at_a(*a);
  const std::size_t total = GetParam().name == "tiny_memory" ? 10'000 : 300'000;
  Sender from_b(*b, total);
  on_a([&] { at_a.start(); });
  on_b([&] { from_b.start(); });
  EXPECT_TRUE(at_a.ended.take()->is(Errc::eof));
  on_a([&] {
    EXPECT_EQ(at_a.received, total);
    EXPECT_TRUE(at_a.equal);
  });
  from_b.done.wait();
}

TEST_P(StreamKind, wakes_a_reader_at_the_end_of_the_other_side) {
  Event readable;
  on_b([&] { b->wait_readable(readable.setter()); });
  on_a([&] { EXPECT_TRUE(a->shutdown_write()); });
  readable.wait();
  EXPECT_TRUE(next_of_b().error().is(Errc::eof));
}

TEST_P(StreamKind, wakes_a_reader_when_the_other_side_closes) {
  Event readable;
  on_b([&] { b->wait_readable(readable.setter()); });
  on_a([&] { a->close(); });
  readable.wait();
  EXPECT_TRUE(next_of_b().error().is(Errc::eof));
}

TEST_P(StreamKind, wakes_a_writer_when_the_other_side_closes) {
  fill_a();
  Event writable;
  on_a([&] { a->wait_writable(writable.setter()); });
  on_b([&] { b->close(); });
  writable.wait();
  const auto n = on_a([&] { return write(*a, "x"); });
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().code() == std::errc::broken_pipe ||
              n.error().code() == std::errc::connection_reset)
      << n.error().message();
}

TEST_P(StreamKind, wakes_nobody_when_it_is_closed) {
  fill_a();
  const auto token = std::make_shared<int>(0);
  on_a([&] {
    a->wait_readable([token] { ADD_FAILURE() << "woken to read"; });
    a->wait_writable([token] { ADD_FAILURE() << "woken to write"; });
    a->close();
    EXPECT_EQ(token.use_count(), 1);
    std::byte buffer[1];
    EXPECT_TRUE(a->read_some(buffer).error().is(Errc::closed));
    EXPECT_TRUE(write(*a, "x").error().is(Errc::closed));
    a->wait_readable([] { ADD_FAILURE() << "woken after close"; });
    a->wait_writable([] { ADD_FAILURE() << "woken after close"; });
    a->close();
  });
  Receiver at_b(*b);
  on_b([&] { at_b.start(); });
  at_b.ended.take();
  let_pass(a_context);
}

TEST_P(StreamKind, wakes_nobody_when_it_is_destroyed_though_it_was_ready) {
  on_b([&] { EXPECT_TRUE(write(*b, "x")); });
  on_a([&] {
    a->wait_readable([] { ADD_FAILURE() << "woken"; });
    a->wait_writable([] { ADD_FAILURE() << "woken"; });
    // The loop may have the readiness already, but not the Context.
    a.reset();
  });
  let_pass(a_context);
}

TEST_P(StreamKind, can_be_destroyed_in_its_own_task) {
  Event done;
  on_b([&] {
    b->wait_writable([] {});
    b->wait_readable([this, done]() mutable {
      b.reset();
      done.set();
    });
  });
  on_a([&] { EXPECT_TRUE(write(*a, "x")); });
  done.wait();
}

TEST_P(StreamKind, can_be_destroyed_by_the_tasks_that_it_drops) {
  std::weak_ptr<Stream> watched;
  on_b([&] {
    const std::shared_ptr<Stream> owner(std::move(b));
    watched = owner;
    owner->wait_readable([owner] { ADD_FAILURE() << "woken"; });  // from here on its only owner
  });
  ASSERT_FALSE(watched.expired());
  on_b([&] {
    Stream* const stream = watched.lock().get();
    stream->close();
    EXPECT_TRUE(watched.expired());
  });
}

TEST_P(StreamKind, shows_a_reset_to_the_other_side_or_else_an_end) {
  on_a([&] {
    EXPECT_TRUE(write(*a, "discarded"));
    a->close(true);
  });
  Receiver at_b(*b);
  on_b([&] { at_b.start(); });
  const Error seen = at_b.ended.take().value();
  if (GetParam().resets)
    EXPECT_EQ(seen.code(), std::make_error_code(std::errc::connection_reset));
  else  // the system has no reset for this kind
    EXPECT_TRUE(seen.is(Errc::eof));
}

TEST_P(StreamKind, has_addresses_that_stay_when_it_is_closed) {
  on_a([&] {
    const Address local = a->local_address(), remote = a->remote_address();
    EXPECT_TRUE(local.is_loopback());
    EXPECT_TRUE(remote.is_loopback());
    a->close();
    EXPECT_EQ(a->local_address().text(), local.text());
    EXPECT_EQ(a->remote_address().text(), remote.text());
  });
}

}  // namespace
}  // namespace streamkit::io
