#include "channel_state.hpp"

#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace streamkit {
namespace {

// A write of at most this many bytes is copied, so that many leave in one message; a larger one is
// sent from where it is.
constexpr std::size_t kCopyBelow = Channel::kMaxQueuedFrame;
// In process a frame that may be moved is, from this many bytes on: less is copied in the same time.
constexpr std::size_t kMoveFrom = 2 * 1024;
// So much is read before the window hears of it, at most: far less than the smallest window.
constexpr std::size_t kSettleAt = 8 * 1024;

}  // namespace

ChannelState::ChannelState(std::shared_ptr<Connection> connection, channel::ChannelId id)
    : connection_(std::move(connection)), id_(id) {}

ChannelState::~ChannelState() = default;

channel::FrameReader& ChannelState::frames(Lane l) {
  std::unique_ptr<channel::FrameReader>& frames = lane(l).frames;
  if (!frames) frames = std::make_unique<channel::FrameReader>(connection_->settings().max_frame);
  return *frames;
}

bool ChannelState::is_mid_frame(Lane l) noexcept {
  return lane(l).frames && lane(l).frames->is_mid_frame();
}

ChannelState::Children& ChannelState::children() {
  if (!children_) children_ = std::make_unique<Children>();
  return *children_;
}

ChannelState::Notices& ChannelState::notices() {
  if (!notices_) notices_ = std::make_unique<Notices>();
  return *notices_;
}

// ---------------------------------------------------------------- reading

std::uint64_t ChannelState::read(Lane l, MutableByteView out, Completion<std::size_t> done) {
  return begin_read(l, ReadBytes{out, std::move(done)});
}

std::uint64_t ChannelState::read_frame(Lane l, Completion<Bytes> done) {
  return begin_read(l, ReadFrame{std::move(done)});
}

// What has come already is read without a place in the queue.
template <class What>
std::uint64_t ChannelState::begin_read(Lane l, What what) {
  const std::uint64_t number = ++last_number_;
  if (lane(l).reads.empty() && progress_read(l, what)) {
    after_reads();
  } else {
    lane(l).reads.push_back({number, std::move(what)});
  }
  return number;
}

// What can be read now, as far as it lies together. The multiplexer may drop bytes of the error
// lane, so that one is looked at anew each time.
ByteView ChannelState::unread(Lane l) {
  if (released_) return {};
  LaneState& s = lane(l);
  if (!s.ahead.empty() && l == Lane::data) return s.ahead;
  settle(l);
  s.ahead = mux().peek(id_, l);
  return s.ahead;
}

void ChannelState::advance(Lane l, std::size_t n) {
  LaneState& s = lane(l);
  s.ahead = s.ahead.subspan(n);
  s.taken += n;
  if (l == Lane::error || s.ahead.empty() || s.taken >= kSettleAt) settle(l);
}

// Gives back what was read, so that the window opens.
void ChannelState::settle(Lane l) {
  const std::size_t taken = std::exchange(lane(l).taken, 0);
  // A failure here is a link that just died; Closed tells.
  if (taken > 0 && !released_) (void)mux().consume(id_, l, taken, io::now());
}

bool ChannelState::is_at_end(Lane l) {
  if (!unread(l).empty()) return false;
  return phase == Phase::closed || mux().is_eof(id_);
}

Error ChannelState::end_error() const {
  if (end_ && !*end_) return end_->error();
  return closing_ ? Errc::closed : Errc::eof;
}

Result<std::size_t> ChannelState::try_read(Lane l, MutableByteView out) {
  if (!lane(l).reads.empty() || closing_) return closing_ ? Errc::closed : Errc::would_block;
  if (out.empty()) return std::size_t{0};
  const std::size_t n = copy_out(l, out);
  if (n == 0) return is_at_end(l) ? end_error() : Error(Errc::would_block);
  release_if_read();
  return n;
}

// As much as is there, piece by piece.
std::size_t ChannelState::copy_out(Lane l, MutableByteView out) {
  std::size_t copied = 0;
  while (copied < out.size()) {
    const ByteView have = unread(l);
    if (have.empty()) break;
    const std::size_t n = std::min(have.size(), out.size() - copied);
    std::memcpy(out.data() + copied, have.data(), n);
    advance(l, n);
    copied += n;
  }
  return copied;
}

