// One contiguous store for the bytes of all runs; the runs say what they are.
#include "send_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace streamkit::channel {
namespace {
constexpr std::size_t kSmallStore = 1024;
}

std::uint32_t& SendQueue::count_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::data:
      return data_;
    case Kind::error:
      return error_;
    case Kind::opening:
    case Kind::control:
    case Kind::question:
      return control_;
    default:
      return none_;
  }
}

void SendQueue::make_room(std::size_t n) {
  const std::size_t size = tail_ - head_;
  if (store_.size - tail_ >= n) return;
  // Moving what waits is worth it only when that makes at least as much room as it moves.
  if (store_.size - size >= n && head_ >= size) {
    std::memmove(store_.bytes.get(), store_.bytes.get() + head_, size);
  } else {
    Block grown = pool_->take(std::max({kSmallStore, size + n, size * 2}));
    if (size > 0) std::memcpy(grown.bytes.get(), store_.bytes.get() + head_, size);
    pool_->give(std::exchange(store_, std::move(grown)));
  }
  head_ = 0;
  tail_ = size;
}

ByteView SendQueue::bytes() const noexcept {
  const Run& run = front();
  const std::size_t size = run.size - run.head_size;
  return run.is_apart ? ByteView(run.apart, size) : ByteView(store_.bytes.get() + head_, size);
}

void SendQueue::push(Kind kind, ByteView bytes, ByteView more) {
  const std::size_t size = bytes.size() + more.size();
  if (size > 0) {
    make_room(size);
    std::byte* const to = store_.bytes.get() + tail_;
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    if (!more.empty()) std::memcpy(to + bytes.size(), more.data(), more.size());
    tail_ += size;
  }
  count_of(kind) += static_cast<std::uint32_t>(size);
  const bool joins = kind == Kind::data || kind == Kind::error;
  if (joins && !empty() && runs_.back().kind == kind && !runs_.back().is_apart) {
    runs_.back().size += size;
    return;
  }
  Run run;
  run.kind = kind;
  run.size = size;
  runs_.push(std::move(run));
}

SendQueue::Run SendQueue::apart(Kind kind, ByteView head, ByteView bytes) {
  Run run;
  run.kind = kind;
  run.is_apart = true;
  run.head_size = static_cast<std::uint8_t>(head.size());
  std::copy(head.begin(), head.end(), run.head.begin());
  run.size = head.size() + bytes.size();
  run.apart = bytes.data();
  return run;
}

void SendQueue::lend(Kind kind, ByteView head, ByteView bytes) {
  Run run = apart(kind, head, bytes);
  run.is_lent = true;
  runs_.push(std::move(run));
}

void SendQueue::give(Kind kind, ByteView head, Bytes bytes) {
  Run run = apart(kind, head, bytes);
  run.given = std::move(bytes);  // which stay where they are
  count_of(kind) += static_cast<std::uint32_t>(run.size);
  runs_.push(std::move(run));
}

Bytes* SendQueue::whole() noexcept {
  Run& run = runs_.front();
  const bool is_whole = !run.given.empty() && run.apart == run.given.data();
  return is_whole ? &run.given : nullptr;
}

std::size_t SendQueue::lent(Kind kind) const noexcept {
  for (const Run& run : runs_)
    if (run.is_lent && run.kind == kind) return run.size;
  return 0;
}

std::size_t SendQueue::take_back(Kind kind) noexcept {
  const std::size_t left = lent(kind);
  runs_.erase_if([kind](const Run& run) { return run.is_lent && run.kind == kind; });
  if (empty()) clear();
  return left;
}

void SendQueue::pop(std::size_t n) noexcept {
  Run& run = runs_.front();
  run.size -= n;
  if (!run.is_lent) count_of(run.kind) -= static_cast<std::uint32_t>(n);
  if (run.is_apart) {
    const std::size_t of_head = std::min<std::size_t>(n, run.head_size);
    std::copy(run.head.begin() + static_cast<std::ptrdiff_t>(of_head), run.head.end(),
              run.head.begin());
    run.head_size = static_cast<std::uint8_t>(run.head_size - of_head);
    run.apart += n - of_head;
  } else {
    head_ += n;
  }
  if (run.size > 0) return;
  runs_.pop();
  if (empty()) clear();
}

void SendQueue::clear() noexcept {
  pool_->give(std::exchange(store_, {}));
  head_ = tail_ = 0;
  runs_.clear();
  data_ = error_ = control_ = none_ = 0;
}

}  // namespace streamkit::channel
