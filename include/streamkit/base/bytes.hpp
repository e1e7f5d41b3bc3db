// The byte vocabulary every room shares: owned bytes, views of bytes, text as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit {

using Bytes = std::vector<std::byte>;
/// A view never owns; each function says how long it keeps one.
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;
/// What keeps the bytes of some view where they are; empty: they are lent for the call only.
using Keeper = std::shared_ptr<const void>;

/// The bytes of `text`, valid as long as `text` is.
inline ByteView as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

/// The same bytes seen as text, valid as long as `bytes` are. Says nothing about encoding.
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(ByteView view) { return Bytes(view.begin(), view.end()); }
inline Bytes to_bytes(std::string_view text) { return to_bytes(as_bytes(text)); }
inline std::string to_string(ByteView view) { return std::string(as_text(view)); }

inline void append(Bytes& to, ByteView from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace streamkit
