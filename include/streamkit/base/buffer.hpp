// ByteQueue: contiguous bytes that come in at the back and leave at the front.
#pragma once

#include <streamkit/base/bytes.hpp>

namespace streamkit {

/// Contiguous first-in first-out bytes. Views from data() and prepare() are valid until the next
/// non-const call. Memory is given back when the queue runs empty and had grown beyond `keep`.
class ByteQueue {
 public:
  explicit ByteQueue(std::size_t keep = 64 * 1024) noexcept : keep_(keep) {}

  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }
  ByteView data() const noexcept { return {store_.data() + head_, size()}; }
  MutableByteView data() noexcept { return {store_.data() + head_, size()}; }

  /// Room for at least `n` bytes behind the data. commit() says how many were written.
  MutableByteView prepare(std::size_t n);
  void commit(std::size_t n) noexcept { tail_ += n; }
  void append(ByteView bytes);
  void consume(std::size_t n);
  void clear();
  std::size_t capacity() const noexcept { return store_.size(); }

 private:
  std::vector<std::byte> store_;
  std::size_t head_ = 0, tail_ = 0, keep_;
};

}  // namespace streamkit
