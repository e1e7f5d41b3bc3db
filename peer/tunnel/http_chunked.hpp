// The chunked transfer coding (RFC 9112 section 7.1): decoding piece by piece, and the few bytes
// that encoding adds.
//
// The decoder is a byte machine of our own because a chunk may arrive in any number of pieces and a
// library parser wants each chunk's line, and the whole trailer section, contiguous. It refuses
// what another reader might read differently: bare LF, spaces around the size, "0x", a missing
// CRLF.
#pragma once

#include "http_head.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/base/bytes.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::tunnel {

inline constexpr std::size_t kMaxChunkSizeDigits = 16;   ///< hexadecimal digits, leading zeros too
inline constexpr std::size_t kMaxChunkExtension = 1024;  ///< bytes after the size of one chunk
inline constexpr std::size_t kMaxTrailer = 16 * 1024;    ///< bytes of the trailer section
inline constexpr std::size_t kMaxTrailerFields = 64;

class ChunkDecoder {
 public:
  enum class State { need_more, data, end, refused };
  struct Step {
    State state;
    std::size_t consumed;  ///< bytes of the input that are done with, data included
    ByteView data;         ///< part of the input
  };

  /// Ready for a new body.
  void start();
  /// One piece of data, or the end, or need_more when all of `input` is used up.
  Step next(ByteView input);
  /// The trailer fields, after the end. Views live until start().
  std::span<const HttpField> trailers() const noexcept { return trailers_; }
  /// What was wrong, after refused.
  std::string_view complaint() const noexcept { return complaint_; }
  void release();

 private:
  enum class At { size, extension, size_lf, data, data_cr, data_lf, trailer, end };
  bool take_line_byte(char c);
  bool take_trailer_byte(char c);
  bool finish_trailers();
  bool refuse(std::string_view complaint);

  At at_ = At::size;
  std::uint64_t left_ = 0;
  std::size_t digits_ = 0;
  std::size_t extension_ = 0;
  std::string trailer_;
  std::size_t line_ = 0;  // where the current trailer line begins
  std::vector<HttpField> trailers_;
  std::string_view complaint_;
};

/// "<size>\r\n", in place.
class ChunkPrefix {
 public:
  explicit ChunkPrefix(std::size_t size) noexcept;
  ByteView view() const noexcept { return as_bytes({text_ + begin_, sizeof text_ - begin_}); }

 private:
  char text_[18];
  std::size_t begin_;
};
inline constexpr std::string_view kChunkSuffix = "\r\n";

/// The last chunk and the trailer fields that may travel: none that frames, routes or
/// authenticates.
void write_last_chunk(std::span<const HttpField> trailers, ByteQueue& to);

/// Empty when `line` is "name: value" with nothing that two readers might read differently, else
/// what is wrong with it. `line` comes without its CRLF.
std::string_view complaint_about_field(std::string_view line) noexcept;

}  // namespace streamkit::tunnel
