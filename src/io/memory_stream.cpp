// Two ends of a pipe in memory, for peers of one process and for tests. The ends may live on
// different Contexts: a mutex guards what they share, and an end wakes the other by posting to its
// Context.
#include "loop.hpp"
#include "os_error.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/io/stream.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>

namespace streamkit::io {
namespace {

class MemoryEnd;

// One direction. `wake_*` say whom to wake at the next change.
struct Lane {
  ByteQueue bytes;
  bool ended = false;   // the writer will write no more
  bool unread = false;  // the reader is gone
  bool wake_reader = false;
  bool wake_writer = false;
};

struct Link {
  explicit Link(std::size_t bytes) : capacity(std::max<std::size_t>(bytes, 1)) {}

  const std::size_t capacity;
  std::mutex mutex;
  std::array<Lane, 2> lanes;  // lane i: what end i writes
  bool reset = false;
  std::array<std::weak_ptr<MemoryEnd>, 2> ends;
  std::array<std::shared_ptr<Loop>, 2> loops;
};

// What an end shares with the tasks that were posted to wake it.
class MemoryEnd final : public std::enable_shared_from_this<MemoryEnd>, Waiting {
 public:
  MemoryEnd(std::shared_ptr<Link> link, std::size_t side) : link_(std::move(link)), side_(side) {}

  Result<std::size_t> read(MutableByteView out);
  Result<std::size_t> write(std::span<const ByteView> pieces);
  void wait_readable(Task task);
  void wait_writable(Task task);
  Result<void> shutdown_write();
  void close(bool reset);

 private:
  // Whom a change concerns; told after the link's mutex is free.
  struct Calls {
    bool reader = false;
    bool writer = false;
  };

  Lane& in() { return link_->lanes[1 - side_]; }
  Lane& out() { return link_->lanes[side_]; }
  bool readable() { return link_->reset || in().ended || !in().bytes.empty(); }
  bool writable() { return link_->reset || out().unread || out().bytes.size() < link_->capacity; }
  std::size_t take(std::span<const ByteView> pieces);

  void wake_other(Calls calls) { wake(*link_, 1 - side_, calls); }
  static void wake(Link& link, std::size_t side, Calls calls);
  void fire_readable();
  void fire_writable();
  void abandon() override;
  Loop& loop() { return *link_->loops[side_]; }

