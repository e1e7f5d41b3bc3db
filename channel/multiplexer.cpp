// The Multiplexer's doors: what comes in is dispatched here by number and by where its channel
// stands, events go out, time passes. What each message does is in the file named after it:
// open.cpp, sending.cpp, receiving.cpp, ending.cpp, request.cpp.
#include "multiplexer_impl.hpp"

namespace streamkit::channel {
namespace {

Limits sane(Limits limits) {
  constexpr std::uint32_t kLargestWindow = 0x7fffffff;
  constexpr std::size_t kLeastBuffer = 16;  // a frame's header and something of the frame
  limits.initial_window = std::clamp<std::uint32_t>(limits.initial_window, 1, kLargestWindow);
  limits.max_window = std::clamp(limits.max_window, limits.initial_window, kLargestWindow);
  limits.send_buffer = std::clamp<std::size_t>(limits.send_buffer, kLeastBuffer, std::size_t{1} << 30);
  limits.max_pending_requests = std::max<std::size_t>(limits.max_pending_requests, 1);
  return limits;
}

/// The bytes that an event carries beside itself.
struct Carried {
  static std::size_t of(const std::optional<OpenInfo>& info) {
    return info ? info->service.size() + info->headers.wire_size() : 0;
  }
  std::size_t operator()(const Opening& e) const {
    return e.type.size() + e.extra.size() + of(e.info);
  }
  std::size_t operator()(const Opened& e) const { return e.extra.size() + e.headers.wire_size(); }
  std::size_t operator()(const OpenFailed& e) const { return e.description.size(); }
  std::size_t operator()(const Request& e) const { return e.type.size() + e.payload.size(); }
  std::size_t operator()(const Closed& e) const {
    return e.trailers.wire_size() + e.status.message.size();
  }
  std::size_t operator()(const GlobalRequest& e) const { return e.type.size() + e.payload.size(); }
  std::size_t operator()(const GlobalReply& e) const { return e.payload.size(); }
  template <class Small>
  std::size_t operator()(const Small&) const {
    return 0;
  }
};

std::size_t cost_of(const Event& event) {
  return kOwedEach + std::visit(Carried(), event);
}

}  // namespace

Multiplexer::Impl::Impl(PayloadPort& its_port, Limits its_limits, Wire wire)
    : port(its_port),
      limits(sane(its_limits)),
      dialect(dialect_of(wire)),
      budget(limits.max_receive_bytes, std::min(limits.initial_window, limits.min_window)) {}

// ---- inputs

Result<void> Multiplexer::Impl::handle_payload(ByteView payload, TimePoint now,
                                               const Keeper& keeper) {
  if (failed) return *failed;
  advance(now);
  kept_by = &keeper;
  Result<void> done = dispatch(payload);
  if (!done) failed = done.error();
  return done;
}

Result<void> Multiplexer::Impl::handle_given(ByteView header, Bytes body, TimePoint now) {
  const auto number = header.empty() ? Number{} : static_cast<Number>(header[0]);
  if (number != Number::data && number != Number::extended_data) {
    body.insert(body.begin(), header.begin(), header.end());
    return handle_payload(body, now, {});
  }
  given = &body;
  Result<void> done = handle_payload(header, now, {});
  given = nullptr;
  return done;
}

Result<void> Multiplexer::Impl::dispatch(ByteView payload) {
  if (payload.empty()) return violation("an empty message");
  wire::Reader in(payload.subspan(1));
  const auto number = static_cast<Number>(payload[0]);
  switch (number) {
    case Number::global_request:
      return handle_global_request(in);
    case Number::request_success:
      return handle_global_reply(true, in);
    case Number::request_failure:
      return handle_global_reply(false, in);
    case Number::channel_open:
      return handle_open(in);
    default:
      break;
  }
  if (Multiplexer::is_known(std::to_integer<std::uint8_t>(payload[0]))) {
    return dispatch_to_channel(number, in);
  }
  ++dropped;
  return {};
}

Result<void> Multiplexer::Impl::dispatch_to_channel(Number number, wire::Reader in) {
  const std::uint32_t id = in.u32();
  Channel* const c = find(id);
  if (!in.ok() || c == nullptr) return violation("a message for a channel that does not exist");
  switch (verdict(number, c->standing)) {
    case Verdict::act:
      return act(number, *c, in);
    case Verdict::discard:
      return {};
    case Verdict::drop:
      ++dropped;
      return {};
    case Verdict::violation:
      break;
  }
  return violation("a message that a channel in this state must not get");
}

Result<void> Multiplexer::Impl::act(Number number, Channel& c, wire::Reader in) {
  switch (number) {
    case Number::open_confirmation:
      return handle_confirmation(c, in);
    case Number::open_failure:
      return handle_failure(c, in);
    case Number::window_adjust:
      return handle_window_adjust(c, in);
    case Number::data:
      return handle_data(c, in);
    case Number::extended_data:
      return handle_extended_data(c, in);
    case Number::eof:
      return handle_eof(c, in);
    case Number::close:
      return handle_close(c, in);
    case Number::channel_request:
      return handle_request(c, in);
    case Number::channel_success:
      return handle_reply(c, true, in);
    case Number::channel_failure:
      return handle_reply(c, false, in);
    default:
      return violation("not a channel message");
  }
}

Result<void> Multiplexer::Impl::handle_timeout(TimePoint now) {
  advance(now);
  while (!timers.empty() && timers.begin()->first <= now_) {
    Channel& c = *find(timers.begin()->second);
    disarm(c);
    if (c.standing == Standing::opening) {
      abandon_open(c, "no answer came in time", true);
    } else if (c.has_sent_close() && !c.reported) {
      Ending& ending = c.its_ending();
      if (!ending.error) ending.error = Error(Errc::timeout, "the other side did not answer CLOSE");
      report_closed(c);
    }
  }
  return {};
}

void Multiplexer::Impl::link_lost(const Error& error) {
  failed = error;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Channel* const c = slots[i].get();
    if (c == nullptr || c->standing == Standing::finished) continue;
    if (c->standing == Standing::incoming) --unaccepted;
    if (!c->reported) c->its_ending().error = error;
    finish(*c);
  }
  for (; !global_tokens.empty(); global_tokens.pop()) {
    emit(GlobalReply{global_tokens.front(), false, {}});
  }
  global_answers.clear();
}

