// SendQueue: what one channel still has to send, in order: bytes of both lanes, whole control
// messages, the end of data and CLOSE.
#pragma once

#include "block_pool.hpp"

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/fifo.hpp>

#include <array>

namespace streamkit::channel {

/// Small writes that wait join into one run, so that they leave as full data messages. A large one
/// can be lent or given instead: it is sent from where it is. Owns no memory while it is empty.
class SendQueue {
 public:
  /// `opening` is the CHANNEL_OPEN, or the confirmation of theirs; `question` a control message
  /// that asks for a reply.
  enum class Kind : std::uint8_t { data, error, opening, control, question, eof, close };
  struct Run {
    Kind kind = Kind::data;
    bool is_lent = false;
    bool is_apart = false;               ///< lent or given: its bytes are not in the store
    std::uint8_t head_size = 0;          ///< of a run that lies apart: bytes that go before it
    std::array<std::byte, 4> head{};
    std::size_t size = 0;                ///< bytes left of it, head included; 0 for eof and close
    const std::byte* apart = nullptr;    ///< the next byte of such a run behind its head
    Bytes given{};                       ///< what `apart` points into, unless it is lent
  };

  static constexpr std::size_t kMaxHead = 4;

  explicit SendQueue(BlockPool& pool) noexcept : pool_(&pool) {}

  bool empty() const noexcept { return runs_.empty(); }
  /// The run whose turn it is. Not when empty.
  const Run& front() const noexcept { return runs_.front(); }
  /// The bytes of that run, behind its head, all together. Valid until the next change.
  ByteView bytes() const noexcept;
  /// What is left of the head of that run.
  ByteView head() const noexcept { return ByteView(front().head).first(front().head_size); }

  void push(Kind kind, ByteView bytes = {}, ByteView more = {});
  /// `head` (at most 4 bytes) is kept; `bytes` must stay where they are until they were sent or
  /// taken back. One lent run a lane at a time.
  void lend(Kind kind, ByteView head, ByteView bytes);
  /// The same for bytes that are the queue's from now on; not none.
  void give(Kind kind, ByteView head, Bytes bytes);
  /// All the bytes of the front run behind its head, when they were given and none of them has gone:
  /// then they may be moved out before pop(). Else nullptr.
  Bytes* whole() noexcept;
  /// Ends the lending on a lane: what is left of it leaves the queue. How many bytes that were.
  std::size_t take_back(Kind kind) noexcept;
  /// What is left of the run lent on a lane, head included.
  std::size_t lent(Kind kind) const noexcept;
  /// Forgets `n` bytes of the front run (its head first), and the run itself when that was all.
  void pop(std::size_t n) noexcept;
  void clear() noexcept;

  /// Bytes kept here; lent ones are not.
  std::size_t buffered_data() const noexcept { return data_; }
  std::size_t buffered_error() const noexcept { return error_; }
  std::size_t buffered_control() const noexcept { return control_; }

 private:
  std::uint32_t& count_of(Kind kind) noexcept;
  static Run apart(Kind kind, ByteView head, ByteView bytes);
  void make_room(std::size_t n);

  BlockPool* pool_;
  Block store_;
  std::size_t head_ = 0, tail_ = 0;
  Fifo<Run> runs_;
  std::uint32_t data_ = 0, error_ = 0, control_ = 0, none_ = 0;
};

}  // namespace streamkit::channel
