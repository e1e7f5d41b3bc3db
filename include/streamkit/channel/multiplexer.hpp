// The SSH connection protocol (RFC 4254): channels with windows over one ordered message link, the same
// from both sides, with what `channel@streamkit` adds (headers, error lane, trailers, status, channels
// on channels). No I/O, no clock, no threads, no cryptography: payloads come in by handle_payload(),
// go out through a PayloadPort, and what happened is polled as events.
//
// Methods come in four kinds, as in the transport:
//   inputs    handle_payload(), handle_timeout(), port_ready(), link_lost()
//   commands  open(), confirm(), write(), close(), ...
//   outputs   poll_event(), next_timeout(), peek()
//   getters   const
// After an input or a command, poll events until there is none. No callback is ever called from here
// but the port's two functions.
#pragma once

#include <streamkit/base/buffer.hpp>
#include <streamkit/base/headers.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/channel/metadata.hpp>
#include <streamkit/channel/payload_port.hpp>

#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace streamkit::channel {

/// Our number of a channel on one link. Not reused before both sides have closed it and Closed was polled.
enum class ChannelId : std::uint32_t {};

enum class Lane : std::uint8_t { data, error };

/// RFC 4254 section 5.1.
enum class OpenFailure : std::uint32_t { prohibited = 1, connect_failed = 2, unknown_type = 3, resource_shortage = 4 };

/// A data message's bytes are never more than this, whatever the other side says it can take: more
/// does not fit an SSH packet that anybody accepts.
inline constexpr std::uint32_t kLargestSend = 255 * 1024;
/// A frame's bytes that can be given away: they go in one message behind their header.
inline constexpr std::size_t kLargestGiven = kLargestSend - 4;

struct Limits {
  std::size_t max_channels = 1024;           ///< open at once; one more is refused with reason 4
  std::size_t max_unaccepted = 256;          ///< incoming opens that nobody has confirmed yet
  std::uint32_t initial_window = 2 << 20;    ///< bytes a new channel may receive before we say more
  std::uint32_t max_window = 16 << 20;       ///< auto-tuning stops here; per channel
  /// Windows granted on one link, all channels together, beyond the min_window of each. New channels get
  /// at most half of it; when all of it is granted, large windows shrink as they are used.
  std::size_t max_receive_bytes = 64 << 20;
  std::uint32_t min_window = 32 << 10;       ///< granted to a channel in any case
  std::uint32_t max_packet = 32 << 10;       ///< largest data message we accept; in process at least 255 KiB
  std::uint32_t min_remote_packet = 256;     ///< an open or confirmation with less is refused
  std::size_t send_buffer = 64 << 10;        ///< bytes that write() takes beyond what the window lets out, a lane
  std::size_t max_error_bytes = 256 << 10;   ///< unread error-lane bytes kept; older ones are dropped and counted
  std::size_t max_pending_requests = 64;     ///< unanswered requests a channel (and a link) in each direction
  std::size_t max_header_bytes = kMaxHeaderBytes;
  Duration open_timeout = std::chrono::seconds(30);   ///< our open unanswered for so long fails
  Duration close_timeout = std::chrono::seconds(30);  ///< our CLOSE unanswered for so long: the channel is reported closed (the number stays taken)
};

// ---- events

/// The other side wants a channel. Answer with confirm() or refuse(), now or later.
struct Opening {
  ChannelId id;
  std::string type;                 ///< "channel@streamkit", "session", "direct-tcpip", ...
  std::optional<OpenInfo> info;     ///< for channel@streamkit; `first` was moved to where peek() reads
  std::optional<ChannelId> parent;  ///< our number of the parent, for an attached one
  Bytes extra;                      ///< for every other type
};
/// The other side confirmed our open. `extra` is decoded for channel@streamkit.
struct Opened {
  ChannelId id;
  Headers headers;
  Bytes extra;
};
/// Our open was refused or timed out; the id is gone.
struct OpenFailed {
  ChannelId id;
  OpenFailure reason;
  std::string description;  ///< as the peer sent it: escape before showing
  bool timed_out = false;
};
/// Bytes (or the end of data) came on a lane since it was last read dry.
struct Readable {
  ChannelId id;
  Lane lane;
};
/// A write that was refused or cut may go on; it is this channel's turn. Or a lent one was sent.
struct Writable {
  ChannelId id;
};
/// A channel request that is not one of ours. With want_reply, answer in order by reply().
struct Request {
  ChannelId id;
  std::string type;
  bool want_reply;
  Bytes payload;
};
/// The answer to one of our channel requests, in the order they were sent.
struct RequestReply {
  ChannelId id;
  bool ok;
};
/// The other side asked us to stop sending on this channel (stop@streamkit).
struct StopSending {
  ChannelId id;
  std::uint32_t code;
};
/// Both sides have closed (or the link is lost, or the other side never answered our CLOSE). When this
/// event is polled and nothing is unread, the id is gone; otherwise those bytes can be read until
/// release(), which must follow.
struct Closed {
  ChannelId id;
  /// What the other side closed with. From stock software: exit-status (reason "exit-status", the number
  /// as message; ok for 0, else unknown) or exit-signal (reason "exit-signal", the signal's name; aborted).
  Status status;
  Headers trailers;
  bool has_status = false;   ///< the other side said how it ended
  std::optional<Error> error;  ///< reset, connection_lost, ...: not an orderly end
};
struct GlobalRequest {
  std::string type;
  bool want_reply;           ///< answer in order by reply_global()
  Bytes payload;
};
struct GlobalReply {
  std::uint64_t token;       ///< as global_request() gave it
  bool ok;
  Bytes payload;
};
using Event = std::variant<Opening, Opened, OpenFailed, Readable, Writable, Request, RequestReply, StopSending,
                           Closed, GlobalRequest, GlobalReply>;

