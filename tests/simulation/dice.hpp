// Chance that can be repeated, and what it writes: every byte of every direction is a function of
// the seed and of where it stands, so that what is read is checked without keeping what was
// written.
#pragma once

#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <cstdint>
#include <support/fixed_random.hpp>

namespace streamkit::simulation {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : numbers_(seed) {}
  std::uint64_t any() { return numbers_.next(); }
  /// 0 to n - 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(any() % n); }
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  testing::FixedRandom numbers_;
};

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return testing::FixedRandom(a * 0x9e3779b97f4a7c15 + b).next();
}

/// Where one is in a direction: piece by piece (or frame by frame), byte by byte.
struct Cursor {
  std::uint64_t piece = 0;
  std::size_t offset = 0;
  std::uint64_t total = 0;
};

/// What is written in one direction of a lane: pieces of many sizes; framed, each begins with its
/// length.
class Text {
 public:
  Text() = default;
  Text(std::uint64_t salt, bool framed) : salt_(salt), head_(framed ? 4 : 0) {}

  std::size_t left_of_piece(const Cursor& at) const { return piece_size(at.piece) - at.offset; }
  /// The next `n` bytes, which are within a piece.
  Bytes take(Cursor& at, std::size_t n) const {
    const std::uint64_t kind = mix(salt_, at.piece);
    Bytes out(n);
    for (std::size_t i = 0; i < n; ++i) out[i] = byte_of(kind, at.offset + i);
    advance(at, n);
    return out;
  }
  /// Steps over `n` bytes; true if they are `bytes`.
  bool matches(Cursor& at, ByteView bytes) const {
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), left_of_piece(at));
      const std::uint64_t kind = mix(salt_, at.piece);
      for (std::size_t i = 0; i < n; ++i)
        if (bytes[i] != byte_of(kind, at.offset + i)) return false;
      advance(at, n);
      bytes = bytes.subspan(n);
    }
    return true;
  }
  void skip(Cursor& at, std::uint64_t n) const {
    while (n > 0) {
      const std::size_t step =
          static_cast<std::size_t>(std::min<std::uint64_t>(n, left_of_piece(at)));
      advance(at, step);
      n -= step;
    }
  }

 private:
  std::size_t piece_size(std::uint64_t piece) const { return head_ + body_size(mix(salt_, piece)); }
  std::size_t body_size(std::uint64_t kind) const {
    const std::size_t most = kind % 16 == 0 ? 40'000 : kind % 4 == 0 ? 3000 : 200;
    return static_cast<std::size_t>(kind >> 8) % most + (head_ == 0 ? 1 : 0);
  }
  std::byte byte_of(std::uint64_t kind, std::size_t at) const {
    if (at < head_) return std::byte(body_size(kind) >> (8 * (3 - at)));
    return std::byte((at - head_) * 167 + (at >> 8) * 31 + (kind >> 32));
  }
  void advance(Cursor& at, std::size_t n) const {
    at.offset += n, at.total += n;
    if (at.offset < piece_size(at.piece)) return;
    at.offset = 0, ++at.piece;
  }

  std::uint64_t salt_ = 0;
  std::size_t head_ = 0;
};

}  // namespace streamkit::simulation
