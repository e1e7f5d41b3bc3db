// ChannelState: one channel between the application's operations and the multiplexer. It queues reads
// and writes in order, puts frames together, and knows how the channel ended.
//
// On the connection's Context only; Channel (the handle) takes the Lock.
#pragma once

#include "connection.hpp"

#include <streamkit/channel/frame.hpp>

#include <list>
#include <optional>
#include <variant>
#include <vector>

namespace streamkit {

class ChannelState final : public std::enable_shared_from_this<ChannelState> {
 public:
  using Lane = channel::Lane;
  enum class Phase {
    opening,   // we asked
    session,   // a stock client's session: waits for what it wants to run
    incoming,  // the other side asked; nobody has answered
    open,
    closed,    // ended; what was received may still be read
  };

  ChannelState(std::shared_ptr<Connection> connection, channel::ChannelId id);
  ~ChannelState();

  // ---- what the handle does. Each operation has a number by which it can be withdrawn.
  std::uint64_t read(Lane lane, MutableByteView out, Completion<std::size_t> done);
  std::uint64_t read_frame(Lane lane, Completion<Bytes> done);
  std::uint64_t write(Lane lane, ByteView bytes, bool framed, Completion<void> done);
  std::uint64_t write_frame(Bytes frame, Completion<void> done);
  std::uint64_t accept(Completion<Channel> done);
  std::uint64_t wait_closed(Completion<Closed> done);
  /// Its completion will not be called. A write that was partly sent resets the channel: what follows
  /// it would not be where the other side expects it.
  void withdraw(std::uint64_t operation);

  /// Reads what is there already, without queueing; would_block when others wait or nothing is there.
  Result<std::size_t> try_read(Lane lane, MutableByteView out);
  Result<Bytes> try_read_frame(Lane lane);
  /// Writes at once, as much as goes; would_block for nothing, and when others wait.
  Result<std::size_t> try_write(Lane lane, ByteView bytes);
  /// Takes a small write for the next time the connection is driven, together with others; false:
  /// it is too large, or has to wait its turn.
  Result<bool> try_queue(Lane lane, ByteView bytes, bool framed);
  /// The same for a frame on the data lane that may be moved, and is when the answer is true.
  Result<bool> try_give(Bytes& frame);
  Result<ByteView> peek();
  void consume(std::size_t n);
  /// The next frame as it lies in the received data, where it lies together.
  Result<ByteView> peek_frame();
  void consume_frame();
  void on_readable(Task task);
  void on_writable(Task task);

  /// Up to how many bytes a write is copied together with others, instead of being sent from where it is.
  std::size_t copied_below() const noexcept;

  Result<void> close_write();
  Result<void> write_trailers(const Headers& trailers);
  Result<void> close(Status status, Headers trailers);
  void reset(Code code, std::string_view message);
  /// The last handle is gone.
  void drop();

  // ---- answers to the other side's open
  Result<Channel> confirm(const Headers& response);
  void refuse(Code code, std::string_view message);

  // ---- events of the multiplexer
  void opened(channel::Opened& e);
  void open_failed(const channel::OpenFailed& e);
  void readable(Lane lane);
  void writable();
  void requested(channel::Request& e);
  void replied(bool ok);
  void ended(channel::Closed& e);
  void attach(std::shared_ptr<ChannelState> child);

  /// A stock server's session: what to run once it is open.
  void run_in_session(OpenForm form, std::string service, Headers environment);

  // Set by the connection when it makes the state.
  ChannelInfo info;
  Headers response_headers;
  Phase phase = Phase::opening;
  bool is_native = true;      ///< channel@streamkit: the error lane has frames, close has a status
  bool is_incoming = false;   ///< the other side opened it
  std::unique_ptr<Completion<Channel>> on_opened;  ///< while `opening`; a child's opener may take it away

  channel::ChannelId id() const noexcept { return id_; }
  const std::shared_ptr<Connection>& connection() const noexcept { return connection_; }
  io::Context& context() const noexcept { return *connection_->context(); }
  bool is_open() const noexcept { return phase == Phase::open && !closing_; }
  /// The status the other side has sent so far (it precedes the end of data).
  std::optional<Error> failure() const;

