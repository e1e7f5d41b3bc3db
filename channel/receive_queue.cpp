// A list of pieces. Copied bytes lie behind the head of their piece, in one allocation.
#include "receive_queue.hpp"

#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace streamkit::channel {
namespace {
constexpr std::size_t kSmallPiece = 480;
constexpr std::size_t kLargePiece = 64 * 1024 - 112;
constexpr std::size_t kLargeFrom = 16 * 1024;  // from here on all pieces have one size
constexpr std::size_t kKeptFrom = 8 * 1024;    // less is copied even if it could stay
constexpr std::size_t kGivenFrom = 1024;       // and if it is given
}  // namespace

struct ReceiveQueue::Piece {
  Piece* next = nullptr;
  std::size_t begin = 0, end = 0, capacity = 0;
  const std::byte* apart = nullptr;  // bytes that are not behind us
  Keeper keeper;                     // who keeps them
  Bytes given;                       // or what they are in,
  std::array<std::byte, 4> head{};   // behind the last so many of these
  std::size_t head_left = 0;

  std::byte* own() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* bytes() noexcept { return apart != nullptr ? apart : own(); }
  std::size_t left() const noexcept { return head_left + end - begin; }
  std::size_t room() const noexcept { return apart != nullptr ? 0 : capacity - end; }
};

ReceiveQueue::Piece* ReceiveQueue::make(std::size_t least) {
  Block block = pool_->take(sizeof(Piece) + least);
  Piece* const piece = new (block.bytes.get()) Piece;
  piece->capacity = block.size - sizeof(Piece);
  static_cast<void>(block.bytes.release());  // the piece is its own owner now
  return piece;
}

void ReceiveQueue::free(Piece* piece) noexcept {
  if (piece->apart != nullptr) return delete piece;
  const std::size_t size = sizeof(Piece) + piece->capacity;
  piece->~Piece();
  pool_->give({std::unique_ptr<std::byte[]>(reinterpret_cast<std::byte*>(piece)), size});
}

ByteView ReceiveQueue::front() const noexcept {
  if (head_ == nullptr) return {};
  if (head_->head_left > 0) return ByteView(head_->head).last(head_->head_left);
  return {head_->bytes() + head_->begin, head_->end - head_->begin};
}

void ReceiveQueue::link(Piece* piece) noexcept {
  size_ += piece->head_left + piece->end;
  (tail_ == nullptr ? head_ : tail_->next) = piece;
  tail_ = piece;
}

void ReceiveQueue::append(ByteView bytes, const Keeper& keeper) {
  if (bytes.empty()) return;
  if (keeper && bytes.size() >= kKeptFrom) {
    Piece* const piece = new Piece;
    piece->keeper = keeper;
    piece->apart = bytes.data();
    piece->end = bytes.size();
    return link(piece);
  }
  if (tail_ != nullptr) {
    const std::size_t n = std::min(tail_->room(), bytes.size());
    if (n > 0) std::memcpy(tail_->own() + tail_->end, bytes.data(), n);
    tail_->end += n;
    size_ += n;
    bytes = bytes.subspan(n);
    if (bytes.empty()) return;
  }
  // Pieces grow with the queue, so that a small one stays small and a long one has few.
  const std::size_t wanted = std::max({size_, kSmallPiece, bytes.size()});
  const std::size_t usual = wanted < kLargeFrom ? wanted : kLargePiece;
  Piece* const piece = make(std::max(usual, bytes.size()));
  std::memcpy(piece->own(), bytes.data(), bytes.size());
  piece->end = bytes.size();
  link(piece);
}

void ReceiveQueue::append(ByteView head, Bytes bytes) {
  if (bytes.size() < kGivenFrom) {
    append(head);
    return append(ByteView(bytes));
  }
  Piece* const piece = new Piece;
  piece->head_left = head.size();
  std::copy_backward(head.begin(), head.end(), piece->head.end());
  piece->given = std::move(bytes);
  piece->apart = piece->given.data();
  piece->end = piece->given.size();
  link(piece);
}

Bytes* ReceiveQueue::frame() noexcept {
  if (head_ == nullptr || head_->head_left < head_->head.size()) return nullptr;
  return wire::load_u32(head_->head.data()) == head_->given.size() ? &head_->given : nullptr;
}

void ReceiveQueue::consume(std::size_t n) noexcept {
  size_ -= n;
  while (head_ != nullptr && n >= head_->left()) {
    n -= head_->left();
    Piece* spent = std::exchange(head_, head_->next);
    free(spent);
  }
  if (head_ == nullptr) {
    tail_ = nullptr;
  } else {
    const std::size_t of_head = std::min(n, head_->head_left);
    head_->head_left -= of_head;
    head_->begin += n - of_head;
  }
}

void ReceiveQueue::clear() noexcept {
  consume(size_);
}

}  // namespace streamkit::channel
