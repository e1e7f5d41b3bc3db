// Join: a channel and a socket (or another channel) moved into each other, with half-close kept in both
// directions; and the channel dressed as an io::Stream, which is what makes both sides alike.
#include "channel_state.hpp"
#include "waiter.hpp"

#include <streamkit/io/stream.hpp>

#include <array>

namespace streamkit {
namespace {

class ChannelStream final : public io::Stream {
 public:
  /// Takes a handle's place.
  explicit ChannelStream(std::shared_ptr<ChannelState> state) : state_(std::move(state)) {}
  ~ChannelStream() override { close(false); }

  Result<std::size_t> read_some(MutableByteView out) override {
    if (!state_) return Errc::closed;
    const Result<std::size_t> n = state_->try_read(channel::Lane::data, out);
    if (!n) return read_error(n.error());
    state_->connection()->kick_soon();
    return n;
  }

  Connection& connection() const { return *state_->connection(); }

  /// What can be read, as far as it lies together; valid until consume().
  Result<ByteView> peek() {
    if (!state_) return Errc::closed;
    const Result<ByteView> have = state_->peek();
    if (!have) return read_error(have.error());
    return have;
  }

  void consume(std::size_t n) {
    state_->consume(n);
    state_->connection()->kick_soon();
  }

  /// What several streams write in one turn of the loop leaves together.
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    if (!state_) return Errc::closed;
    std::size_t total = 0;
    bool fits = true;
    for (const ByteView piece : pieces) {
      if (piece.empty()) continue;
      const Result<std::size_t> n = state_->try_write(channel::Lane::data, piece);
      if (!n && total == 0) return n.error();
      if (n) total += *n;
      fits = n && *n == piece.size();
      if (!fits) break;
    }
    if (fits && total < kGather) {
      state_->connection()->kick_soon();
    } else {
      state_->connection()->kick();
    }
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
    state_->connection()->kick_soon();
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
    state->drop();
    state->connection()->kick_soon();
  }

  io::Address local_address() const override { return {}; }
  io::Address remote_address() const override {
    io::Address a;
    if (state_) a.host = state_->info.remote->address;
    return a;
  }

 private:
  static constexpr std::size_t kGather = 16 * 1024;  // so much need not wait for company

  // An end without an error may still be the other side's failure.
  Error read_error(const Error& error) const {
    if (error.is(Errc::eof))
      if (std::optional<Error> why = state_->failure()) return *why;
    return error;
  }

  std::shared_ptr<ChannelState> state_;
};

// A channel and a stream on one Context, each copied into the other until both directions have ended.
class Splice final : public std::enable_shared_from_this<Splice> {
 public:
  Splice(std::unique_ptr<ChannelStream> channel, std::unique_ptr<io::Stream> stream, Completion<JoinStats> done)
      : channel_(std::move(channel)), stream_(std::move(stream)), done_(std::move(done)) {}

  void start() {
    if (!done_) return;  // cut before it began
    self_ = shared_from_this();
    pump_out();
    pump_in();
  }

  void cut(const Error& why) { finish(why); }

 private:
  static constexpr std::size_t kRead = 64 * 1024;
  static constexpr int kTurns = 16;  // reads in a row before the loop's other work gets its turn

  struct Direction {
    bool ended = false;   // the source has
    bool closed = false;  // and the sink was told
    std::uint64_t bytes = 0;
  };

  // Channel to stream: written from where it was received.
  void pump_out() {
    const std::shared_ptr<Splice> hold = shared_from_this();
    for (int turn = 0; done_ && !out_.closed; ++turn) {
      const Result<ByteView> have = turn < kTurns ? channel_->peek() : Result<ByteView>(Errc::would_block);
      if (!have && have.error().is(Errc::would_block)) return wait(*channel_, &io::Stream::wait_readable, &Splice::pump_out);
      if (!have) return source_ended(out_, *stream_, have.error());
      const std::array<ByteView, 1> pieces = {*have};
      const Result<std::size_t> n = stream_->write_some(pieces);
      if (!n && n.error().is(Errc::would_block)) return wait(*stream_, &io::Stream::wait_writable, &Splice::pump_out);
      if (!n) return sink_failed(out_, in_, n.error());
      channel_->consume(*n);
      out_.bytes += *n;
    }
  }

