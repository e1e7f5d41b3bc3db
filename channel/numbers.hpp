// The message numbers of the connection protocol (RFC 4254 section 9) and the names that
// Streamkit adds to it. Numbers and names only; messages.hpp has their contents.
#pragma once

#include <cstdint>
#include <string_view>

namespace streamkit::channel {

enum class Number : std::uint8_t {
  global_request = 80,
  request_success = 81,
  request_failure = 82,
  channel_open = 90,
  open_confirmation = 91,
  open_failure = 92,
  window_adjust = 93,
  data = 94,
  extended_data = 95,
  eof = 96,
  close = 97,
  channel_request = 98,
  channel_success = 99,
  channel_failure = 100,
};

/// The one extended data type that RFC 4254 section 5.2 defines; our error lane.
inline constexpr std::uint32_t kStderr = 1;

inline constexpr std::string_view kSessionType = "session";

// Channel requests that the multiplexer speaks itself.
inline constexpr std::string_view kTrailersRequest = "trailers@streamkit";
inline constexpr std::string_view kCloseRequest = "close@streamkit";
inline constexpr std::string_view kResetRequest = "reset@streamkit";
inline constexpr std::string_view kStopRequest = "stop@streamkit";
inline constexpr std::string_view kExitStatus = "exit-status";
inline constexpr std::string_view kExitSignal = "exit-signal";

// Limits on text that the other side sends (request and channel type names, refusal sentences).
inline constexpr std::size_t kMaxTypeName = 255;
inline constexpr std::size_t kMaxDescription = 1024;

}  // namespace streamkit::channel
