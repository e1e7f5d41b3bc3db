// Channel: the slot of one channel on one link; what it has to send, what it has received, where it
// stands. Plain state: the multiplexer's functions, file by file, are what moves it.
#pragma once

#include "channel_state.hpp"
#include "receive_queue.hpp"
#include "request.hpp"
#include "scheduler.hpp"
#include "send_queue.hpp"
#include "window.hpp"

#include <streamkit/channel/multiplexer.hpp>

namespace streamkit::channel {

enum class ChannelKind : std::uint8_t { own, session, other };

/// What is known about a channel's end; most channels learn it only at the end of their lives.
struct Ending {
  Status status;
  Headers trailers;
  bool has_status = false;
  bool has_trailers = false;
  std::optional<Error> error;
};

struct Channel {
  Channel(std::uint32_t number, ChannelKind what, Standing where, BlockPool& pool)
      : id(number),
        kind(what),
        standing(where),
        out(pool),
        in{ReceiveQueue(pool), ReceiveQueue(pool)} {}

  bool is_alive() const noexcept {
    return standing == Standing::open || standing == Standing::ended;
  }
  /// Our CHANNEL_OPEN, or the confirmation of theirs, has not left yet.
  bool opening_waits() const noexcept {
    return !out.empty() && out.front().kind == SendQueue::Kind::opening;
  }
  /// For sure; where nothing of its end is known yet, which is nearly always.
  bool takes_data() const noexcept {
    return is_alive() && !reported && !end_queued && !close_queued && !ending;
  }
  bool has_ended() const noexcept {
    return standing == Standing::ended || standing == Standing::closing_ended ||
           standing == Standing::finished;
  }
  bool has_sent_close() const noexcept {
    return standing == Standing::closing || standing == Standing::closing_ended ||
           standing == Standing::finished;
  }
  std::size_t unread() const noexcept { return in[0].size() + in[1].size(); }
  ReceiveQueue& lane(Lane which) noexcept { return in[static_cast<std::size_t>(which)]; }
  const ReceiveQueue& lane(Lane which) const noexcept {
    return in[static_cast<std::size_t>(which)];
  }
  std::size_t buffered(Lane which) const noexcept {
    return which == Lane::data ? out.buffered_data() : out.buffered_error();
  }
  Ending& its_ending() {
    if (!ending) ending = std::make_unique<Ending>();
    return *ending;
  }

  const std::uint32_t id;    ///< our number
  std::uint32_t remote = 0;  ///< their number, once known
  const ChannelKind kind;
  Standing standing;
  bool reported = false;  ///< its end was told; nothing more is
  bool polled = false;    ///< and the driver took that event
  bool opened_here = false;

  // sending
  bool end_queued = false;    ///< EOF is sent or waits in `out`
  bool close_queued = false;  ///< close() was called
  bool trailers_queued = false;
  bool wants_writable[2] = {false, false};
  std::uint32_t priority = 100;
  std::uint32_t send_window = 0;
  std::uint32_t send_packet = 0;  ///< their largest data message, clamped
  SendQueue out;
  Turn turn;

  // receiving
  bool told_readable[2] = {false, false};
  ReceiveQueue in[2];
  ReceiveWindow window;
  std::uint32_t early = 0;  ///< unread bytes that rode along with the open, outside the window
  /// Unread bytes whose share of the window was given back already; the budget counts them apart.
  std::uint32_t overhang[2] = {0, 0};
  std::uint64_t dropped_error = 0;

  // requests
  std::uint32_t awaited = 0;  ///< replies to our requests that have not come
  std::uint32_t asked = 0;  ///< of these, the requests that were sent: only they can be replied to
  AnswerQueue answers;

  TimePoint deadline = kNever;
  std::unique_ptr<Ending> ending;
};

static_assert(sizeof(Channel) <= 512, "an idle channel is promised to cost less than 1 KiB");

}  // namespace streamkit::channel