class Multiplexer {
 public:
  /// With Wire::duplex, `@duplex` takes the place of channel@streamkit in all that is said here. What has
  /// no words there is Errc::usage (headers of a confirmation, stop_sending()) or goes unsaid (statuses).
  Multiplexer(PayloadPort& port, Limits limits = {}, Wire wire = Wire::streamkit);
  ~Multiplexer();
  Multiplexer(const Multiplexer&) = delete;
  Multiplexer& operator=(const Multiplexer&) = delete;

  // ---- inputs
  /// One message of number 80..127. An error is the remote's violation of RFC 4254: the link must be
  /// disconnected (Errc::protocol -> reason 2) and link_lost() called.
  /// With a keeper, received data may stay where it is until it is consumed, and need not be copied.
  Result<void> handle_payload(ByteView payload, TimePoint now, const Keeper& keeper = {});
  /// RFC 4254 defines this number. Any other one is dropped and counted by handle_payload(); whoever
  /// owns the transport answers it with UNIMPLEMENTED instead of handing it in.
  static bool is_known(std::uint8_t number) noexcept;
  /// The same for a message that came in two parts, of which the second is given away: data in it is
  /// moved, not copied, and take_frame() can move it on.
  Result<void> handle_given(ByteView header, Bytes body, TimePoint now);
  Result<void> handle_timeout(TimePoint now);
  /// The port can take data again: sends what waits, channel by channel in fair turns (deficit round
  /// robin, lower priority numbers first). Call after output was drained and after inputs.
  Result<void> port_ready(TimePoint now);
  /// Every channel, those that are still opening too, gets Closed with `error`; bytes already received
  /// stay readable. Requests that wait for a reply get ok = false. Final.
  void link_lost(const Error& error);
  /// A measured round trip, for window tuning.
  void set_round_trip(Duration rtt) noexcept;

  // ---- opening
  /// `extra` is appended to CHANNEL_OPEN as it is. Errc::limit when max_channels are open.
  Result<ChannelId> open(std::string_view type, ByteView extra, TimePoint now, std::uint32_t priority = 100);
  /// Opens channel@streamkit; `parent` attaches it to an open channel of ours.
  Result<ChannelId> open_service(OpenInfo info, std::optional<ChannelId> parent, TimePoint now);
  Result<void> confirm(ChannelId id, const Headers& headers, TimePoint now);
  Result<void> confirm_raw(ChannelId id, ByteView extra, TimePoint now);  ///< for every other type
  Result<void> refuse(ChannelId id, OpenFailure reason, std::string_view description);

