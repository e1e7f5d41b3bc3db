// ReceiveQueue: received bytes that wait for the reader, in pieces that never move. A large piece
// stays where the link read it to, or is the sender's own memory; small ones are copied together.
#pragma once

#include "block_pool.hpp"

#include <streamkit/base/bytes.hpp>

#include <utility>

namespace streamkit::channel {

/// First-in first-out bytes. Costs four words while empty; memory follows what is in it, and a
/// slow reader of a long queue never pays for moving what it has not read.
class ReceiveQueue {
 public:
  explicit ReceiveQueue(BlockPool& pool) noexcept : pool_(&pool) {}
  ReceiveQueue(const ReceiveQueue&) = delete;
  ReceiveQueue& operator=(const ReceiveQueue&) = delete;
  ~ReceiveQueue() { clear(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  /// The oldest bytes, as many as lie together; empty only when the queue is. Valid until consume()
  /// or clear().
  ByteView front() const noexcept;
  /// With a keeper the bytes may stay where they are.
  void append(ByteView bytes, const Keeper& keeper = {});
  /// `head`, of at most 4 bytes, and bytes that are the queue's from now on.
  void append(ByteView head, Bytes bytes);
  /// Bytes that were given with four before them which are their number, when all of this is next:
  /// they may be moved out before they are consumed. Else nullptr.
  Bytes* frame() noexcept;
  /// Forgets the oldest `n` <= size() bytes.
  void consume(std::size_t n) noexcept;
  void clear() noexcept;

 private:
  struct Piece;
  void link(Piece* piece) noexcept;
  Piece* make(std::size_t least);
  void free(Piece* piece) noexcept;

  BlockPool* pool_;
  Piece* head_ = nullptr;
  Piece* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace streamkit::channel
