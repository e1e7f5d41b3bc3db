// The inside of the Multiplexer: all channels of one link and what they share. Its functions live
// in the file that is named after what they do.
#pragma once

#include "channel.hpp"
#include "dialect.hpp"
#include "messages.hpp"

#include <streamkit/base/fifo.hpp>

#include <algorithm>
#include <set>

namespace streamkit::channel {

/// Who announces more than that has not thought about it, and gets what RFC 4254 takes for granted.
inline constexpr std::uint32_t kCustomarySend = 32 * 1024;
/// Control messages up to this size do not wait until the port has room for data.
inline constexpr std::size_t kShortMessage = 1024;
/// What one event or one owed answer counts in owed_bytes(), beside the bytes it carries.
inline constexpr std::size_t kOwedEach = 64;
/// So long after turns went from one channel to another the link counts as shared.
inline constexpr std::chrono::milliseconds kSharedFor{50};
/// Empty data messages: so many at once, and so many a second after that.
inline constexpr std::uint32_t kEmptyDataBurst = 1024;
inline constexpr std::uint32_t kEmptyDataPerSecond = 128;

inline Error violation(const char* what) {
  return Error(Errc::protocol, what);
}

struct Multiplexer::Impl {
  Impl(PayloadPort& its_port, Limits its_limits, Wire wire);

  // ---- multiplexer.cpp: inputs, events, slots
  Result<void> handle_payload(ByteView payload, TimePoint now, const Keeper& keeper);
  Result<void> handle_given(ByteView header, Bytes body, TimePoint now);
  Result<void> dispatch(ByteView payload);
  Result<void> dispatch_to_channel(Number number, wire::Reader in);
  Result<void> act(Number number, Channel& c, wire::Reader in);
  Result<void> handle_timeout(TimePoint now);
  void link_lost(const Error& error);
  std::optional<Event> poll_event();
  void emit(Event event);
  Channel* find(std::uint32_t id) const noexcept;
  Channel* find(ChannelId id) const noexcept { return find(static_cast<std::uint32_t>(id)); }
  /// A channel of ours that is open in the application's eyes, or why it is not.
  Result<Channel*> find_alive(ChannelId id) const;
  Channel& add(ChannelKind kind, Standing standing);
  void free(Channel& c);
  void advance(TimePoint now) noexcept { now_ = std::max(now_, now); }
  void note_turn(const Channel& c) noexcept;
  void arm(Channel& c, Duration wait);
  void disarm(Channel& c);
  std::size_t owed_bytes() const noexcept;
  WindowLimits window_limits() const noexcept { return {limits.min_window, limits.max_window}; }

  // ---- open.cpp
  ChannelKind kind_of_channel(std::string_view type) const noexcept;
  Result<ChannelId> open(std::string_view type, ByteView extra, std::uint32_t priority);
  Result<ChannelId> open_service(OpenInfo info, std::optional<ChannelId> parent);
  Result<void> confirm(ChannelId id, const Headers* headers, ByteView extra);
  Result<void> refuse(ChannelId id, OpenFailure reason, std::string_view description);
  Result<void> handle_open(wire::Reader in);
  Result<void> admit(const OpenMessage& m, Opening opening, std::uint32_t priority, Bytes first);
  Result<void> decline(std::uint32_t sender, OpenFailure reason, std::string_view description);
  Result<void> handle_confirmation(Channel& c, wire::Reader in);
  Result<void> handle_failure(Channel& c, wire::Reader in);
  void abandon_open(Channel& c, std::string_view description, bool timed_out);
  Result<void> fail_open(Channel& c, std::string_view description);
  void report_open_failed(Channel& c, OpenFailure reason, std::string_view description,
                          bool timed_out = false);
  void open_sending(Channel& c, std::uint32_t window, std::uint32_t max_packet) noexcept;

  // ---- sending.cpp
  Result<std::size_t> write(ChannelId id, Lane lane, ByteView bytes);
  Result<bool> append(ChannelId id, Lane lane, ByteView head, ByteView bytes);
  Result<bool> give(ChannelId id, Lane lane, ByteView head, Bytes& bytes);
  Result<void> lend(ChannelId id, Lane lane, ByteView head, ByteView bytes);
  std::size_t take_back(ChannelId id, Lane lane) noexcept;
  std::size_t writable_bytes(ChannelId id, Lane lane) const noexcept;
  Result<Channel*> find_sending(ChannelId id) const;
  Result<std::size_t> send_directly(Channel& c, Lane lane, ByteView bytes);
  Result<std::size_t> send_data(Channel& c, Lane lane, ByteView head, ByteView bytes,
                                Bytes* whole = nullptr);
  std::size_t room(const Channel& c, Lane lane) const noexcept;
  bool may_send_now(std::size_t size) const noexcept;
  Result<void> send_in_order(Channel& c, SendQueue::Kind kind, ByteView message);
  Result<void> send_run(Channel& c, SendQueue::Kind kind, ByteView message);
  void wait_for_turn(Channel& c);
  void drop_unsent(Channel& c);
  Result<void> pump();
  enum class Served : std::uint8_t { port_full, done, turn_over };
  Result<Served> serve(Channel& c);
  void tell_writable(Channel& c);
  Result<void> handle_window_adjust(Channel& c, wire::Reader in);

