// Text that came from the other side, or that people read: escaping, hex, base64, patterns.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>

#include <string>
#include <string_view>

namespace streamkit {

/// Peer-supplied text made safe for a log or a terminal: control characters, DEL, invalid UTF-8 and
/// bidirectional overrides become \xNN; cut to `max_bytes` with "..." at the end.
std::string escape(std::string_view text, std::size_t max_bytes = 1024);

bool is_valid_utf8(std::string_view text) noexcept;

std::string base64_encode(ByteView bytes, bool padding = true);
/// Strict: standard alphabet, padding required, no white space.
Result<Bytes> base64_decode(std::string_view text);
std::string hex_encode(ByteView bytes);

/// `*` and `?` patterns as in authorized_keys and known_hosts (no character classes).
bool matches_pattern(std::string_view pattern, std::string_view text) noexcept;

}  // namespace streamkit
