// The data types of RFC 4251 section 5, read with bounds and written with known meaning.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace streamkit::wire {

/// The longest mpint that is read: a 16384-bit RSA modulus and its leading zero byte.
inline constexpr std::size_t kMaxMpintBytes = 2049;

inline void store_u32(std::byte* at, std::uint32_t v) noexcept {
  at[0] = std::byte(v >> 24), at[1] = std::byte(v >> 16), at[2] = std::byte(v >> 8), at[3] = std::byte(v);
}
inline std::uint32_t load_u32(const std::byte* at) noexcept {
  return std::uint32_t(at[0]) << 24 | std::uint32_t(at[1]) << 16 | std::uint32_t(at[2]) << 8 | std::uint32_t(at[3]);
}

/// Reads from a view that must outlive the Reader and every view it hands out.
/// Failure is sticky: after the first short or malformed field every read gives an empty value and
/// ok() is false, so a parser reads all fields and asks once. Nothing is ever allocated from an
/// announced length.
class Reader {
 public:
  explicit Reader(ByteView in) noexcept : rest_(in) {}

  std::uint8_t u8() noexcept;
  bool boolean() noexcept { return u8() != 0; }
  std::uint32_t u32() noexcept;
  std::uint64_t u64() noexcept;
  ByteView bytes(std::size_t n) noexcept;
  ByteView string() noexcept;
  std::string_view text() noexcept { return as_text(string()); }
  /// A non-negative mpint in minimal form, without its leading zero byte. Negative, non-minimal or longer
  /// than kMaxMpintBytes: failure.
  ByteView mpint() noexcept;
  /// Comma-separated names. Empty names are skipped (some peers end a list with a comma);
  /// more than `max_names` names, or a name over 64 characters or with bytes outside
  /// printable US-ASCII, is a failure.
  std::vector<std::string_view> name_list(std::size_t max_names = 256);

  ByteView rest() const noexcept { return rest_; }
  void fail() noexcept { ok_ = false, rest_ = {}; }
  bool ok() const noexcept { return ok_; }
  /// Everything was read, and read well.
  bool end() const noexcept { return ok_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool ok_ = true;
};

/// Appends to bytes that the caller owns.
class Writer {
 public:
  explicit Writer(Bytes& out) noexcept : out_(&out) {}

  Writer& u8(std::uint8_t v);
  Writer& boolean(bool v) { return u8(v ? 1 : 0); }
  Writer& u32(std::uint32_t v);
  Writer& u64(std::uint64_t v);
  Writer& bytes(ByteView v);
  Writer& string(ByteView v);
  Writer& string(std::string_view v) { return string(as_bytes(v)); }
  /// `magnitude` is an unsigned big-endian number; written minimal, with a zero byte before a set top bit.
  Writer& mpint(ByteView magnitude);
  Writer& name_list(const std::vector<std::string>& names);

 private:
  Bytes* out_;
};

}  // namespace streamkit::wire
