// Sending (RFC 4254 section 5.2), in fair turns by way of the channel's queue. Large writes are lent
// and sealed from their writer's memory; small ones are copied together, so that one message carries
// many. What is in order behind data (requests, trailers, EOF, CLOSE) goes the same way.
#include "multiplexer_impl.hpp"

namespace streamkit::channel {
namespace {

SendQueue::Kind kind_of(Lane lane) noexcept {
  return lane == Lane::data ? SendQueue::Kind::data : SendQueue::Kind::error;
}

/// Whether windows count it.
bool is_data(SendQueue::Kind kind) noexcept {
  return kind == SendQueue::Kind::data || kind == SendQueue::Kind::error;
}

}  // namespace

Result<Channel*> Multiplexer::Impl::find_sending(ChannelId id) const {
  Result<Channel*> found = find_alive(id);
  if (found && (*found)->end_queued)
    return Error(Errc::closed, "nothing can be written after end_write()");
  return found;
}

std::size_t Multiplexer::Impl::room(const Channel& c, Lane lane) const noexcept {
  return limits.send_buffer - std::min(limits.send_buffer, c.buffered(lane));
}

Result<std::size_t> Multiplexer::Impl::write(ChannelId id, Lane lane, ByteView bytes) {
  Result<Channel*> found = find_sending(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (bytes.empty()) return std::size_t{0};
  if (Result<void> pumped = pump(); !pumped) return pumped.error();  // who waits goes first

  std::size_t taken = 0;
  if (c.out.empty() && turns.empty()) {
    Result<std::size_t> sent = send_directly(c, lane, bytes);
    if (!sent) return sent;
    taken = *sent;
  }
  const std::size_t kept = std::min(room(c, lane), bytes.size() - taken);
  if (kept > 0) {
    c.out.push(kind_of(lane), bytes.subspan(taken, kept));
    wait_for_turn(c);
    taken += kept;
  }
  if (taken < bytes.size()) c.wants_writable[static_cast<std::size_t>(lane)] = true;
  if (taken == 0) return Errc::would_block;
  return taken;
}

std::size_t Multiplexer::Impl::writable_bytes(ChannelId id, Lane lane) const noexcept {
  const Channel* const c = find(id);
  if (c == nullptr || !c->is_alive() || c->end_queued || c->close_queued) return 0;
  std::size_t direct = 0;
  if (c->out.empty() && turns.empty()) {
    const std::size_t header = DataHeader::size_of(lane == Lane::error);
    const std::size_t sendable = port.sendable_bytes();
    direct = std::min<std::size_t>(sendable > header ? sendable - header : 0,
                                   std::min(c->send_window, c->send_packet));
  }
  return direct + room(*c, lane);
}

Result<bool> Multiplexer::Impl::append(ChannelId id, Lane lane, ByteView head, ByteView bytes) {
  Channel* const sending = find(id);
  if (sending == nullptr || !sending->takes_data())
    if (Result<Channel*> found = find_sending(id); !found) return found.error();
  Channel& c = *sending;
  if (head.size() + bytes.size() > room(c, lane)) {
    if (head.size() + bytes.size() > limits.send_buffer)  // there will never be room
      return Error(Errc::usage, "more was appended at once than the send buffer holds");
    c.wants_writable[static_cast<std::size_t>(lane)] = true;
    return false;
  }
  if (!head.empty() || !bytes.empty()) c.out.push(kind_of(lane), head, bytes);
  wait_for_turn(c);
  return true;
}

Result<bool> Multiplexer::Impl::give(ChannelId id, Lane lane, ByteView head, Bytes& bytes) {
  if (bytes.empty()) return append(id, lane, head, {});
  Result<Channel*> found = find_sending(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (head.size() > SendQueue::kMaxHead || bytes.size() > kLargestGiven)
    return Error(Errc::usage, "only what fits one message can be given");
  // The last one may go over the limit: what is in it exists already.
  if (room(c, lane) == 0) {
    c.wants_writable[static_cast<std::size_t>(lane)] = true;
    return false;
  }
  c.out.give(kind_of(lane), head, std::move(bytes));
  wait_for_turn(c);
  return true;
}

Result<void> Multiplexer::Impl::lend(ChannelId id, Lane lane, ByteView head, ByteView bytes) {
  Result<Channel*> found = find_sending(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (head.size() > SendQueue::kMaxHead || c.out.lent(kind_of(lane)) > 0)
    return Error(Errc::usage, "one write a lane can be lent, with at most 4 bytes before it");
  if (head.empty() && bytes.empty()) return {};
  c.out.lend(kind_of(lane), head, bytes);
  wait_for_turn(c);
  return {};
}

std::size_t Multiplexer::Impl::take_back(ChannelId id, Lane lane) noexcept {
  Channel* const c = find(id);
  if (c == nullptr) return 0;
  const std::size_t left = c->out.take_back(kind_of(lane));
  if (c->out.empty()) {
    turns.leave(c->id, c->turn);
  } else {
    wait_for_turn(*c);  // what stood behind it may need no window
  }
  return left;
}

Result<std::size_t> Multiplexer::Impl::send_directly(Channel& c, Lane lane, ByteView bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    Result<std::size_t> n = send_data(c, lane, {}, bytes.subspan(sent));
    if (!n) return n;
    if (*n == 0) break;
    sent += *n;
  }
  return sent;
}

/// One data message, as long as the window, their packet size and the port allow; 0 when they do
/// not. `whole` are the same bytes where they may be given away, which is done when all of them go.
Result<std::size_t> Multiplexer::Impl::send_data(Channel& c, Lane lane, ByteView head,
                                                 ByteView bytes, Bytes* whole) {
  const bool error_lane = lane == Lane::error;
  const std::size_t header = DataHeader::size_of(error_lane);
  const std::size_t sendable = port.sendable_bytes();
  if (sendable <= header) return std::size_t{0};
  const std::size_t n = std::min(std::min(head.size() + bytes.size(), sendable - header),
                                 std::size_t{std::min(c.send_window, c.send_packet)});
  if (n == 0) return std::size_t{0};
  const auto size = static_cast<std::uint32_t>(n);
  const ByteView first = head.first(std::min(head.size(), n));
  const DataHeader message(c.remote, error_lane, size, first);
  const ByteView body = bytes.first(n - first.size());
  Result<void> sent = whole != nullptr && body.size() == bytes.size()
                          ? port.send_owned(message.view(), std::move(*whole))
                          : port.send(message.view(), body);
  if (!sent) return sent.error();
  c.send_window -= size;
  return n;
}

// ---- in order, behind what was written

/// Short messages go however full the port is; the others, of which an application may have many
/// (opens with their first data, trailers), would fill what the port keeps for those.
bool Multiplexer::Impl::may_send_now(std::size_t size) const noexcept {
  return size <= kShortMessage || port.sendable_bytes() > 0;
}

Result<void> Multiplexer::Impl::send_in_order(Channel& c, SendQueue::Kind kind, ByteView message) {
  if (c.out.empty() && may_send_now(message.size())) return send_run(c, kind, message);
  c.out.push(kind, message);
  wait_for_turn(c);
  return {};
}

Result<void> Multiplexer::Impl::send_run(Channel& c, SendQueue::Kind kind, ByteView message) {
  switch (kind) {
    case SendQueue::Kind::eof:
      return port.send(write_bare(Number::eof, c.remote), {});
    case SendQueue::Kind::close:
      return send_close(c);
    case SendQueue::Kind::question:
      ++c.asked;
      break;
    default:
      break;
  }
  return port.send(message, {});
}

void Multiplexer::Impl::wait_for_turn(Channel& c) {
  const bool can_go = !c.out.empty() && (c.send_window > 0 || !is_data(c.out.front().kind));
  if (can_go) turns.join(c.id, c.priority, c.turn);
}

void Multiplexer::Impl::drop_unsent(Channel& c) {
  turns.leave(c.id, c.turn);
  c.out.clear();
}

// ---- turns

Result<void> Multiplexer::Impl::pump() {
  while (!turns.empty()) {
    Channel& c = *find(turns.next());
    note_turn(c);
    const Result<Served> served = serve(c);
    if (!served) return served.error();
    if (*served == Served::turn_over) turns.pass(c.turn);
    if (*served == Served::done) turns.leave(c.id, c.turn);
    tell_writable(c);
    if (*served == Served::port_full) break;
  }
  return {};
}

void Multiplexer::Impl::note_turn(const Channel& c) noexcept {
  if (last_served && *last_served != c.id) shared_until = after(now_, kSharedFor);
  last_served = c.id;
}

/// Sends from one channel's queue until its turn is over, or it or the port can go no further.
Result<Multiplexer::Impl::Served> Multiplexer::Impl::serve(Channel& c) {
  if (c.turn.deficit <= 0) c.turn.deficit += kQuantum;
  while (!c.out.empty()) {
    if (c.turn.deficit <= 0) return Served::turn_over;
    const SendQueue::Kind kind = c.out.front().kind;
    const std::size_t size = c.out.front().size;
    const bool is_lent = c.out.front().is_lent;
    std::size_t used = size;
    if (is_data(kind)) {
      if (c.send_window == 0) return Served::done;
      const Lane lane = kind == SendQueue::Kind::data ? Lane::data : Lane::error;
      const Result<std::size_t> n =
          send_data(c, lane, c.out.head(), c.out.bytes(), c.out.whole());
      if (!n) return n.error();
      if (*n == 0) return Served::port_full;
      used = *n;
    } else {
      if (!may_send_now(size)) return Served::port_full;
      if (Result<void> sent = send_run(c, kind, c.out.bytes()); !sent) return sent.error();
      if (kind == SendQueue::Kind::close) return Served::done;  // the queue is gone
    }
    // Whoever lent it is told when all of it has gone.
    if (is_lent && used == size) c.wants_writable[kind == SendQueue::Kind::data ? 0 : 1] = true;
    c.out.pop(used);
    c.turn.deficit -= static_cast<std::int64_t>(used + DataHeader::size_of(false));
  }
  return Served::done;
}

/// A writer that was cut is called back when half of its lane's buffer is free, so that it is not
/// woken for a few bytes.
void Multiplexer::Impl::tell_writable(Channel& c) {
  bool tell = false;
  for (const Lane lane : {Lane::data, Lane::error}) {
    bool& wants = c.wants_writable[static_cast<std::size_t>(lane)];
    if (!wants || c.buffered(lane) > limits.send_buffer / 2) continue;
    wants = false;
    tell = true;
  }
  if (tell && c.is_alive()) emit(Writable{ChannelId{c.id}});
}

Result<void> Multiplexer::Impl::handle_window_adjust(Channel& c, wire::Reader in) {
  const std::optional<std::uint32_t> bytes = read_window_adjust(in);
  if (!bytes) return violation("CHANNEL_WINDOW_ADJUST is malformed");
  if (*bytes > 0xffffffff - c.send_window) return violation("a window over 2^32 - 1");
  c.send_window += *bytes;
  wait_for_turn(c);
  return {};
}

}  // namespace streamkit::channel
