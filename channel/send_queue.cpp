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

void SendQueue::push(Kind kind, ByteView bytes) {
  if (!bytes.empty()) {
    make_room(bytes.size());
    std::memcpy(store_.bytes.get() + tail_, bytes.data(), bytes.size());
    tail_ += bytes.size();
  }
  const auto size = static_cast<std::uint32_t>(bytes.size());
  count_of(kind) += size;
  const bool joins = kind == Kind::data || kind == Kind::error;
  if (joins && !empty() && runs_.back().kind == kind) {
    runs_.back().size += size;
  } else {
    runs_.push_back({kind, size});
  }
}

void SendQueue::pop(std::size_t n) noexcept {
  Run& run = runs_[first_];
  head_ += n;
  run.size -= static_cast<std::uint32_t>(n);
  count_of(run.kind) -= static_cast<std::uint32_t>(n);
  if (run.size > 0) return;
  ++first_;
  if (empty()) {
    clear();
  } else if (first_ >= 64 && first_ >= runs_.size() / 2) {
    runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void SendQueue::clear() noexcept {
  pool_->give(std::exchange(store_, {}));
  head_ = tail_ = 0;
  std::vector<Run>().swap(runs_);
  first_ = 0;
  data_ = error_ = control_ = none_ = 0;
}

}  // namespace streamkit::channel