  // ---- sending, on a channel that is open and not end_write()n
  /// Takes a prefix of `bytes` (sent at once as far as it is this channel's turn, the rest copied to the
  /// send buffer) and says how much; would_block for nothing, after which Writable comes. Errc::closed,
  /// Errc::reset after the end.
  Result<std::size_t> write(ChannelId id, Lane lane, ByteView bytes, TimePoint now);
  /// All of it into the send buffer, or none of it (false: no room; Writable comes). It leaves with
  /// the next port_ready(), together with what else waits. Errc::usage for more than send_buffer.
  Result<bool> append(ChannelId id, Lane lane, ByteView head, ByteView bytes);
  /// Queues `head` (at most 4 bytes, copied) and `bytes` (at most kLargestGiven), which are moved from
  /// and sent from where they are; a link inside one process moves them on. False, and `bytes` are as they
  /// were: the send buffer is full; Writable comes. What is taken may go over that limit once.
  Result<bool> give(ChannelId id, Lane lane, ByteView head, Bytes& bytes);
  /// Queues `head` (at most 4 bytes, copied) and `bytes`, which are sent from where they are and must
  /// stay there until lent_bytes() is 0, take_back() or the channel's end. One a lane at a time.
  /// Writable comes when all of it was sent.
  Result<void> lend(ChannelId id, Lane lane, ByteView head, ByteView bytes);
  std::size_t lent_bytes(ChannelId id, Lane lane) const noexcept;
  /// Ends the lending; what was not sent, head included, will not be. How many bytes that is.
  std::size_t take_back(ChannelId id, Lane lane) noexcept;
  /// Bytes that write() would take now.
  std::size_t writable_bytes(ChannelId id, Lane lane) const noexcept;
  /// Nothing of ours waits to be sent on this channel.
  bool is_flushed(ChannelId id) const noexcept;
  /// Whether a close() with these would send them: header_too_large, or usage for what the wire cannot
  /// say and for trailers behind others or the end. Other types of channels close without them.
  Result<void> check_trailers(ChannelId id, const Headers& trailers) const;
  /// At most once, before end_write(): sent after what was written. On `@duplex` the other side answers
  /// (RequestReply).
  Result<void> write_trailers(ChannelId id, const Headers& trailers);
  /// EOF after what was written.
  Result<void> end_write(ChannelId id);
  /// In order, after what was written: trailers if any, the status (close@streamkit on our own type, exit-status on
  /// a session), EOF, CLOSE. What arrives after this is discarded; Closed follows.
  Result<void> close(ChannelId id, const Status& status, const Headers& trailers, TimePoint now);
  /// Drops what waits, reset@streamkit (our own type only) and CLOSE at once. Closed with Errc::reset
  /// follows. An open that has no answer yet is withdrawn: OpenFailed follows.
  Result<void> reset(ChannelId id, Code code, std::string_view message, TimePoint now);
  /// Asks the other side to stop sending (stop@streamkit).
  Result<void> stop_sending(ChannelId id, std::uint32_t code);
  /// Any channel request; the reply comes as RequestReply. Goes out in order with written data.
  Result<void> request(ChannelId id, std::string_view type, bool want_reply, ByteView payload);
  Result<void> reply(ChannelId id, bool ok);
  Result<std::uint64_t> global_request(std::string_view type, bool want_reply, ByteView payload);
  Result<void> reply_global(bool ok, ByteView payload = {});

  // ---- receiving
  /// Received bytes of a lane, oldest first, as many as lie together (there may be more behind them);
  /// those of the data lane valid until they are consumed or released, those of the error lane until
  /// the next non-const call on this object. Empty means none now, or the end if is_eof().
  /// Works after Closed too, until release().
  ByteView peek(ChannelId id, Lane lane) const noexcept;
  /// Unread bytes of a lane.
  std::size_t readable_bytes(ChannelId id, Lane lane) const noexcept;
  /// Gives `n` bytes back; the window opens again by an eighth of it (by 1 MiB from 8 MiB up, by half under 64 KiB).
  Result<void> consume(ChannelId id, Lane lane, std::size_t n, TimePoint now);
  /// Consumes a frame with its header and moves it out, where the next bytes are one that was given to this
  /// side; else nothing happens. peek() shows its header, all four bytes and nothing else, before. It takes no
  /// time: windows are measured to when something last came, or the driver last called.
  std::optional<Bytes> take_frame(ChannelId id, Lane lane);
  /// The other side ended its direction and everything of it was consumed (data lane), or it is closed.
  bool is_eof(ChannelId id) const noexcept;
  /// Trailers that came so far.
  const Headers* trailers(ChannelId id) const noexcept;
  /// The status that came so far (it precedes the end of data); nothing while the other side has not said.
  std::optional<Status> status(ChannelId id) const;
  std::uint64_t dropped_error_bytes(ChannelId id) const noexcept;
  /// After Closed: forgets what was left unread. Until then those bytes count towards the link's total.
  void release(ChannelId id);

  // ---- outputs and getters
  std::optional<Event> poll_event();
  bool has_events() const noexcept;
  /// Some channel could send, if only the port could take it.
  bool wants_port() const noexcept;
  /// Several channels have been taking turns to send, just now: what is decided early makes one of them
  /// wait for the others.
  bool is_shared() const noexcept;
  std::optional<TimePoint> next_timeout() const noexcept;
  std::size_t open_channels() const noexcept;
  /// Of channels with a service and headers: "channel@streamkit", or "@duplex". Static text.
  std::string_view channel_type() const noexcept;
  /// Messages we owe an answer to, and events not yet taken; the driver stops reading from the link while
  /// this is high, so that a flood of requests cannot fill memory.
  std::size_t owed_bytes() const noexcept;
  /// Requests were read whose replies are for whoever takes the events to give.
  bool owes_replies() const noexcept;
  bool is_open(ChannelId id) const noexcept;
  /// Messages that were legal but meant nothing: replies nobody asked for, unknown numbers.
  std::uint64_t dropped_messages() const noexcept;
  /// Receive windows granted on this link, all channels together, and unread bytes beside them.
  std::size_t granted_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamkit::channel