// One step of putting a frame together from what lies together.
Result<std::optional<Bytes>> ChannelState::take_frame(Lane l, ByteView have) {
  if (l == Lane::error && !is_native) {  // a stock program's stderr has no frames: what is there is one
    Bytes all = to_bytes(have);
    advance(l, all.size());
    return std::optional<Bytes>(std::move(all));
  }
  if (have.size() == 4 && !is_mid_frame(l) && wire::load_u32(have.data()) <= connection_->settings().max_frame) {
    settle(l);
    // The clock would cost as much as all the rest; the multiplexer knows when this came.
    if (std::optional<Bytes> given = mux().take_frame(id_, l)) {
      lane(l).ahead = {};
      return given;
    }
  }
  std::size_t used = 0;
  Result<std::optional<Bytes>> frame = frames(l).take(have, used);
  advance(l, used);
  if (!frame) reset(Code::resource_exhausted, "a frame longer than this side accepts");
  return frame;
}

// The next frame, where all of it lies together.
std::optional<ByteView> ChannelState::whole_frame(Lane l, ByteView have) noexcept {
  if (have.size() < 4 || is_mid_frame(l)) return std::nullopt;
  const std::size_t size = wire::load_u32(have.data());
  if (size > connection_->settings().max_frame || have.size() - 4 < size) return std::nullopt;
  return have.subspan(4, size);
}

Result<Bytes> ChannelState::try_read_frame(Lane l) {
  if (closing_) return Errc::closed;
  if (!lane(l).reads.empty()) return Errc::would_block;
  if (l == Lane::data && is_assembled_) {
    is_assembled_ = false;
    return std::move(assembled_);
  }
  while (true) {
    const ByteView have = unread(l);
    if (have.empty()) {
      if (!is_at_end(l)) return Errc::would_block;
      if (is_mid_frame(l) && end_error().is(Errc::eof))
        return Error(Errc::protocol, "the data ended inside a frame");
      return end_error();
    }
    if (l == Lane::data) {
      if (const std::optional<ByteView> whole = whole_frame(l, have)) {
        Bytes frame = to_bytes(*whole);
        advance(l, 4 + frame.size());
        release_if_read();
        return frame;
      }
    }
    Result<std::optional<Bytes>> frame = take_frame(l, have);
    if (!frame) return frame.error();
    if (!*frame) continue;
    release_if_read();
    return std::move(**frame);
  }
}

Result<ByteView> ChannelState::peek_frame() {
  if (is_assembled_) return ByteView(assembled_);
  if (!closing_ && lane(Lane::data).reads.empty()) {
    if (const std::optional<ByteView> whole = whole_frame(Lane::data, unread(Lane::data))) {
      framed_ = 4 + whole->size();
      return *whole;
    }
  }
  Result<Bytes> frame = try_read_frame(Lane::data);
  if (!frame) return frame.error();
  assembled_ = std::move(*frame);
  is_assembled_ = true;
  return ByteView(assembled_);
}

void ChannelState::consume_frame() {
  if (std::exchange(is_assembled_, false)) {
    Bytes().swap(assembled_);
  } else if (const std::size_t n = std::exchange(framed_, 0)) {
    advance(Lane::data, n);
  }
  release_if_read();
}

bool ChannelState::progress_read(Lane l, ReadBytes& r) {
  if (unread(l).empty()) {
    if (!is_at_end(l)) return false;
    finish(r.done, Result<std::size_t>(end_error()));
  } else {
    finish(r.done, Result<std::size_t>(copy_out(l, r.out)));
  }
  return true;
}

bool ChannelState::progress_read(Lane l, ReadFrame& r) {
  Result<Bytes> frame = try_read_frame(l);
  if (!frame && frame.error().is(Errc::would_block)) return false;
  finish(r.done, std::move(frame));
  return true;
}

void ChannelState::progress_reads(Lane l) {
  std::list<Read>& reads = lane(l).reads;
  // All are taken out first: a frame that is too long resets the channel, and that clears the queue.
  std::list<Read> due;
  due.swap(reads);
  while (!due.empty() && std::visit([&](auto& what) { return progress_read(l, what); }, due.front().what))
    due.pop_front();
  reads.splice(reads.begin(), due);
  after_reads();
}

void ChannelState::after_reads() {
  if (closing_) fail_operations(Errc::closed);
  release_if_read();
}

Result<ByteView> ChannelState::peek() {
  if (closing_) return Errc::closed;
  const ByteView have = unread(Lane::data);
  if (!have.empty()) return have;
  if (is_at_end(Lane::data)) return end_error();
  return Errc::would_block;
}

void ChannelState::consume(std::size_t n) {
  // More than lies together may have been counted by the caller's own peeks only.
  advance(Lane::data, std::min(n, unread(Lane::data).size()));
  release_if_read();
}

