#include "input_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace streamkit::ssh {
namespace {
const Keeper kNobody;
}

bool InputQueue::Slab::is_kept() const noexcept {
  return owner.use_count() > 1;
}

const Keeper& InputQueue::keeper() const noexcept {
  const bool has_next = others_.size() < kMaxOthers ||
                        !std::all_of(others_.begin(), others_.end(), [](const Slab& s) { return s.is_kept(); });
  return has_next ? current_.owner : kNobody;
}

InputQueue::Slab InputQueue::make(std::size_t size) {
  Slab slab;
  slab.bytes = new std::byte[size];
  slab.owner = Keeper(static_cast<const void*>(slab.bytes), [](const void* bytes) {
    delete[] static_cast<const std::byte*>(bytes);
  });
  slab.size = size;
  return slab;
}

/// A spare slab of the usual size, or a new one.
InputQueue::Slab InputQueue::take(std::size_t least, std::size_t usual) {
  const auto spare = std::find_if(others_.begin(), others_.end(), [&](const Slab& slab) {
    return slab.size >= std::max(least, usual) && !slab.is_kept();
  });
  if (spare == others_.end()) return make(std::max(least, usual));
  std::swap(*spare, others_.back());
  Slab found = std::move(others_.back());
  others_.pop_back();
  return found;
}

MutableByteView InputQueue::prepare(std::size_t n) {
  if (current_.size - tail_ < n) {
    const std::size_t held = size();
    if (held + n <= current_.size && !current_.is_kept()) {
      std::memmove(current_.bytes, current_.bytes + head_, held);
    } else {
      Slab next = take(held + n, n <= kSmallRead ? n : n * kReadsPerSlab);
      if (held > 0) std::memcpy(next.bytes, current_.bytes + head_, held);
      std::swap(current_, next);
      // A slab that somebody keeps comes back to us when it is let go.
      if (next.is_kept() && others_.size() < kMaxOthers) others_.push_back(std::move(next));
    }
    head_ = 0;
    tail_ = held;
  }
  return {current_.bytes + tail_, current_.size - tail_};
}

void InputQueue::consume(std::size_t n) noexcept {
  head_ += n;
  if (empty() && !current_.is_kept()) head_ = tail_ = 0;
}

void InputQueue::shrink() noexcept {
  current_ = {};
  head_ = tail_ = 0;
  others_.clear();
}

}  // namespace streamkit::ssh
