// Channel: what an application reads from and writes to. A cheap handle; the channel itself lives on
// its link.
//
//   x(...)        blocking form: any thread but the Context's own (there: would_deadlock)
//   async_x(...)  the same operation with a completion, on the Context
//
// The directions are independent: one thread may read while another writes. Bytes and frames are two
// ways to see one lane; do not mix them in one direction unless both sides mean it.
#pragma once

#include <streamkit/base/headers.hpp>
#include <streamkit/crypto/certificate.hpp>
#include <streamkit/peer/endpoint.hpp>
#include <streamkit/peer/until.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace streamkit::io {
class Context;
class Stream;
}  // namespace streamkit::io

namespace streamkit {

/// Who is at the other end of a link.
struct PeerInfo {
  std::uint64_t link = 0;          ///< this link's number in our Peer; never reused
  std::string name;                ///< the peer's name; for stock SSH software the user name
  crypto::PublicKey key;           ///< that authenticated; empty in process and for passwords
  /// That was believed for it: its key_id(), principals() and signature_key() tell who says whose key it is.
  std::optional<crypto::Certificate> certificate;
  std::string endpoint;            ///< where it was bound or connected
  std::string address;             ///< remote address, for people
  std::string software;            ///< SSH identification, escaped
  std::string cipher;              ///< protects what we send, "aes128-gcm@openssh.com"; empty in process
  std::string cipher_by;           ///< who computes it here, "ipsec-mb 1.3.0" or "OpenSSL 3.0.17"
  bool native = true;              ///< speaks Streamkit (or its ancestor: the endpoint says so); false: stock SSH software
  bool outgoing = false;           ///< we connected
  Duration round_trip{};           ///< last measured; 0: not yet
};

struct ChannelInfo {
  std::string service;
  Headers headers;
  std::shared_ptr<const PeerInfo> remote;  ///< as it was when the channel was opened; never null in a channel's info
  std::string_view type;           ///< SSH channel type, "channel@streamkit" or "@duplex", say; static text
  bool framed = false;
  Duration deadline{};             ///< the opener's wish; 0: none
};

/// How the other side ended the channel.
struct Closed {
  Status status;
  Headers trailers;
};

struct JoinStats {
  std::uint64_t from_channel = 0;  ///< bytes
  std::uint64_t to_channel = 0;
};

/// How a channel is asked for on the wire. Stock SSH servers know the last four only.
enum class OpenForm { channel, session_subsystem, session_exec, direct_tcpip, direct_streamlocal };

struct OpenOptions {
  Headers headers;                 ///< at most 64 KiB in all
  Bytes first;                     ///< at most 32 KiB, readable at the other side as soon as it accepts
  bool framed = false;
  std::uint32_t priority = 100;    ///< lower goes first on its link
  OpenForm form = OpenForm::channel;
};

class Incoming;
class ChannelState;

class Channel {
 public:
  Channel() = default;             ///< no channel; only assignment and is_open() make sense
  explicit Channel(std::shared_ptr<ChannelState> state);
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&&) noexcept;
  /// An unclosed channel is reset with `cancelled`.
  ~Channel();

  const ChannelInfo& info() const noexcept;
  /// Headers the accepting side answered with; empty on the side that accepted.
  const Headers& response_headers() const noexcept;
  bool is_open() const noexcept;
  io::Context& context() const noexcept;

  // ---- bytes
  /// 1..out.size() bytes; Errc::eof after the other side's end.
  Result<std::size_t> read(MutableByteView out, Until until = {});
  /// All of it, or an error. After a timeout an unknown part was sent.
  Result<void> write(ByteView bytes, Until until = {});
  Result<void> write(std::string_view text, Until until = {}) { return write(as_bytes(text), std::move(until)); }

  // ---- frames: 0..max_frame bytes, boundaries kept
  Result<Bytes> read_frame(Until until = {});
  Result<void> write_frame(ByteView frame, Until until = {});
  /// Takes the frame over, and may be done before it was sent (one write at a time and less than the send
  /// buffer wait, as ever). In process the buffer itself moves to read_frame() at the other side, from
  /// 2 KiB to 255 KiB; otherwise it spares waiting, not copying. After an error the frame is gone.
  template <std::same_as<Bytes> Owned>
  Result<void> write_frame(Owned&& frame, Until until = {}) {
    return write_owned(std::move(frame), std::move(until));
  }
  Result<void> write_frame(std::string_view text, Until until = {}) { return write_frame(as_bytes(text), std::move(until)); }

  // ---- the error lane: frames of its own beside the data
  Result<Bytes> read_error(Until until = {});
  Result<void> write_error(ByteView frame, Until until = {});