  std::shared_ptr<Link> link_;
  std::size_t side_;
  Task on_readable_, on_writable_;
  bool write_ended_ = false;
  bool closed_ = false;
};

Result<std::size_t> MemoryEnd::read(MutableByteView out) {
  if (closed_) return Errc::closed;
  if (out.empty()) return std::size_t{0};
  Calls calls;
  std::size_t n = 0;
  {
    const std::lock_guard guard(link_->mutex);
    if (link_->reset) return os_code(ECONNRESET);
    Lane& lane = in();
    if (lane.bytes.empty()) return lane.ended ? Errc::eof : Errc::would_block;
    n = std::min(out.size(), lane.bytes.size());
    std::copy_n(std::as_const(lane.bytes).data().begin(), n, out.begin());
    lane.bytes.consume(n);
    // Half the room at least, so that a slow reader and a fast writer do not pass single bytes.
    if (lane.bytes.size() <= link_->capacity / 2)
      calls.writer = std::exchange(lane.wake_writer, false);
  }
  wake_other(calls);
  return n;
}

// Under the link's mutex.
std::size_t MemoryEnd::take(std::span<const ByteView> pieces) {
  ByteQueue& queue = out().bytes;
  std::size_t taken = 0;
  for (const ByteView piece : pieces) {
    const std::size_t n = std::min(piece.size(), link_->capacity - queue.size());
    queue.append(piece.first(n));
    taken += n;
    if (n < piece.size()) break;
  }
  return taken;
}

Result<std::size_t> MemoryEnd::write(std::span<const ByteView> pieces) {
  if (closed_ || write_ended_) return Errc::closed;
  Calls calls;
  std::size_t n = 0;
  {
    const std::lock_guard guard(link_->mutex);
    if (link_->reset) return os_code(ECONNRESET);
    if (out().unread) return os_code(EPIPE);
    const bool full = out().bytes.size() >= link_->capacity;
    if (full && std::any_of(pieces.begin(), pieces.end(), [](ByteView p) { return !p.empty(); }))
      return Errc::would_block;
    n = take(pieces);
    if (n > 0) calls.reader = std::exchange(out().wake_reader, false);
  }
  wake_other(calls);
  return n;
}

void MemoryEnd::wait_readable(Task task) {
  if (closed_ || loop().is_stopped()) return;
  loop().enlist(*this);
  const Task dropped = std::exchange(on_readable_, std::move(task));
  bool ready = false;
  {
    const std::lock_guard guard(link_->mutex);
    ready = readable();
    in().wake_reader = !ready;
  }
  if (ready) wake(*link_, side_, {true, false});
}

void MemoryEnd::wait_writable(Task task) {
  if (closed_ || loop().is_stopped()) return;
  loop().enlist(*this);
  const Task dropped = std::exchange(on_writable_, std::move(task));
  bool ready = false;
  {
    const std::lock_guard guard(link_->mutex);
    ready = writable();
    out().wake_writer = !ready;
  }
  if (ready) wake(*link_, side_, {false, true});
}

void MemoryEnd::wake(Link& link, std::size_t side, Calls calls) {
  const auto post = [&](void (MemoryEnd::*fire)()) {
    link.loops[side]->post([weak = link.ends[side], fire] {
      if (const auto end = weak.lock()) (end.get()->*fire)();
    });
  };
  if (calls.reader) post(&MemoryEnd::fire_readable);
  if (calls.writer) post(&MemoryEnd::fire_writable);
}

// Someone may have read (below: written) since the wake was posted; then the wait goes on.
void MemoryEnd::fire_readable() {
  if (!on_readable_) return;
  {
    const std::lock_guard guard(link_->mutex);
    in().wake_reader = !readable();
    if (in().wake_reader) return;
  }
  if (!on_writable_) loop().dismiss(*this);
  Task due = std::move(on_readable_);
  due();
}

void MemoryEnd::fire_writable() {
  if (!on_writable_) return;
  {
    const std::lock_guard guard(link_->mutex);
    out().wake_writer = !writable();
    if (out().wake_writer) return;
  }
  if (!on_readable_) loop().dismiss(*this);
  Task due = std::move(on_writable_);
  due();
}

Result<void> MemoryEnd::shutdown_write() {
  if (closed_ || write_ended_) return Errc::closed;
  write_ended_ = true;
  Calls calls;
  {
    const std::lock_guard guard(link_->mutex);
    out().ended = true;
    calls.reader = std::exchange(out().wake_reader, false);
  }
  wake_other(calls);
  return {};
}

void MemoryEnd::close(bool reset) {
  if (std::exchange(closed_, true)) return;
  loop().dismiss(*this);
  const Task dropped[2] = {std::move(on_readable_), std::move(on_writable_)};
  Calls calls;
  {
    const std::lock_guard guard(link_->mutex);
    link_->reset = link_->reset || reset;
    in().unread = out().ended = true;
    in().bytes.clear();
    if (reset) out().bytes.clear();
    calls.reader = std::exchange(out().wake_reader, false);
    calls.writer = std::exchange(in().wake_writer, false);
  }
  wake_other(calls);
}

void MemoryEnd::abandon() {
  const Task dropped[2] = {std::move(on_readable_), std::move(on_writable_)};
}

class MemoryStream final : public Stream {
 public:
  explicit MemoryStream(std::shared_ptr<MemoryEnd> end) : end_(std::move(end)) {}
  ~MemoryStream() override { end_->close(false); }

  Result<std::size_t> read_some(MutableByteView out) override { return end_->read(out); }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    return end_->write(pieces);
  }
  void wait_readable(Task task) override { end_->wait_readable(std::move(task)); }
  void wait_writable(Task task) override { end_->wait_writable(std::move(task)); }
  Result<void> shutdown_write() override { return end_->shutdown_write(); }
  void close(bool reset) override {
    const auto alive = end_;  // a dropped task may own this stream
    alive->close(reset);
  }
  Address local_address() const override { return address(); }
  Address remote_address() const override { return address(); }

 private:
  static Address address() {
    Address in_memory;
    in_memory.kind = Address::Kind::unix_path;
    in_memory.path = "(memory)";
    return in_memory;
  }

  std::shared_ptr<MemoryEnd> end_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_stream_pair(
    Context& a, Context& b, std::size_t capacity) {
  const auto link = std::make_shared<Link>(capacity);
  link->loops = {a.impl().loop, b.impl().loop};
  const auto first = std::make_shared<MemoryEnd>(link, std::size_t{0});
  const auto second = std::make_shared<MemoryEnd>(link, std::size_t{1});
  link->ends = {first, second};
  return {std::make_unique<MemoryStream>(first), std::make_unique<MemoryStream>(second)};
}

}  // namespace streamkit::io