// ---- events

void Multiplexer::Impl::emit(Event event) {
  event_bytes += cost_of(event);
  events.push(std::move(event));
}

std::optional<Event> Multiplexer::Impl::poll_event() {
  if (events.empty()) return std::nullopt;
  std::optional<Event> event(events.take());
  event_bytes -= cost_of(*event);
  const ChannelId* last = nullptr;
  if (const auto* closed = std::get_if<Closed>(&*event)) last = &closed->id;
  if (const auto* failure = std::get_if<OpenFailed>(&*event)) last = &failure->id;
  Channel* const c = last != nullptr ? find(*last) : nullptr;
  if (c == nullptr) return event;
  c->polled = true;
  if (c->standing == Standing::finished && c->unread() == 0) free(*c);
  return event;
}

std::size_t Multiplexer::Impl::owed_bytes() const noexcept {
  return event_bytes + kOwedEach * (owed_answers + global_answers.total());
}

// ---- slots

Channel* Multiplexer::Impl::find(std::uint32_t id) const noexcept {
  return id < slots.size() ? slots[id].get() : nullptr;
}

Result<Channel*> Multiplexer::Impl::find_alive(ChannelId id) const {
  Channel* const c = find(id);
  if (c == nullptr) return Errc::closed;
  if (c->ending && c->ending->error && c->ending->error->is(Errc::reset)) return *c->ending->error;
  if (c->reported || c->has_sent_close() || c->close_queued) return Errc::closed;
  if (!c->is_alive()) return Error(Errc::usage, "the channel is not open yet");
  return c;
}

Channel& Multiplexer::Impl::add(ChannelKind kind, Standing standing) {
  std::uint32_t id = static_cast<std::uint32_t>(slots.size());
  if (free_ids.empty()) {
    slots.emplace_back();
  } else {
    id = free_ids.take();
  }
  ++used_slots;
  slots[id] = std::make_unique<Channel>(id, kind, standing, pool);
  return *slots[id];
}

void Multiplexer::Impl::free(Channel& c) {
  const std::uint32_t id = c.id;
  --used_slots;
  if (c.reported) --reported_slots;
  budget.give(c.overhang[0] + c.overhang[1]);
  slots[id].reset();
  free_ids.push(id);
  if (used_slots == 0) pool.clear();
}

void Multiplexer::Impl::arm(Channel& c, Duration wait) {
  disarm(c);
  c.deadline = after(now_, wait);
  if (c.deadline != kNever) timers.emplace(c.deadline, c.id);
}

