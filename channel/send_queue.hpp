// SendQueue: what one channel still has to send, in order: bytes of both lanes, whole control
// messages, the end of data and CLOSE.
#pragma once

#include "block_pool.hpp"

#include <streamkit/base/bytes.hpp>

#include <vector>

namespace streamkit::channel {

/// Small writes that wait join into one run, so that they leave as full data messages. Owns no
/// memory while it is empty.
class SendQueue {
 public:
  /// `question` is a control message that asks for a reply.
  enum class Kind : std::uint32_t { data, error, control, question, eof, close };
  struct Run {
    Kind kind;
    std::uint32_t size;  ///< bytes left of it; 0 for eof and close
  };

  explicit SendQueue(BlockPool& pool) noexcept : pool_(&pool) {}

  bool empty() const noexcept { return first_ == runs_.size(); }
  /// The run whose turn it is. Not when empty.
  const Run& front() const noexcept { return runs_[first_]; }
  /// The bytes of that run, all together. Valid until the next change.
  ByteView bytes() const noexcept { return {store_.bytes.get() + head_, front().size}; }

  void push(Kind kind, ByteView bytes = {});
  /// Forgets `n` bytes of the front run, and the run itself when that was all of it.
  void pop(std::size_t n) noexcept;
  void clear() noexcept;

  std::size_t buffered_data() const noexcept { return data_; }
  std::size_t buffered_error() const noexcept { return error_; }
  std::size_t buffered_control() const noexcept { return control_; }

 private:
  std::uint32_t& count_of(Kind kind) noexcept;
  void make_room(std::size_t n);

  BlockPool* pool_;
  Block store_;
  std::size_t head_ = 0, tail_ = 0;
  std::vector<Run> runs_;
  std::size_t first_ = 0;
  std::uint32_t data_ = 0, error_ = 0, control_ = 0, none_ = 0;
};

}  // namespace streamkit::channel
