// A handful of spare blocks; the search is a walk over at most sixteen.
#include "block_pool.hpp"

#include <utility>

namespace streamkit::channel {

Block BlockPool::take(std::size_t least) {
  for (std::size_t i = spares_.size(); i-- > 0;) {
    if (spares_[i].size < least || spares_[i].size / 4 > least) continue;
    std::swap(spares_[i], spares_.back());
    Block found = std::move(spares_.back());
    spares_.pop_back();
    held_ -= found.size;
    return found;
  }
  return {std::unique_ptr<std::byte[]>(new std::byte[least]), least};
}

void BlockPool::give(Block block) noexcept {
  if (block.size < kLeastKept || held_ + block.size > kMostHeld) return;
  if (spares_.capacity() == 0) spares_.reserve(kMostHeld / kLeastKept);  // never grows after that
  held_ += block.size;
  spares_.push_back(std::move(block));
}

void BlockPool::clear() noexcept {
  spares_.clear();
  held_ = 0;
}

}  // namespace streamkit::channel
