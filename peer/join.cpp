// Join: a channel and a socket (or another channel) moved into each other, with half-close kept in both
// directions; and the channel dressed as an io::Stream, which is what makes both sides alike.
#include "channel_state.hpp"
#include "waiter.hpp"

#include <streamkit/io/stream.hpp>

#include <array>
#include <cstring>

namespace streamkit {
namespace {

class ChannelStream final : public io::Stream {
 public:
  explicit ChannelStream(Channel channel, std::shared_ptr<ChannelState> state)
      : channel_(std::move(channel)), state_(std::move(state)) {}
  ~ChannelStream() override { close(false); }

  Result<std::size_t> read_some(MutableByteView out) override {
    if (!state_) return Errc::closed;
    const Result<std::size_t> n = state_->try_read(channel::Lane::data, out);
    state_->connection()->kick();
    if (!n && n.error().is(Errc::eof)) {
      if (std::optional<Error> why = state_->failure()) return *why;
    }
    return n;
  }

  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    if (!state_) return Errc::closed;
    std::size_t total = 0;
    for (const ByteView piece : pieces) {
      if (piece.empty()) continue;
      const Result<std::size_t> n = state_->try_write(channel::Lane::data, piece);
      if (!n) {
        if (total > 0) break;
        return n.error();
      }
      total += *n;
      if (*n < piece.size()) break;
    }
    state_->connection()->kick();
    return total;
  }

  void wait_readable(Task task) override {
    if (state_) state_->on_readable(std::move(task));
  }
  void wait_writable(Task task) override {
    if (state_) state_->on_writable(std::move(task));
  }

  Result<void> shutdown_write() override {
    if (!state_) return Errc::closed;
    Result<void> r = state_->close_write();
    state_->connection()->kick();
    return r;
  }

  void close(bool reset) override {
    const std::shared_ptr<ChannelState> state = std::exchange(state_, nullptr);
    if (!state) return;
    state->on_readable({});
    state->on_writable({});
    if (reset) {
      state->reset(Code::aborted, "the joined socket was reset");
    } else {
      (void)state->close({}, {});
    }
    state->connection()->kick();
    channel_ = Channel();
  }

  io::Address local_address() const override { return {}; }
  io::Address remote_address() const override {
    io::Address a;
    if (state_) a.host = state_->info.remote->address;
    return a;
  }

 private:
  Channel channel_;
  std::shared_ptr<ChannelState> state_;
};

// Two streams on one Context, each copied into the other until both directions have ended.
class Splice final : public std::enable_shared_from_this<Splice> {
 public:
  Splice(std::unique_ptr<io::Stream> a, std::unique_ptr<io::Stream> b, Completion<JoinStats> done)
      : a_(std::move(a)), b_(std::move(b)), done_(std::move(done)) {}

  void start() {
    self_ = shared_from_this();
    pump(to_b_);
    pump(to_a_);
  }

  void cut(const Error& why) { finish(why); }

 private:
  static constexpr std::size_t kBuffer = 64 * 1024;
  static constexpr int kTurns = 16;  // reads in a row before the loop's other work gets its turn

  struct Direction {
    bool is_to_b;
    Bytes buffer;
    std::size_t begin = 0, end = 0;
    bool ended = false;   // the source has
    bool closed = false;  // and the sink was told
    std::uint64_t bytes = 0;
  };

  void pump(Direction& d) {
    const std::shared_ptr<Splice> hold = shared_from_this();
    io::Stream* const from = d.is_to_b ? a_.get() : b_.get();
    io::Stream* const to = d.is_to_b ? b_.get() : a_.get();
    for (int turn = 0; done_ && !d.closed; ++turn) {
      if (d.begin < d.end) {
        const std::array<ByteView, 1> pieces = {ByteView(d.buffer).subspan(d.begin, d.end - d.begin)};
        const Result<std::size_t> n = to->write_some(pieces);
        if (n) {
          d.begin += *n;
          d.bytes += *n;
          continue;
        }
        if (!n.error().is(Errc::would_block)) return sink_failed(d, n.error());
        return to->wait_writable([weak = weak_from_this(), &d] {
          if (const auto self = weak.lock()) self->pump(d);
        });
      }
      if (d.ended) {
        d.closed = true;
        d.buffer = {};
        (void)to->shutdown_write();  // a sink that is gone needs no telling
        return check_end();
      }
      if (d.buffer.empty()) d.buffer.resize(kBuffer);
      Result<std::size_t> n = turn < kTurns ? from->read_some(d.buffer) : Result<std::size_t>(Errc::would_block);
      if (n) {
        d.begin = 0;
        d.end = *n;
      } else if (n.error().is(Errc::eof)) {
        d.ended = true;
      } else if (n.error().is(Errc::would_block)) {
        if (turn < kTurns) d.buffer = {};  // an idle direction keeps no memory
        return from->wait_readable([weak = weak_from_this(), &d] {
          if (const auto self = weak.lock()) self->pump(d);
        });
      } else {
        return finish(n.error());
      }
    }
  }

