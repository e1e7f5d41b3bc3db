// BlockPool: large blocks of memory that the queues of one link hand around. Queues own memory only
// while something is in them; without a pool, a busy channel would return its memory to the system
// and fault it in again with every batch, which costs several times what moving the bytes does.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace streamkit::channel {

/// Uninitialised memory, and how much.
struct Block {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
};

class BlockPool {
 public:
  /// At least `least` bytes; a spare block when one fits without much waste.
  Block take(std::size_t least);
  /// Keeps a block of useful size while it holds little, else frees it.
  void give(Block block) noexcept;
  /// Frees what it holds.
  void clear() noexcept;
  std::size_t held() const noexcept { return held_; }

  /// Smaller blocks are left to the allocator, larger ones are not worth holding.
  static constexpr std::size_t kLeastKept = 16 * 1024;
  static constexpr std::size_t kMostHeld = 256 * 1024;

 private:
  std::vector<Block> spares_;
  std::size_t held_ = 0;
};

}  // namespace streamkit::channel