 private:
  struct ReadBytes {
    MutableByteView out;
    Completion<std::size_t> done;
  };
  struct ReadFrame {
    Completion<Bytes> done;
  };
  struct Read {
    std::uint64_t number;
    std::variant<ReadBytes, ReadFrame> what;
  };
  struct Write {
    std::uint64_t number;
    ByteView bytes;
    bool framed;
    bool is_lent;
    Completion<void> done;
    Bytes given{};  // what `bytes` are in, where they are ours
  };
  struct Accept {
    std::uint64_t number;
    Completion<Channel> done;
  };
  struct CloseWaiter {
    std::uint64_t number;
    Completion<Closed> done;
  };
  // Most channels never have channels on them, and are not waited for.
  struct Children {
    std::list<Accept> accepts;
    std::list<std::shared_ptr<ChannelState>> attached;
  };
  struct Notices {
    Task readable, writable;
  };
  // Reading goes through a view of what the multiplexer holds; what was read of it is given back
  // from time to time, not for every frame.
  struct LaneState {
    std::list<Read> reads;
    std::list<Write> writes;
    std::unique_ptr<channel::FrameReader> frames;  // once frames are read
    ByteView ahead;         // peeked and not read yet
    std::size_t taken = 0;  // read and not given back yet
  };

  channel::FrameReader& frames(Lane l);
  bool is_mid_frame(Lane l) noexcept;
  LaneState& lane(Lane l) noexcept { return lanes_[static_cast<std::size_t>(l)]; }
  channel::Multiplexer& mux() const noexcept { return connection_->mux(); }
  ByteView unread(Lane l);
  void advance(Lane l, std::size_t n);
  std::size_t copy_out(Lane l, MutableByteView out);
  void settle(Lane l);
  Result<std::optional<Bytes>> take_frame(Lane l, ByteView have);
  std::optional<ByteView> whole_frame(Lane l, ByteView have) noexcept;
  Result<void> check_writing() const;
  Result<void> check_frame(std::size_t size) const;
  bool is_frame_size(std::size_t size) const noexcept;
  bool may_write() const noexcept { return !wants_end_ && !wants_close_ && phase == Phase::open; }
  bool should_give(const Bytes& frame) const noexcept;
  std::uint64_t begin_write(Lane l, Write w);
  bool has_header(Lane l, bool framed) const noexcept { return framed && (l == Lane::data || is_native); }
  template <class What>
  std::uint64_t begin_read(Lane l, What what);
  void progress_reads(Lane l);
  void after_reads();
  bool progress_read(Lane l, ReadBytes& r);
  bool progress_read(Lane l, ReadFrame& r);
  void progress_writes(Lane l);
  Result<bool> progress_write(Lane l, Write& w);
  bool finish_write(Lane l, Write& w);
  void after_writes();
  void give_accepts();
  void fail_operations(const Error& error);
  Error end_error() const;
  bool is_at_end(Lane l);
  void release_if_read();
  void start_service();

  void tell_opened(Result<Channel> channel);
  Children& children();
  Notices& notices();
  void notify(Task Notices::*which);

  template <class T>
  void finish(Completion<T>& done, Result<T> result) {
    connection_->complete([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }

  const std::shared_ptr<Connection> connection_;
  const channel::ChannelId id_;
  std::uint32_t environment_bytes_ = 0;  // of a stock client's session
  std::uint64_t last_number_ = 0;
  std::array<LaneState, 2> lanes_;
  Bytes assembled_;           // a frame that did not lie together, for peek_frame()
  std::size_t framed_ = 0;    // bytes of the frame that peek_frame() showed where it lies
  std::unique_ptr<Children> children_;
  std::vector<CloseWaiter> close_waiters_;
  std::unique_ptr<const Result<Closed>> end_;
  std::unique_ptr<Notices> notices_;
  bool is_assembled_ = false;
  bool queue_was_full_ = false;  // and Writable has not come since
  bool closing_ = false, wants_end_ = false, sent_end_ = false, released_ = false, abandoned_ = false;
  std::unique_ptr<std::pair<Status, Headers>> wants_close_;
  // stock sessions
  OpenForm session_form_ = OpenForm::session_subsystem;  // ours: exec or subsystem
  bool owes_reply_ = false;  // to the request that started the service
};

static_assert(sizeof(ChannelState) <= 456, "an idle channel is promised to cost less than 1 KiB");

/// The opener of `child` has given up: when it opens after all, it is reset. Nothing for nullptr.
void stop_waiting_for(const std::shared_ptr<ChannelState>& child);

}  // namespace streamkit