  // ---- receiving.cpp
  Result<void> handle_data(Channel& c, wire::Reader in);
  Result<void> handle_extended_data(Channel& c, wire::Reader in);
  Result<bool> charge(Channel& c, std::size_t n);
  void keep(Channel& c, Lane lane, ByteView bytes);
  /// Bytes of the data message that is being handled which came apart from it.
  std::size_t apart() const noexcept { return given != nullptr ? given->size() : 0; }
  void cap_error_lane(Channel& c);
  void drop_errors(Channel& c, std::size_t n);
  void tell_readable(Channel& c, Lane lane);
  std::size_t take_read(Channel& c, Lane lane, std::size_t n);
  Result<void> consume(ChannelId id, Lane lane, std::size_t n);
  Result<void> give_window(Channel& c);
  Result<void> stop_receiving(Channel& c);
  void detach_unread(Channel& c);
  void retire_window(Channel& c);
  bool may_be_empty() noexcept;

  // ---- ending.cpp
  /// Whether how it ends can be said on this channel, in requests of ours.
  bool has_endings(const Channel& c) const noexcept {
    return c.kind == ChannelKind::own && dialect.has_endings;
  }
  Result<Bytes> encode_trailers(const Channel& c, const Headers& trailers) const;
  Result<void> write_trailers(ChannelId id, const Headers& trailers);
  Result<void> end_write(ChannelId id);
  Result<void> close(ChannelId id, const Status& status, const Headers& trailers);
  Result<void> reset(ChannelId id, Code code, std::string_view message);
  Result<void> stop_sending(ChannelId id, std::uint32_t code);
  Result<void> queue_trailers(Channel& c, const Headers& trailers);
  Result<void> queue_status(Channel& c, const Status& status);
  Result<void> queue_end(Channel& c);
  Result<void> send_close(Channel& c);
  Result<void> handle_eof(Channel& c, wire::Reader in);
  Result<void> handle_close(Channel& c, wire::Reader in);
  void finish(Channel& c);
  void report_closed(Channel& c);
  void release(ChannelId id);

  // ---- request.cpp
  Result<void> request(ChannelId id, std::string_view type, bool want_reply, ByteView payload);
  Result<void> reply(ChannelId id, bool ok);
  Result<void> handle_request(Channel& c, wire::Reader in);
  Result<void> handle_reply(Channel& c, bool ok, wire::Reader in);
  Result<void> answer(Channel& c, bool ok);
  Result<void> send_settled(Channel& c);
  void forget_answers(Channel& c) noexcept;
  Result<std::uint64_t> global_request(std::string_view type, bool want_reply, ByteView payload);
  Result<void> reply_global(bool ok, ByteView payload);
  Result<void> send_settled_globally();
  Result<void> handle_global_request(wire::Reader in);
  Result<void> handle_global_reply(bool ok, wire::Reader in);
  enum class Understood : std::uint8_t { not_ours, yes, no };
  Understood understand(Channel& c, const RequestMessage& m);
  Understood understand_trailers(Channel& c, ByteView payload);
  Understood understand_close(Channel& c, ByteView payload);
  Understood understand_reset(Channel& c, ByteView payload);
  Understood understand_stop(Channel& c, ByteView payload);
  Understood understand_exit(Channel& c, const RequestMessage& m);

  PayloadPort& port;
  Limits limits;
  const Dialect& dialect;
  std::optional<Error> failed;  ///< the first error of the link is final

  const Keeper* kept_by = nullptr;  ///< whoever keeps the payload that is being handled
  Bytes* given = nullptr;           ///< the rest of that payload, where it came apart and is ours
  BlockPool pool;                   ///< outlives the channels
  std::vector<std::unique_ptr<Channel>> slots;
  Fifo<std::uint32_t> free_ids;  ///< oldest first, so that a number rests before it is used again
  std::size_t used_slots = 0;
  std::size_t unaccepted = 0;
  std::size_t reported_slots = 0;  ///< used slots whose end was told

  Fifo<Event> events;
  std::size_t event_bytes = 0;
  std::set<std::pair<TimePoint, std::uint32_t>> timers;

  Scheduler turns;
  std::optional<std::uint32_t> last_served;  ///< whose turn was the last one
  TimePoint shared_until{};
  ReceiveBudget budget;
  RoundTrip round_trip;

  AnswerQueue global_answers;
  Fifo<std::uint64_t> global_tokens;
  std::uint64_t next_token = 1;
  std::size_t owed_answers = 0;    ///< of all channels

  std::uint64_t dropped = 0;
  std::uint32_t empty_allowance = kEmptyDataBurst;
  TimePoint empty_since{};
  TimePoint now_{};
};

}  // namespace streamkit::channel