  // Stream to channel: what the channel does not take at once waits in rest_.
  void pump_in() {
    const std::shared_ptr<Splice> hold = shared_from_this();
    std::array<std::byte, kRead> buffer;
    bool drained = false;  // a read that does not fill its room took all there was
    for (int turn = 0; done_ && !in_.closed; ++turn) {
      if (rest_begin_ < rest_.size()) {
        const Result<std::size_t> n = write_in(ByteView(rest_).subspan(rest_begin_));
        if (!n) return sink_failed(in_, out_, n.error());
        if (*n == 0) return wait(*channel_, &io::Stream::wait_writable, &Splice::pump_in);
        rest_begin_ += *n;
        continue;
      }
      const Result<std::size_t> got =
          drained || turn >= kTurns ? Result<std::size_t>(Errc::would_block) : stream_->read_some(buffer);
      if (!got && got.error().is(Errc::would_block)) {
        Bytes().swap(rest_);  // an idle direction keeps no memory
        rest_begin_ = 0;
        return wait(*stream_, &io::Stream::wait_readable, &Splice::pump_in);
      }
      if (!got) return source_ended(in_, *channel_, got.error());
      drained = *got < buffer.size();
      const Result<std::size_t> n = write_in(ByteView(buffer).first(*got));
      if (!n) return sink_failed(in_, out_, n.error());
      const ByteView rest = ByteView(buffer).subspan(*n, *got - *n);
      rest_.assign(rest.begin(), rest.end());
      rest_begin_ = 0;
    }
  }

  // 0: it takes nothing now.
  Result<std::size_t> write_in(ByteView bytes) {
    const std::array<ByteView, 1> pieces = {bytes};
    const Result<std::size_t> n = channel_->write_some(pieces);
    if (!n && n.error().is(Errc::would_block)) return std::size_t{0};
    if (n) in_.bytes += *n;
    return n;
  }

  void wait(io::Stream& stream, void (io::Stream::*until)(Task), void (Splice::*then)()) {
    (stream.*until)([weak = weak_from_this(), then] {
      if (const auto self = weak.lock()) (self.get()->*then)();
    });
  }

  void source_ended(Direction& d, io::Stream& sink, const Error& why) {
    if (!why.is(Errc::eof)) return finish(why);
    d.ended = d.closed = true;
    if (out_.closed && in_.closed) return finish(std::nullopt);  // which tells the sink
    (void)sink.shutdown_write();  // a sink that is gone needs no telling
  }

  // The sink takes no more; what the other direction still carries goes on.
  void sink_failed(Direction& d, const Direction& other, const Error& why) {
    if (!other.ended && !why.is(Errc::closed)) return finish(why);
    d.ended = d.closed = true;
    if (out_.closed && in_.closed) finish(std::nullopt);
  }

  void finish(const std::optional<Error>& error) {
    if (!done_) return;
    Completion<JoinStats> done = std::exchange(done_, {});
    channel_->close(error.has_value());
    stream_->close(error.has_value());
    const JoinStats stats{out_.bytes, in_.bytes};
    done(error ? Result<JoinStats>(*error) : Result<JoinStats>(stats));
    self_.reset();
  }

  std::unique_ptr<ChannelStream> channel_;
  std::unique_ptr<io::Stream> stream_;
  Completion<JoinStats> done_;
  Direction out_, in_;  // out of the channel, and into it
  Bytes rest_;
  std::size_t rest_begin_ = 0;
  std::shared_ptr<Splice> self_;
};

std::shared_ptr<Splice> start_splice(std::unique_ptr<ChannelStream> channel, std::unique_ptr<io::Stream> stream,
                                     Completion<JoinStats> done) {
  Connection& connection = channel->connection();
  auto splice = std::make_shared<Splice>(std::move(channel), std::move(stream), std::move(done));
  connection.complete([splice] { splice->start(); });
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
  return std::make_unique<ChannelStream>(std::move(channel.state_));
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
    splice = start_splice(std::make_unique<ChannelStream>(std::move(state_)), std::move(*stream), waiter.completion());
  }
  return wait_splice(*context, until, waiter, splice);
}

void Channel::async_join(std::unique_ptr<io::Stream> stream, Completion<JoinStats> done) {
  const io::Context::Lock lock(state_->context());
  start_splice(std::make_unique<ChannelStream>(std::move(state_)), std::move(stream), std::move(done));
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
    other_side = std::make_unique<ChannelStream>(std::move(other.state_));
  } else {  // a bounded pipe between the two loops
    auto [here, there] = io::memory_stream_pair(*context, *others);
    const io::Context::Lock lock(*others);
    start_splice(std::make_unique<ChannelStream>(std::move(other.state_)), std::move(there), [others](Result<JoinStats>) {});
    other_side = std::move(here);
  }
  {
    const io::Context::Lock lock(*context);
    splice = start_splice(std::make_unique<ChannelStream>(std::move(state_)), std::move(other_side), waiter.completion());
  }
  return wait_splice(*context, until, waiter, splice);
}

}  // namespace streamkit