void ChannelState::on_readable(Task task) {
  notices().readable = std::move(task);
  const Result<ByteView> now = peek();
  if (now || !now.error().is(Errc::would_block)) notify(&Notices::readable);
}

void ChannelState::notify(Task Notices::*which) {
  if (notices_ && (*notices_).*which) connection_->complete(std::exchange((*notices_).*which, {}));
}

void ChannelState::readable(Lane l) {
  progress_reads(l);
  if (l == Lane::data) notify(&Notices::readable);
}

// ---------------------------------------------------------------- writing

Result<void> ChannelState::check_writing() const {
  if (may_write()) return {};
  return end_ && !*end_ ? end_->error() : Error(Errc::closed);
}

bool ChannelState::is_frame_size(std::size_t size) const noexcept {
  return size <= connection_->settings().max_frame && size <= connection_->max_frame_remote();
}

// Why a frame may not be written; who has seen that it may need not ask.
Result<void> ChannelState::check_frame(std::size_t size) const {
  if (is_frame_size(size)) return check_writing();
  return Error(Errc::frame_too_large,
               "a frame of " + std::to_string(size) + " bytes is longer than max_frame");
}

std::uint64_t ChannelState::write(Lane l, ByteView bytes, bool framed, Completion<void> done) {
  return begin_write(l, {++last_number_, bytes, framed, false, std::move(done)});
}

std::uint64_t ChannelState::write_frame(Bytes frame, Completion<void> done) {
  Write w{++last_number_, frame, true, false, std::move(done)};
  w.given = std::move(frame);  // which stays where it is
  return begin_write(Lane::data, std::move(w));
}

std::uint64_t ChannelState::begin_write(Lane l, Write w) {
  const std::uint64_t number = w.number;
  if (Result<void> may = w.framed ? check_frame(w.bytes.size()) : check_writing(); !may) {
    finish(w.done, std::move(may));
    return number;
  }
  w.framed = has_header(l, w.framed);
  if (!lane(l).writes.empty() || !finish_write(l, w)) {
    lane(l).writes.push_back(std::move(w));
  } else {
    after_writes();
  }
  return number;
}

Result<std::size_t> ChannelState::try_write(Lane l, ByteView bytes) {
  if (Result<void> may = check_writing(); !may) return may.error();
  if (!lane(l).writes.empty()) return Errc::would_block;
  if (bytes.empty()) return std::size_t{0};
  return mux().write(id_, l, bytes, io::now());
}

Result<bool> ChannelState::try_queue(Lane l, ByteView bytes, bool framed) {
  if (!may_write() || (framed && !is_frame_size(bytes.size())))
    if (Result<void> may = framed ? check_frame(bytes.size()) : check_writing(); !may) return may.error();
  if (bytes.size() > copied_below() || !lane(l).writes.empty()) return false;
  const std::array<std::byte, 4> header = channel::frame_header(bytes.size());
  Result<bool> queued = mux().append(id_, l, ByteView(header).first(has_header(l, framed) ? 4 : 0), bytes);
  if (l == Lane::data) queue_was_full_ = queued && !*queued;
  return queued;
}

std::size_t ChannelState::copied_below() const noexcept {
  return std::min(kCopyBelow, connection_->settings().channels.send_buffer / 2);
}

// A frame that takes much more memory than it has bytes is copied: windows count bytes.
bool ChannelState::should_give(const Bytes& frame) const noexcept {
  const std::size_t least = connection_->settings().is_inproc ? kMoveFrom : copied_below() + 1;
  return frame.size() >= least && frame.size() <= channel::kLargestGiven && frame.capacity() / 2 <= frame.size();
}

Result<bool> ChannelState::try_give(Bytes& frame) {
  if (!should_give(frame)) return try_queue(Lane::data, frame, true);
  if (!may_write() || !is_frame_size(frame.size()))
    if (Result<void> may = check_frame(frame.size()); !may) return may.error();
  if (!lane(Lane::data).writes.empty()) return false;
  const std::array<std::byte, 4> header = channel::frame_header(frame.size());
  Result<bool> given = mux().give(id_, Lane::data, header, frame);
  queue_was_full_ = given && !*given;
  return given;
}