void Multiplexer::Impl::disarm(Channel& c) {
  if (c.deadline == kNever) return;
  timers.erase({c.deadline, c.id});
  c.deadline = kNever;
}

// ---- the public face

Multiplexer::Multiplexer(PayloadPort& port, Limits limits, Wire wire)
    : impl_(std::make_unique<Impl>(port, limits, wire)) {}
Multiplexer::~Multiplexer() = default;

bool Multiplexer::is_known(std::uint8_t number) noexcept {
  return (number >= 80 && number <= 82) || (number >= 90 && number <= 100);
}

Result<void> Multiplexer::handle_payload(ByteView payload, TimePoint now, const Keeper& keeper) {
  return impl_->handle_payload(payload, now, keeper);
}
Result<void> Multiplexer::handle_given(ByteView header, Bytes body, TimePoint now) {
  return impl_->handle_given(header, std::move(body), now);
}
bool Multiplexer::wants_port() const noexcept {
  return !impl_->turns.empty();
}
bool Multiplexer::is_shared() const noexcept {
  return impl_->now_ < impl_->shared_until;
}
bool Multiplexer::has_events() const noexcept {
  return !impl_->events.empty();
}
Result<void> Multiplexer::handle_timeout(TimePoint now) {
  return impl_->handle_timeout(now);
}
Result<void> Multiplexer::port_ready(TimePoint now) {
  impl_->advance(now);
  return impl_->pump();
}
void Multiplexer::link_lost(const Error& error) {
  impl_->link_lost(error);
}
void Multiplexer::set_round_trip(Duration rtt) noexcept {
  impl_->round_trip.set(rtt);
}

Result<ChannelId> Multiplexer::open(std::string_view type, ByteView extra, TimePoint now,
                                    std::uint32_t priority) {
  impl_->advance(now);
  return impl_->open(type, extra, priority);
}
Result<ChannelId> Multiplexer::open_service(OpenInfo info, std::optional<ChannelId> parent,
                                            TimePoint now) {
  impl_->advance(now);
  return impl_->open_service(std::move(info), parent);
}
Result<void> Multiplexer::confirm(ChannelId id, const Headers& headers, TimePoint now) {
  impl_->advance(now);
  return impl_->confirm(id, &headers, {});
}
Result<void> Multiplexer::confirm_raw(ChannelId id, ByteView extra, TimePoint now) {
  impl_->advance(now);
  return impl_->confirm(id, nullptr, extra);
}
Result<void> Multiplexer::refuse(ChannelId id, OpenFailure reason, std::string_view description) {
  return impl_->refuse(id, reason, description);
}

Result<std::size_t> Multiplexer::write(ChannelId id, Lane lane, ByteView bytes, TimePoint now) {
  impl_->advance(now);
  return impl_->write(id, lane, bytes);
}
Result<bool> Multiplexer::append(ChannelId id, Lane lane, ByteView head, ByteView bytes) {
  return impl_->append(id, lane, head, bytes);
}
Result<bool> Multiplexer::give(ChannelId id, Lane lane, ByteView head, Bytes& bytes) {
  return impl_->give(id, lane, head, bytes);
}
Result<void> Multiplexer::lend(ChannelId id, Lane lane, ByteView head, ByteView bytes) {
  return impl_->lend(id, lane, head, bytes);
}
std::size_t Multiplexer::lent_bytes(ChannelId id, Lane lane) const noexcept {
  const Channel* const c = impl_->find(id);
  return c == nullptr ? 0 : c->out.lent(lane == Lane::data ? SendQueue::Kind::data : SendQueue::Kind::error);
}
std::size_t Multiplexer::take_back(ChannelId id, Lane lane) noexcept {
  return impl_->take_back(id, lane);
}
std::size_t Multiplexer::writable_bytes(ChannelId id, Lane lane) const noexcept {
  return impl_->writable_bytes(id, lane);
}
bool Multiplexer::is_flushed(ChannelId id) const noexcept {
  const Channel* const c = impl_->find(id);
  return c == nullptr || c->out.empty();
}
Result<void> Multiplexer::write_trailers(ChannelId id, const Headers& trailers) {
  return impl_->write_trailers(id, trailers);
}
Result<void> Multiplexer::check_trailers(ChannelId id, const Headers& trailers) const {
  const Channel* const c = impl_->find(id);
  if (c == nullptr || c->kind != ChannelKind::own) return {};
  const Result<Bytes> encoded = impl_->encode_trailers(*c, trailers);
  return encoded ? Result<void>() : Result<void>(encoded.error());
}
Result<void> Multiplexer::end_write(ChannelId id) {
  return impl_->end_write(id);
}
Result<void> Multiplexer::close(ChannelId id, const Status& status, const Headers& trailers,
                                TimePoint now) {
  impl_->advance(now);
  return impl_->close(id, status, trailers);
}
Result<void> Multiplexer::reset(ChannelId id, Code code, std::string_view message, TimePoint now) {
  impl_->advance(now);
  return impl_->reset(id, code, message);
}
Result<void> Multiplexer::stop_sending(ChannelId id, std::uint32_t code) {
  return impl_->stop_sending(id, code);
}
Result<void> Multiplexer::request(ChannelId id, std::string_view type, bool want_reply,
                                  ByteView payload) {
  return impl_->request(id, type, want_reply, payload);
}
Result<void> Multiplexer::reply(ChannelId id, bool ok) {
  return impl_->reply(id, ok);
}
Result<std::uint64_t> Multiplexer::global_request(std::string_view type, bool want_reply,
                                                  ByteView payload) {
  return impl_->global_request(type, want_reply, payload);
}
Result<void> Multiplexer::reply_global(bool ok, ByteView payload) {
  return impl_->reply_global(ok, payload);
}

