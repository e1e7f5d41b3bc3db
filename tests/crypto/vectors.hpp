// Bytes from the hexadecimal text that published vectors come in, and reproducible test bytes.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>

#include <random>

namespace streamkit::crypto::test {

/// White space is skipped.
inline Bytes hex(std::string_view text) {
  Bytes out;
  int high = -1;
  for (const char c : text) {
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else {
      continue;
    }
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(std::byte(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

template <class T>
bool fails_with(const Result<T>& result, Errc condition) {
  return !result && result.error().is(condition);
}

inline Bytes repeat(unsigned char value, std::size_t n) {
  return Bytes(n, std::byte(value));
}

/// The same bytes for the same generator state: a failure can be repeated.
inline Bytes some_bytes(std::mt19937& generator, std::size_t n) {
  Bytes out(n);
  for (std::byte& b : out) b = std::byte(generator() & 0xff);
  return out;
}

}  // namespace streamkit::crypto::test
