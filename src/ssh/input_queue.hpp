// InputQueue: received bytes in one piece, for packets that are opened in place, in slabs that the
// takers of large payloads may keep. So data is not copied between the socket and its reader.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <vector>

namespace streamkit::ssh {

class InputQueue {
 public:
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }
  MutableByteView data() noexcept { return {current_.bytes + head_, size()}; }
  /// Keeps what data() shows, also after it was consumed. Empty while so many slabs are kept that
  /// copying is the better way.
  const Keeper& keeper() const noexcept;

  /// Room for `n` bytes behind the data. commit() says how many were written.
  MutableByteView prepare(std::size_t n);
  void commit(std::size_t n) noexcept { tail_ += n; }
  void consume(std::size_t n) noexcept;
  void clear() noexcept { consume(size()); }
  /// Gives memory back as far as nobody needs it. Only when empty.
  void shrink() noexcept;

  /// Slabs beside the current one, kept by others or spare: what a reader that takes its time holds
  /// of a link's memory beyond its window is at most these.
  static constexpr std::size_t kMaxOthers = 8;
  /// A slab serves so many reads, so that only every so often the start of a packet is moved to the
  /// next one.
  static constexpr std::size_t kReadsPerSlab = 4;
  /// Reads of at most this many bytes get slabs of their own size: an idle link has one.
  static constexpr std::size_t kSmallRead = 2 * 1024;

 private:
  struct Slab {
    Keeper owner;
    std::byte* bytes = nullptr;
    std::size_t size = 0;
    bool is_kept() const noexcept;
  };
  static Slab make(std::size_t size);
  Slab take(std::size_t least, std::size_t usual);

  Slab current_;
  std::size_t head_ = 0, tail_ = 0;
  std::vector<Slab> others_;
};

}  // namespace streamkit::ssh
