// Frames: uint32 length (big-endian), then that many bytes.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>

#include <array>
#include <optional>

namespace streamkit::channel {

inline constexpr std::size_t kDefaultMaxFrame = 16 * 1024 * 1024;

/// The four bytes before a frame of `size` bytes.
std::array<std::byte, 4> frame_header(std::size_t size) noexcept;

/// Puts frames together from bytes as they come. Memory grows with what has arrived, never with what
/// was announced.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_frame = kDefaultMaxFrame) noexcept : max_frame_(max_frame) {}
  /// Takes bytes from the front of `in` and says in `used` how many. A whole frame, or nothing yet
  /// (then all of `in` was used), or frame_too_large (final).
  Result<std::optional<Bytes>> take(ByteView in, std::size_t& used);
  /// Some, but not all, of a frame has been taken: an end of data now cuts it off.
  bool is_mid_frame() const noexcept { return header_have_ != 0; }

 private:
  std::size_t max_frame_;
  std::size_t header_have_ = 0;
  std::array<std::byte, 4> header_{};
  std::size_t need_ = 0;
  Bytes body_;
};

}  // namespace streamkit::channel
