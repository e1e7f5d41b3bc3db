// Channel and Incoming: handles. They take the Context's Lock, do what can be done at once inline, and
// wait for the rest.
#include "channel_state.hpp"
#include "deadline.hpp"
#include "inproc.hpp"
#include "waiter.hpp"

#include <streamkit/io/stream.hpp>

namespace streamkit {
namespace {

using Lane = channel::Lane;

const ChannelInfo kNoInfo{.service = {}, .headers = {}, .remote = std::make_shared<const PeerInfo>(), .type = {}};
const Headers kNoHeaders;

// Runs `task` on the state's Context: inline where that is safe, else soon.
template <class F>
void on_context(const std::shared_ptr<ChannelState>& state, F task) {
  io::Context& context = state->context();
  if (!context.is_current() && io::Context::is_any_current()) {
    context.post([state, task = std::move(task)]() mutable {
      task(*state);
      state->connection()->kick();
    });
    return;
  }
  const std::shared_ptr<io::Context> keep = state->connection()->context();
  const io::Context::Lock lock(context);
  task(*state);
  state->connection()->kick();
}

// The blocking form of an operation that `start` begins and that has a number.
template <class T, class Start>
Result<T> wait_for(const std::shared_ptr<ChannelState>& state, const Until& until, Start start) {
  Waiter<T> waiter(state->context());
  std::uint64_t number = 0;
  {
    io::Context::Lock lock(state->context());
    number = start(*state, waiter.completion());
    state->connection()->work();
    lock.leave_to_wait();
  }
  if (waiter.is_settled()) state->context().pass_by();
  return waiter.wait(until, [&] {
    const io::Context::Lock lock(state->context());
    state->withdraw(number);
    state->connection()->kick();
  });
}

// A write that `queue` can take goes there, without an operation of its own; nothing when it has to wait.
template <class Queue>
std::optional<Result<void>> write_small(ChannelState& state, std::size_t size, Queue queue) {
  bool driven = false;
  {
    const io::Context::Lock lock(state.context());
    Result<bool> queued = queue(state);
    if (queued && !*queued && state.connection()->make_room()) queued = queue(state);
    if (!queued) return queued.error();
    if (!*queued) return std::nullopt;
    driven = state.connection()->kick_later(size);
  }
  if (driven) state.context().pass_by();
  return Result<void>();
}

// What is there already; would_block when that is nothing.
template <class Read>
auto read_at_once(ChannelState& state, Read read) {
  bool driven = false;
  auto now = [&] {
    const io::Context::Lock lock(state.context());
    auto got = read(state);
    driven = state.connection()->kick_if_needed();
    return got;
  }();
  if (driven) state.context().pass_by();
  return now;
}

Result<void> check(const std::shared_ptr<ChannelState>& state) {
  if (!state) return Error(Errc::usage, "an empty Channel");
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  return {};
}

}  // namespace

Channel::Channel(std::shared_ptr<ChannelState> state) : state_(std::move(state)) {}

Channel& Channel::operator=(Channel&& other) noexcept {
  if (this != &other) {
    Channel old(std::move(state_));
    state_ = std::move(other.state_);
  }
  return *this;
}

Channel::~Channel() {
  if (state_) on_context(std::exchange(state_, nullptr), [](ChannelState& s) { s.drop(); });
}

const ChannelInfo& Channel::info() const noexcept { return state_ ? state_->info : kNoInfo; }
const Headers& Channel::response_headers() const noexcept { return state_ ? state_->response_headers : kNoHeaders; }
io::Context& Channel::context() const noexcept { return state_->context(); }

bool Channel::is_open() const noexcept {
  if (!state_) return false;
  const io::Context::Lock lock(state_->context());
  return state_->is_open();
}

// ---------------------------------------------------------------- bytes and frames

Result<std::size_t> Channel::read(MutableByteView out, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  Result<std::size_t> now = read_at_once(*state_, [&](ChannelState& s) { return s.try_read(Lane::data, out); });
  if (now || !now.error().is(Errc::would_block)) return now;
  return wait_for<std::size_t>(state_, until, [&](ChannelState& s, Completion<std::size_t> done) {
    return s.read(Lane::data, out, std::move(done));
  });
}

Result<void> Channel::write(ByteView bytes, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  const auto queue = [&](ChannelState& s) { return s.try_queue(Lane::data, bytes, false); };
  if (std::optional<Result<void>> done = write_small(*state_, bytes.size(), queue)) return *done;
  return wait_for<void>(state_, until, [&](ChannelState& s, Completion<void> done) {
    return s.write(Lane::data, bytes, false, std::move(done));
  });
}

Result<Bytes> Channel::read_frame(Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  Result<Bytes> now = read_at_once(*state_, [](ChannelState& s) { return s.try_read_frame(Lane::data); });
  if (now || !now.error().is(Errc::would_block)) return now;
  return wait_for<Bytes>(state_, until, [](ChannelState& s, Completion<Bytes> done) {
    return s.read_frame(Lane::data, std::move(done));
  });
}

Result<void> Channel::write_frame(ByteView frame, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  const auto queue = [&](ChannelState& s) { return s.try_queue(Lane::data, frame, true); };
  if (std::optional<Result<void>> done = write_small(*state_, frame.size(), queue)) return *done;
  return wait_for<void>(state_, until, [&](ChannelState& s, Completion<void> done) {
    return s.write(Lane::data, frame, true, std::move(done));
  });
}

Result<void> Channel::write_owned(Bytes&& frame, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  const auto give = [&](ChannelState& s) { return s.try_give(frame); };
  if (std::optional<Result<void>> done = write_small(*state_, frame.size(), give)) return *done;
  return wait_for<void>(state_, until, [&](ChannelState& s, Completion<void> done) {
    return s.write_frame(std::move(frame), std::move(done));
  });
}

Result<Bytes> Channel::read_error(Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  return wait_for<Bytes>(state_, until, [](ChannelState& s, Completion<Bytes> done) {
    return s.read_frame(Lane::error, std::move(done));
  });
}

Result<void> Channel::write_error(ByteView frame, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  return wait_for<void>(state_, until, [&](ChannelState& s, Completion<void> done) {
    return s.write(Lane::error, frame, true, std::move(done));
  });
}

void Channel::async_read(MutableByteView out, Completion<std::size_t> done) {
  on_context(state_, [out, done = std::move(done)](ChannelState& s) mutable { s.read(Lane::data, out, std::move(done)); });
}
void Channel::async_write(ByteView bytes, Completion<void> done) {
  on_context(state_, [bytes, done = std::move(done)](ChannelState& s) mutable {
    s.write(Lane::data, bytes, false, std::move(done));
  });
}
void Channel::async_read_frame(Completion<Bytes> done) {
  on_context(state_, [done = std::move(done)](ChannelState& s) mutable { s.read_frame(Lane::data, std::move(done)); });
}
void Channel::async_write_frame(ByteView frame, Completion<void> done) {
  on_context(state_, [frame, done = std::move(done)](ChannelState& s) mutable {
    s.write(Lane::data, frame, true, std::move(done));
  });
}
void Channel::async_write_owned(Bytes&& frame, Completion<void> done) {
  on_context(state_, [frame = std::move(frame), done = std::move(done)](ChannelState& s) mutable {
    s.write_frame(std::move(frame), std::move(done));
  });
}
void Channel::async_read_error(Completion<Bytes> done) {
  on_context(state_, [done = std::move(done)](ChannelState& s) mutable { s.read_frame(Lane::error, std::move(done)); });
}
void Channel::async_write_error(ByteView frame, Completion<void> done) {
  on_context(state_, [frame, done = std::move(done)](ChannelState& s) mutable {
    s.write(Lane::error, frame, true, std::move(done));
  });
}

// ---------------------------------------------------------------- readiness

Result<std::size_t> Channel::write_some(ByteView bytes) {
  if (!state_ || !state_->context().is_current()) return Error(Errc::usage, "write_some() is for the Context's thread");
  Result<std::size_t> n = state_->try_write(Lane::data, bytes);
  state_->connection()->kick();
  return n;
}

Result<ByteView> Channel::peek() {
  if (!state_ || !state_->context().is_current()) return Error(Errc::usage, "peek() is for the Context's thread");
  return state_->peek();
}

void Channel::consume(std::size_t n) {
  state_->consume(n);
  state_->connection()->kick_if_needed();
}

Result<bool> Channel::write_frame_some(ByteView frame) {
  if (!state_ || !state_->context().is_current())
    return Error(Errc::usage, "write_frame_some() is for the Context's thread");
  if (frame.size() > state_->copied_below())
    return Error(Errc::usage, "frames of more than 8 KiB, or half of the send buffer, are for async_write_frame()");
  const Result<bool> queued = state_->try_queue(Lane::data, frame, true);
  if (queued && *queued) state_->connection()->kick_later(frame.size());
  return queued;
}

Result<ByteView> Channel::peek_frame() {
  if (!state_ || !state_->context().is_current()) return Error(Errc::usage, "peek_frame() is for the Context's thread");
  return state_->peek_frame();
}

void Channel::consume_frame() {
  state_->consume_frame();
  state_->connection()->kick_if_needed();
}

void Channel::on_readable(Task task) { state_->on_readable(std::move(task)); }
void Channel::on_writable(Task task) { state_->on_writable(std::move(task)); }

// ---------------------------------------------------------------- ending

namespace {

// A short command whose answer is there at once.
template <class F>
Result<void> command(const std::shared_ptr<ChannelState>& state, F run) {
  if (!state) return Error(Errc::usage, "an empty Channel");
  if (io::Context::is_any_current() && !state->context().is_current())
    return Error(Errc::usage, "called on another Context's thread: post to this channel's");
  const io::Context::Lock lock(state->context());
  Result<void> r = run(*state);
  state->connection()->kick();
  return r;
}

}  // namespace

Result<void> Channel::close_write() {
  return command(state_, [](ChannelState& s) { return s.close_write(); });
}
Result<void> Channel::write_trailers(const Headers& trailers) {
  return command(state_, [&](ChannelState& s) { return s.write_trailers(trailers); });
}
Result<void> Channel::close(Status status, Headers trailers) {
  return command(state_, [&](ChannelState& s) { return s.close(std::move(status), std::move(trailers)); });
}
void Channel::reset(Code code, std::string_view message) {
  if (!state_) return;
  on_context(state_, [code, text = std::string(message)](ChannelState& s) { s.reset(code, text); });
}

Result<Closed> Channel::wait_closed(Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  return wait_for<Closed>(state_, until, [](ChannelState& s, Completion<Closed> done) { return s.wait_closed(std::move(done)); });
}
void Channel::async_wait_closed(Completion<Closed> done) {
  on_context(state_, [done = std::move(done)](ChannelState& s) mutable { s.wait_closed(std::move(done)); });
}

// ---------------------------------------------------------------- channels on this channel

Result<Channel> Channel::open(std::string service, OpenOptions options, Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  Waiter<Channel> waiter(state_->context());
  std::shared_ptr<ChannelState> child;
  {
    io::Context::Lock lock(state_->context());
    child = state_->connection()->open(std::move(service), std::move(options), state_.get(), waiter.completion());
    lock.leave_to_wait();
  }
  return waiter.wait(until, [&] {
    const io::Context::Lock lock(state_->context());
    if (child && child->phase == ChannelState::Phase::opening) child->on_opened.reset();
    if (child) child->reset(Code::cancelled, "the opener stopped waiting");
  });
}

void Channel::async_open(std::string service, OpenOptions options, Until until, Completion<Channel> done) {
  on_context(state_, [service = std::move(service), options = std::move(options), until = std::move(until),
                      done = std::move(done)](ChannelState& s) mutable {
    auto child = std::make_shared<std::weak_ptr<ChannelState>>();
    Completion<Channel> call = with_deadline<Channel>(s.connection()->context(), until, std::move(done),
                                                      [child] { stop_waiting_for(child->lock()); });
    *child = s.connection()->open(std::move(service), std::move(options), &s, std::move(call));
  });
}

Result<Channel> Channel::accept(Until until) {
  if (Result<void> r = check(state_); !r) return r.error();
  return wait_for<Channel>(state_, until, [](ChannelState& s, Completion<Channel> done) { return s.accept(std::move(done)); });
}
void Channel::async_accept(Completion<Channel> done) {
  on_context(state_, [done = std::move(done)](ChannelState& s) mutable { s.accept(std::move(done)); });
}

// ---------------------------------------------------------------- Incoming

Incoming::Incoming(std::shared_ptr<ChannelState> state) : state_(std::move(state)) {}

Incoming& Incoming::operator=(Incoming&& other) noexcept {
  if (this != &other) {
    Incoming old(std::move(state_));
    state_ = std::move(other.state_);
  }
  return *this;
}

Incoming::~Incoming() {
  if (state_) refuse(Code::unavailable, "nobody answered");
}

const ChannelInfo& Incoming::info() const noexcept { return state_->info; }

Result<Channel> Incoming::accept(const Headers& response) {
  const std::shared_ptr<ChannelState> state = std::exchange(state_, nullptr);
  if (!state) return Error(Errc::usage, "already answered");
  const io::Context::Lock lock(state->context());
  Result<Channel> channel = state->confirm(response);
  if (!channel) state->refuse(Code::internal, channel.error().message());  // nobody else will answer
  return channel;
}

void Incoming::refuse(Code code, std::string_view message) {
  if (!state_) return;
  on_context(std::exchange(state_, nullptr), [code, text = std::string(message)](ChannelState& s) { s.refuse(code, text); });
}

// ---------------------------------------------------------------- pair

namespace {

// The owner of both ends: hands the second one's channel out as it comes in.
struct PairOwner final : ConnectionOwner {
  std::shared_ptr<ChannelState> came;
  void incoming(Connection&, std::shared_ptr<ChannelState> state) override { came = std::move(state); }
};

}  // namespace

std::pair<Channel, Channel> Channel::pair(std::string service, OpenOptions options) {
  // One loop a side serves every pair of the program: nothing blocks on them, and the threads at the
  // two ends do not share a lock.
  static const std::shared_ptr<io::Context> contexts[2] = {io::Context::make(), io::Context::make()};
  auto [link_a, link_b] = InprocLink::pair(contexts[0], contexts[1]);
  PairOwner owner;
  Connection::Settings settings;
  settings.skips_hello = true;
  settings.is_inproc = true;
  options.form = OpenForm::channel;
  std::shared_ptr<Connection> ends[2];
  for (const int side : {0, 1}) {
    const io::Context::Lock lock(*contexts[side]);
    std::unique_ptr<InprocLink> link = std::move(side == 0 ? link_a : link_b);
    ends[side] = Connection::make(contexts[side], &owner, settings);
    link->attach(*ends[side], ends[side]);
    ends[side]->start(std::move(link));
  }
  std::shared_ptr<ChannelState> opened;
  Channel first, second;
  {
    const io::Context::Lock lock(*contexts[0]);
    opened = ends[0]->open(std::move(service), std::move(options), nullptr, {});
  }
  {
    const io::Context::Lock lock(*contexts[1]);
    ends[1]->kick();
    if (owner.came)
      if (Result<Channel> r = owner.came->confirm({})) second = std::move(*r);
    ends[1]->disown();
  }
  {
    const io::Context::Lock lock(*contexts[0]);
    ends[0]->kick();
    if (opened && opened->phase == ChannelState::Phase::open) first = Channel(opened);
    ends[0]->disown();
  }
  return {std::move(first), std::move(second)};
}

}  // namespace streamkit
