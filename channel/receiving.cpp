// Receiving (RFC 4254 section 5.2): data spends the window, reading gives it back. No grace: a byte
// over the window or over our packet size ends the link.
#include "multiplexer_impl.hpp"

namespace streamkit::channel {

// ---- data comes

Result<void> Multiplexer::Impl::handle_data(Channel& c, wire::Reader in) {
  const std::optional<ByteView> bytes = read_data(in, apart());
  if (!bytes) return violation("CHANNEL_DATA is malformed");
  const Result<bool> wanted = charge(c, bytes->size() + apart());
  if (!wanted) return wanted.error();
  if (!*wanted) return give_window(c);
  keep(c, Lane::data, *bytes);
  return {};
}

Result<void> Multiplexer::Impl::handle_extended_data(Channel& c, wire::Reader in) {
  const std::optional<ExtendedDataMessage> m = read_extended_data(in, apart());
  if (!m) return violation("CHANNEL_EXTENDED_DATA is malformed");
  const std::size_t size = m->bytes.size() + apart();
  const Result<bool> wanted = charge(c, size);
  if (!wanted) return wanted.error();
  if (*wanted && m->code == kStderr) {
    keep(c, Lane::error, m->bytes);
    cap_error_lane(c);
  } else if (*wanted) {
    c.window.free(size);  // of a code that nobody here reads
  }
  return give_window(c);
}

/// Takes the bytes out of the window. False: nobody reads them any more, and the window has them
/// back.
Result<bool> Multiplexer::Impl::charge(Channel& c, std::size_t n) {
  if (n > limits.max_packet) return violation("a data message over our maximum packet");
  if (n == 0) {
    if (!may_be_empty()) return violation("a flood of empty data messages");
    return false;
  }
  if (!c.window.spend(n, now_, round_trip)) return violation("data over the window");
  if (!c.close_queued) return true;
  c.window.free(n);
  return false;
}

/// Empty data is legal and costs nothing but work; so it is the rate that is bounded.
bool Multiplexer::Impl::may_be_empty() noexcept {
  using std::chrono::seconds;
  const Duration passed = std::clamp<Duration>(now_ - empty_since, Duration(0), seconds(60));
  const auto earned = static_cast<std::uint32_t>(passed * kEmptyDataPerSecond / seconds(1));
  if (earned > 0) {
    empty_allowance = std::min(kEmptyDataBurst, empty_allowance + earned);
    empty_since = now_;
  }
  if (empty_allowance == 0) return false;
  --empty_allowance;
  return true;
}

void Multiplexer::Impl::keep(Channel& c, Lane lane, ByteView bytes) {
  if (given != nullptr) {
    c.lane(lane).append(bytes, std::move(*given));
  } else {
    c.lane(lane).append(bytes, lane == Lane::data ? *kept_by : Keeper());
  }
  tell_readable(c, lane);
}

void Multiplexer::Impl::tell_readable(Channel& c, Lane lane) {
  bool& told = c.told_readable[static_cast<std::size_t>(lane)];
  if (!told) emit(Readable{ChannelId{c.id}, lane});
  told = true;
}

/// An unread error lane must neither fill memory nor hold the window that the data lane needs: past
/// a quarter of the window its bytes are counted against the link's total instead, and past its
/// limit, or when the total has nothing left, the oldest go.
void Multiplexer::Impl::cap_error_lane(Channel& c) {
  const ReceiveQueue& queue = c.lane(Lane::error);
  if (queue.size() > limits.max_error_bytes) drop_errors(c, queue.size() - limits.max_error_bytes);
  std::uint32_t& overhang = c.overhang[static_cast<std::size_t>(Lane::error)];
  const std::size_t held = queue.size() - overhang;
  const std::size_t allowed = c.window.size() / 4;
  if (held <= allowed) return;
  const std::size_t moved = budget.take(held - allowed);
  overhang += static_cast<std::uint32_t>(moved);
  c.window.free(moved);
  // The overhang goes first when bytes are dropped, so all of what is held may have to pass.
  if (moved < held - allowed) drop_errors(c, overhang + (held - allowed - moved));
}

void Multiplexer::Impl::drop_errors(Channel& c, std::size_t n) {
  c.dropped_error += n;
  c.window.free(take_read(c, Lane::error, n));
}

// ---- and is read

Result<void> Multiplexer::Impl::consume(ChannelId id, Lane lane, std::size_t n) {
  Channel* const c = find(id);
  if (c == nullptr) return n == 0 ? Result<void>() : Result<void>(Errc::closed);
  if (n > c->lane(lane).size()) return Error(Errc::usage, "more was consumed than can be read");
  c->window.free(take_read(*c, lane, n));
  if (c->lane(lane).empty()) c->told_readable[static_cast<std::size_t>(lane)] = false;
  return give_window(*c);
}

/// Forgets the oldest `n` bytes of a lane and says how many of them the window gets back.
std::size_t Multiplexer::Impl::take_read(Channel& c, Lane lane, std::size_t n) {
  c.lane(lane).consume(n);
  if (lane == Lane::data) {
    const auto early = static_cast<std::uint32_t>(std::min<std::size_t>(n, c.early));
    c.early -= early;
    n -= early;
  }
  std::uint32_t& overhang = c.overhang[static_cast<std::size_t>(lane)];
  const auto apart = static_cast<std::uint32_t>(std::min<std::size_t>(n, overhang));
  overhang -= apart;
  budget.give(apart);
  return n - apart;
}

/// WINDOW_ADJUST when it is due. After their EOF it would be of no use; after our CLOSE, forbidden.
Result<void> Multiplexer::Impl::give_window(Channel& c) {
  if (c.standing != Standing::open) return {};
  const std::uint32_t bytes = c.window.adjustment(now_, round_trip, window_limits(), budget);
  if (bytes == 0) return {};
  return port.send(write_window_adjust(c.remote, bytes), {});
}

/// Unread bytes stay readable, but no longer hold the window.
void Multiplexer::Impl::detach_unread(Channel& c) {
  for (const Lane lane : {Lane::data, Lane::error}) {
    std::uint32_t& overhang = c.overhang[static_cast<std::size_t>(lane)];
    const std::size_t early = lane == Lane::data ? c.early : 0;
    const std::size_t held = c.lane(lane).size() - early - overhang;
    overhang += static_cast<std::uint32_t>(held);
    budget.count(held);
    c.window.free(held);
  }
}

/// Our side closes and reads nothing that still comes. Two sides that close with full windows would
/// otherwise wait for each other for ever.
Result<void> Multiplexer::Impl::stop_receiving(Channel& c) {
  detach_unread(c);
  return give_window(c);
}

void Multiplexer::Impl::retire_window(Channel& c) {
  detach_unread(c);
  c.window.retire(budget);
}

}  // namespace streamkit::channel
