#include <streamkit/base/text.hpp>

#include <array>

namespace streamkit {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct Scalar {
  std::size_t length = 0;  // 0: not valid UTF-8
  std::uint32_t value = 0;
};

Scalar decode(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || s.size() < length) return {};
  std::uint32_t value = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (at(i) & 0x3fu);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {length, value};
}

bool is_unsafe(std::uint32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c || c == 0xfeff;
}

}  // namespace

std::string escape(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const Scalar c = decode(text);
    const std::size_t take = c.length ? c.length : 1;
    std::string piece;
    if (c.length && !is_unsafe(c.value)) {
      piece = text.substr(0, take);
    } else {
      for (const char byte : text.substr(0, take)) {
        const auto b = static_cast<unsigned char>(byte);
        piece += "\\x";
        piece += kHex[b >> 4];
        piece += kHex[b & 15];
      }
    }
    if (out.size() + piece.size() > max_bytes) return out + "...";
    out += piece;
    text.remove_prefix(take);
  }
  return out;
}

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const Scalar c = decode(text);
    if (c.length == 0) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

std::string base64_encode(ByteView in, bool padding) {
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < in.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, in.size() - i);
    std::uint32_t v = 0;
    for (std::size_t j = 0; j < 3; ++j)
      v = v << 8 | (j < n ? std::to_integer<std::uint32_t>(in[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) {
      if (j <= n) {
        out += kBase64[v >> (18 - 6 * j) & 63];
      } else if (padding) {
        out += '=';
      }
    }
  }
  return out;
}

Result<Bytes> base64_decode(std::string_view text) {
  const Error bad(Errc::codec, "not base64");
  if (text.size() % 4 != 0) return bad;
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    std::size_t pad = 0;
    if (last && text[i + 3] == '=') pad = text[i + 2] == '=' ? 2 : 1;
    std::uint32_t v = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      std::size_t digit = 0;
      if (j < 4 - pad) {
        digit = kBase64.find(text[i + j]);
        if (digit == std::string_view::npos) return bad;
      }
      v = v << 6 | static_cast<std::uint32_t>(digit);
    }
    if ((pad == 1 && v & 0xff) || (pad == 2 && v & 0xffff)) return bad;  // one text, one meaning
    for (std::size_t j = 0; j < 3 - pad; ++j) out.push_back(std::byte(v >> (16 - 8 * j)));
  }
  return out;
}

std::string hex_encode(ByteView bytes) {
  std::string out;
  for (const std::byte b : bytes) {
    out += kHex[std::to_integer<unsigned>(b) >> 4];
    out += kHex[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

bool matches_pattern(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {  // linear in practice: only the last star is ever retried
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] == text[t] && pattern[p] != '*'))) {
      ++p, ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++, mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1, t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace streamkit