ByteView Multiplexer::peek(ChannelId id, Lane lane) const noexcept {
  const Channel* const c = impl_->find(id);
  return c != nullptr ? c->lane(lane).front() : ByteView();
}
std::size_t Multiplexer::readable_bytes(ChannelId id, Lane lane) const noexcept {
  const Channel* const c = impl_->find(id);
  return c != nullptr ? c->lane(lane).size() : 0;
}
Result<void> Multiplexer::consume(ChannelId id, Lane lane, std::size_t n, TimePoint now) {
  impl_->advance(now);
  return impl_->consume(id, lane, n);
}
std::optional<Bytes> Multiplexer::take_frame(ChannelId id, Lane lane) {
  Channel* const c = impl_->find(id);
  Bytes* const frame = c != nullptr ? c->lane(lane).frame() : nullptr;
  if (frame == nullptr) return std::nullopt;
  std::optional<Bytes> taken(std::move(*frame));
  // A failure here is the port's, and the driver hears of it there.
  static_cast<void>(impl_->consume(id, lane, 4 + taken->size()));
  return taken;
}
bool Multiplexer::is_eof(ChannelId id) const noexcept {
  const Channel* const c = impl_->find(id);
  return c == nullptr || ((c->has_ended() || c->reported) && c->lane(Lane::data).empty());
}
const Headers* Multiplexer::trailers(ChannelId id) const noexcept {
  const Channel* const c = impl_->find(id);
  return c != nullptr && c->ending && c->ending->has_trailers ? &c->ending->trailers : nullptr;
}
std::optional<Status> Multiplexer::status(ChannelId id) const {
  const Channel* const c = impl_->find(id);
  if (c == nullptr || !c->ending || !c->ending->has_status) return std::nullopt;
  return c->ending->status;
}
std::uint64_t Multiplexer::dropped_error_bytes(ChannelId id) const noexcept {
  const Channel* const c = impl_->find(id);
  return c != nullptr ? c->dropped_error : 0;
}
void Multiplexer::release(ChannelId id) {
  impl_->release(id);
}

std::optional<Event> Multiplexer::poll_event() {
  return impl_->poll_event();
}
std::optional<TimePoint> Multiplexer::next_timeout() const noexcept {
  if (impl_->timers.empty()) return std::nullopt;
  return impl_->timers.begin()->first;
}
std::size_t Multiplexer::open_channels() const noexcept {
  return impl_->used_slots - impl_->reported_slots;
}
std::string_view Multiplexer::channel_type() const noexcept {
  return impl_->dialect.channel_type;
}
std::size_t Multiplexer::owed_bytes() const noexcept {
  return impl_->owed_bytes();
}
bool Multiplexer::owes_replies() const noexcept {
  return impl_->owed_answers + impl_->global_answers.total() > 0;
}
bool Multiplexer::is_open(ChannelId id) const noexcept {
  const Channel* const c = impl_->find(id);
  return c != nullptr && c->is_alive() && !c->close_queued;
}
std::uint64_t Multiplexer::dropped_messages() const noexcept {
  return impl_->dropped;
}
std::size_t Multiplexer::granted_bytes() const noexcept {
  return impl_->budget.granted();
}

}  // namespace streamkit::channel