// True: all of it is with the multiplexer, or was sent from where it is.
Result<bool> ChannelState::progress_write(Lane l, Write& w) {
  const std::array<std::byte, 4> header = channel::frame_header(w.bytes.size());
  const ByteView head = ByteView(header).first(w.framed ? 4 : 0);
  if (w.is_lent) return mux().lent_bytes(id_, l) == 0;
  if (should_give(w.given)) return mux().give(id_, l, head, w.given);
  if (w.bytes.size() <= copied_below()) return mux().append(id_, l, head, w.bytes);
  if (Result<void> lent = mux().lend(id_, l, head, w.bytes); !lent) return lent.error();
  w.is_lent = true;
  return false;
}

// False: it has to wait.
bool ChannelState::finish_write(Lane l, Write& w) {
  const Result<bool> done = progress_write(l, w);
  if (done && !*done) return false;
  finish(w.done, done ? Result<void>() : Result<void>(done.error()));
  return true;
}

void ChannelState::progress_writes(Lane l) {
  std::list<Write>& writes = lane(l).writes;
  while (!writes.empty() && finish_write(l, writes.front())) writes.pop_front();
  after_writes();
}

// What was asked to happen once everything is written.
void ChannelState::after_writes() {
  if (phase != Phase::open || !lanes_[0].writes.empty() || !lanes_[1].writes.empty()) return;
  if (wants_end_ && !sent_end_) {
    sent_end_ = true;
    (void)mux().end_write(id_);  // it fails only where the channel has ended already
  }
  if (wants_close_ && !closing_) {
    closing_ = true;
    fail_operations(Errc::closed);
    (void)mux().close(id_, wants_close_->first, wants_close_->second, io::now());
  }
}

void ChannelState::writable() {
  queue_was_full_ = false;
  progress_writes(Lane::error);
  progress_writes(Lane::data);
  if (lane(Lane::data).writes.empty()) notify(&Notices::writable);
}

void ChannelState::on_writable(Task task) {
  notices().writable = std::move(task);
  if (!is_open() || wants_end_ || (!queue_was_full_ && mux().writable_bytes(id_, Lane::data) > 0))
    notify(&Notices::writable);
}

// ---------------------------------------------------------------- ending

Result<void> ChannelState::close_write() {
  if (phase != Phase::open) return end_ && !*end_ ? end_->error() : Error(Errc::closed);
  wants_end_ = true;
  after_writes();
  return {};
}

Result<void> ChannelState::write_trailers(const Headers& trailers) {
  if (phase != Phase::open || wants_end_ || wants_close_) return Errc::closed;
  if (!lanes_[0].writes.empty())
    return Error(Errc::usage, "trailers follow the data: wait until what you wrote has completed");
  return mux().write_trailers(id_, trailers);
}

Result<void> ChannelState::close(Status status, Headers trailers) {
  if (phase == Phase::closed) return {};
  if (phase != Phase::open) return reset(Code::cancelled, {}), Result<void>();
  if (!trailers.empty()) {
    if (wants_end_) return Error(Errc::usage, "trailers go before close_write()");
    if (Result<void> fit = mux().check_trailers(id_, trailers); !fit) return fit;
  }
  if (!wants_close_)
    wants_close_ = std::make_unique<std::pair<Status, Headers>>(std::move(status), std::move(trailers));
  after_writes();
  return {};
}

void ChannelState::reset(Code code, std::string_view message) {
  if (phase == Phase::opening) {
    abandoned_ = true;
    return;
  }
  if (phase == Phase::incoming || phase == Phase::session) return refuse(code, message);
  if (phase == Phase::closed) return;
  closing_ = true;
  fail_operations(Errc::closed);
  (void)mux().reset(id_, code, message, io::now());
}

void ChannelState::drop() {
  // Outside of us: what a notice holds may be the last handle of another channel.
  const std::unique_ptr<Notices> dropped = std::move(notices_);
  if (phase == Phase::closed) {
    if (!released_) {
      released_ = true;
      mux().release(id_);
      connection_->forget(id_);
    }
    return;
  }
  if (!wants_close_ && !closing_) reset(Code::cancelled, {});
}

std::uint64_t ChannelState::wait_closed(Completion<Closed> done) {
  const std::uint64_t number = ++last_number_;
  if (end_) {
    finish(done, Result<Closed>(*end_));
  } else {
    close_waiters_.push_back({number, std::move(done)});
  }
  return number;
}