  // The sink takes no more; what the other direction still carries goes on.
  void sink_failed(Direction& d, const Error& why) {
    const Direction& other = d.is_to_b ? to_a_ : to_b_;
    if (other.ended || why.is(Errc::closed)) {
      d.ended = d.closed = true;
      d.begin = d.end = 0;
      return check_end();
    }
    finish(why);
  }

  void check_end() {
    if (to_a_.closed && to_b_.closed) finish(std::nullopt);
  }

  void finish(const std::optional<Error>& error) {
    if (!done_) return;
    Completion<JoinStats> done = std::exchange(done_, {});
    a_->close(error.has_value());
    b_->close(error.has_value());
    // `a` is the channel: what it read went to b.
    const JoinStats stats{to_b_.bytes, to_a_.bytes};
    done(error ? Result<JoinStats>(*error) : Result<JoinStats>(stats));
    self_.reset();
  }

  std::unique_ptr<io::Stream> a_, b_;
  Completion<JoinStats> done_;
  Direction to_b_{true, {}}, to_a_{false, {}};
  std::shared_ptr<Splice> self_;
};

std::shared_ptr<Splice> start_splice(io::Context& context, std::unique_ptr<io::Stream> a, std::unique_ptr<io::Stream> b,
                                     Completion<JoinStats> done) {
  auto splice = std::make_shared<Splice>(std::move(a), std::move(b), std::move(done));
  context.post([splice] { splice->start(); });
  return splice;
}

Result<JoinStats> wait_splice(io::Context& context, const Until& until, Waiter<JoinStats>& waiter,
                              const std::shared_ptr<Splice>& splice) {
  return waiter.wait(until, [&] {
    const io::Context::Lock lock(context);
    splice->cut(Errc::timeout);
  });
}

}  // namespace

std::unique_ptr<io::Stream> Channel::into_stream(Channel channel) {
  std::shared_ptr<ChannelState> state = channel.state_;
  return std::make_unique<ChannelStream>(std::move(channel), std::move(state));
}

Result<JoinStats> Channel::join(int fd, Until until) {
  if (!state_) return Error(Errc::usage, "an empty Channel");
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  const std::shared_ptr<io::Context> context = state_->connection()->context();
  Waiter<JoinStats> waiter(*context);
  std::shared_ptr<Splice> splice;
  {
    const io::Context::Lock lock(*context);
    Result<std::unique_ptr<io::Stream>> stream = io::stream_from_fd(*context, fd);
    if (!stream) return stream.error();
    splice = start_splice(*context, into_stream(std::move(*this)), std::move(*stream), waiter.completion());
  }
  return wait_splice(*context, until, waiter, splice);
}

void Channel::async_join(std::unique_ptr<io::Stream> stream, Completion<JoinStats> done) {
  io::Context& context = state_->context();
  const io::Context::Lock lock(context);
  start_splice(context, into_stream(std::move(*this)), std::move(stream), std::move(done));
}

Result<JoinStats> Channel::join(Channel other, Until until) {
  if (!state_ || !other.state_) return Error(Errc::usage, "an empty Channel");
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  const std::shared_ptr<io::Context> context = state_->connection()->context();
  const std::shared_ptr<io::Context> others = other.state_->connection()->context();
  Waiter<JoinStats> waiter(*context);
  std::shared_ptr<Splice> splice;
  std::unique_ptr<io::Stream> other_side;
  if (context == others) {
    other_side = into_stream(std::move(other));
  } else {  // a bounded pipe between the two loops
    auto [here, there] = io::memory_stream_pair(*context, *others);
    const io::Context::Lock lock(*others);
    start_splice(*others, into_stream(std::move(other)), std::move(there), [others](Result<JoinStats>) {});
    other_side = std::move(here);
  }
  {
    const io::Context::Lock lock(*context);
    splice = start_splice(*context, into_stream(std::move(*this)), std::move(other_side), waiter.completion());
  }
  return wait_splice(*context, until, waiter, splice);
}

}  // namespace streamkit
