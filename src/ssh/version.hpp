// The identification exchange (RFC 4253 section 4.2): making our line, reading the other side's.
// Knows nothing of packets; what follows the line belongs to them.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/ssh/config.hpp>

#include <optional>
#include <string>

namespace streamkit::ssh {

inline constexpr std::size_t kMaxIdent = 255;             ///< bytes of the line, CR LF included
inline constexpr std::size_t kMaxLineBeforeIdent = 1024;  ///< bytes; client only
inline constexpr std::size_t kMaxLinesBeforeIdent = 50;
inline constexpr std::size_t kMaxBytesBeforeIdent = 8192;

/// "SSH-2.0-" and `software`, without CR LF. Errc::usage when `software` is empty, too long or has
/// other than printable ASCII without space and minus.
Result<std::string> make_ident(std::string_view software);

class IdentReader {
 public:
  explicit IdentReader(Role ours) noexcept : role_(ours) {}

  struct Step {
    std::size_t consumed = 0;          ///< bytes used up, also when there is no line yet
    std::optional<std::string> ident;  ///< the line, exactly as received, without its line end
  };
  /// Looks at the bytes not yet consumed. Only lines that a server may send before its
  /// identification are skipped, and only by a client.
  Result<Step> read(ByteView input);

 private:
  Result<void> skip(std::size_t size);

  Role role_;
  std::size_t lines_ = 0, bytes_ = 0;
};

}  // namespace streamkit::ssh