  // ---- ending
  /// Ends our direction; the other stays open.
  Result<void> close_write();
  /// Sent before the end of our direction; at most once.
  Result<void> write_trailers(const Headers& trailers);
  /// Ends both directions in order: what was written still arrives, then trailers and status.
  Result<void> close(Status status = {}, Headers trailers = {});
  /// Ends both directions at once; the other side sees Errc::reset.
  void reset(Code code = Code::cancelled, std::string_view message = {});
  /// Waits for the other side's end. An orderly one gives its status and trailers; a reset or a lost
  /// link is an error.
  Result<Closed> wait_closed(Until until = {});

  // ---- channels on this channel
  Result<Channel> open(std::string service, OpenOptions options = {}, Until until = {});
  Result<Channel> accept(Until until = {});

  // ---- gateways
  /// Moves bytes both ways between this channel and a descriptor (which it takes over) until both
  /// directions ended; half-close is kept in both directions.
  Result<JoinStats> join(int fd, Until until = {});
  Result<JoinStats> join(Channel other, Until until = {});

  // ---- completions. Views must stay valid until the completion.
  void async_read(MutableByteView out, Completion<std::size_t> done);
  void async_write(ByteView bytes, Completion<void> done);
  void async_read_frame(Completion<Bytes> done);
  void async_write_frame(ByteView frame, Completion<void> done);
  template <std::same_as<Bytes> Owned>
  void async_write_frame(Owned&& frame, Completion<void> done) {
    async_write_owned(std::move(frame), std::move(done));
  }
  void async_read_error(Completion<Bytes> done);
  void async_write_error(ByteView frame, Completion<void> done);
  void async_wait_closed(Completion<Closed> done);
  void async_open(std::string service, OpenOptions options, Until until, Completion<Channel> done);
  void async_accept(Completion<Channel> done);
  void async_join(std::unique_ptr<io::Stream> stream, Completion<JoinStats> done);

  // ---- readiness, on the Context
  /// A prefix of `bytes`; would_block when the window or the link is full: on_writable() tells when not.
  Result<std::size_t> write_some(ByteView bytes);
  /// Received bytes, valid until consume() or the Context moves on; would_block for none, eof at the end.
  Result<ByteView> peek();
  void consume(std::size_t n);
  /// Queues a frame of at most kMaxQueuedFrame bytes, or half of Limits::send_buffer, which is copied; false when there is no room for it now:
  /// on_writable() tells when there is. Frames that are queued one after another leave together.
  Result<bool> write_frame_some(ByteView frame);
  static constexpr std::size_t kMaxQueuedFrame = 8 * 1024;
  /// The next frame, valid until consume_frame() or the Context moves on; would_block for none, eof at
  /// the end. Do not mix with peek() and reads that wait.
  Result<ByteView> peek_frame();
  void consume_frame();
  /// Called once when peek() (write_some()) would answer something else than would_block.
  void on_readable(Task task);
  void on_writable(Task task);

  /// This channel as an io::Stream on its Context. An end with a status that is not ok, a reset and a
  /// lost link are errors of read_some that carry the remote Status.
  static std::unique_ptr<io::Stream> into_stream(Channel channel);

  /// Two ends of a channel in this process, without a peer: the same semantics and limits. Each end
  /// may be used by any thread.
  static std::pair<Channel, Channel> pair(std::string service = "pair", OpenOptions options = {});

 private:
  friend class Incoming;
  // Behind templates, so that a frame in braces is a view as it always was.
  Result<void> write_owned(Bytes&& frame, Until until);
  void async_write_owned(Bytes&& frame, Completion<void> done);

  std::shared_ptr<ChannelState> state_;
};

/// A channel that the other side asked for and nobody has answered yet. Move-only; unanswered, it is
/// refused when it goes.
class Incoming {
 public:
  explicit Incoming(std::shared_ptr<ChannelState> state);
  Incoming(Incoming&&) noexcept = default;
  Incoming& operator=(Incoming&&) noexcept;
  ~Incoming();

  const ChannelInfo& info() const noexcept;
  /// Confirms with response headers. An error means that the other side has gone meanwhile, or is
  /// refused because these headers cannot be sent: they are over 64 KiB, or there are any and its link
  /// speaks an older wire.
  Result<Channel> accept(const Headers& response = {});
  /// The opener's open fails with Errc::refused (permission_denied), no_such_service (not_found), limit
  /// (resource_exhausted) or unavailable (everything else), and this text.
  void refuse(Code code, std::string_view message);

 private:
  std::shared_ptr<ChannelState> state_;
};

}  // namespace streamkit