void ChannelState::ended(channel::Closed& e) {
  const bool has_handle = phase == Phase::open && !closing_;
  phase = Phase::closed;
  if (e.error) {
    end_ = std::make_unique<const Result<Closed>>(*e.error);
  } else {
    end_ = std::make_unique<const Result<Closed>>(Closed{std::move(e.status), std::move(e.trailers)});
  }
  const Error why = end_error();
  for (LaneState& l : lanes_) {
    for (Write& w : l.writes)
      finish(w.done, Result<void>(why.is(Errc::eof) ? Error(Errc::closed) : why));
    l.writes.clear();
  }
  for (CloseWaiter& w : close_waiters_) finish(w.done, Result<Closed>(*end_));
  close_waiters_.clear();
  if (const auto children = std::move(children_))
    for (Accept& a : children->accepts) finish(a.done, Result<Channel>(why));
  readable(Lane::data);
  progress_reads(Lane::error);
  notify(&Notices::writable);
  tell_opened(why);
  if (!has_handle) return drop();
  release_if_read();
}

std::optional<Error> ChannelState::failure() const {
  if (end_ && !*end_) return end_->error();
  if (end_)
    return (*end_)->status.ok() ? std::nullopt
                                : std::optional<Error>(Error(Errc::reset, (*end_)->status));
  if (const std::optional<Status> s = mux().status(id_); s && !s->ok())
    return Error(Errc::reset, *s);
  return std::nullopt;
}

// The multiplexer keeps a closed channel's unread bytes until they are read or given up.
void ChannelState::release_if_read() {
  if (phase != Phase::closed || released_) return;
  if (is_assembled_ || !unread(Lane::data).empty() || !unread(Lane::error).empty()) return;
  released_ = true;
  mux().release(id_);
  connection_->forget(id_);
}

void ChannelState::fail_operations(const Error& error) {
  for (LaneState& l : lanes_) {
    for (Read& r : l.reads) {
      if (auto* bytes = std::get_if<ReadBytes>(&r.what)) {
        finish(bytes->done, Result<std::size_t>(error));
      } else {
        finish(std::get<ReadFrame>(r.what).done, Result<Bytes>(error));
      }
    }
    l.reads.clear();
    for (Write& w : l.writes) finish(w.done, Result<void>(error));
    l.writes.clear();
  }
  const auto children = std::move(children_);
  if (!children) return;
  for (Accept& a : children->accepts) finish(a.done, Result<Channel>(error));
  for (const auto& child : children->attached)
    child->refuse(Code::unavailable, "the channel it was attached to has closed");
}

void ChannelState::withdraw(std::uint64_t operation) {
  const auto is_it = [operation](const auto& op) { return op.number == operation; };
  for (LaneState& l : lanes_) {
    std::erase_if(l.reads, is_it);
    const auto w = std::find_if(l.writes.begin(), l.writes.end(), is_it);
    if (w == l.writes.end()) continue;
    const Lane which = &l == &lanes_[0] ? Lane::data : Lane::error;
    bool cut = false;
    if (w->is_lent) {
      const std::size_t left = mux().take_back(id_, which);
      cut = w->framed && left < 4 + w->bytes.size();
    }
    l.writes.erase(w);
    if (cut) return reset(Code::deadline_exceeded, "a frame was cut off by its writer's deadline");
    return progress_writes(which);
  }
  if (children_) std::erase_if(children_->accepts, is_it);
  std::erase_if(close_waiters_, is_it);
}

// ---------------------------------------------------------------- channels on this channel

void ChannelState::attach(std::shared_ptr<ChannelState> child) {
  if (children().attached.size() >= connection_->settings().accept_backlog)
    return child->refuse(Code::resource_exhausted, "too many channels wait to be accepted");
  children().attached.push_back(std::move(child));
  give_accepts();
}

std::uint64_t ChannelState::accept(Completion<Channel> done) {
  const std::uint64_t number = ++last_number_;
  if (phase == Phase::closed || closing_) {
    finish(done, Result<Channel>(end_error().is(Errc::eof) ? Error(Errc::closed) : end_error()));
  } else {
    children().accepts.push_back({number, std::move(done)});
    give_accepts();
  }
  return number;
}

// Confirming drives the connection, which may bring more channels and end up here again: both are
// taken out of their queues first.
void ChannelState::give_accepts() {
  while (children_ && !children_->accepts.empty() && !children_->attached.empty()) {
    const std::shared_ptr<ChannelState> child = std::move(children_->attached.front());
    children_->attached.pop_front();
    Accept accept = std::move(children_->accepts.front());
    children_->accepts.pop_front();
    if (Result<Channel> channel = child->confirm({})) {
      finish(accept.done, std::move(channel));
    } else {
      children().accepts.push_front(std::move(accept));  // its opener has gone
    }
  }
}

}  // namespace streamkit
