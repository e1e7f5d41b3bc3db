// What we put into the standard messages: the extra data of `channel@streamkit` opens, trailers, the
// closing status, the hello. PROTOCOL.md is the contract for each byte.
#pragma once

#include <streamkit/base/headers.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>

#include <cstdint>
#include <string>

namespace streamkit::channel {

/// What a link speaks beside RFC 4254: PROTOCOL.md, or its section 8, the wire of go-streamkit.
enum class Wire : std::uint8_t { streamkit, duplex };

inline constexpr std::string_view kChannelType = "channel@streamkit";
inline constexpr std::string_view kHelloRequest = "hello@streamkit";
inline constexpr std::string_view kPeerExtension = "peer@streamkit";
inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::uint32_t kNoParent = 0xffffffff;
inline constexpr std::size_t kMaxServiceName = 255;
inline constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
inline constexpr std::size_t kMaxFirst = 32 * 1024;

/// 1..255 bytes of UTF-8 without control characters.
bool is_valid_service_name(std::string_view name) noexcept;

/// The extra data of an open.
struct OpenInfo {
  std::string service;
  Headers headers{};
  std::uint32_t parent = kNoParent;  ///< the receiver's number of the channel this one is attached to
  bool framed = false;               ///< the opener means to speak frames
  std::uint32_t deadline_ms = 0;     ///< 0: none
  std::uint32_t priority = 100;      ///< lower is sooner
  Bytes first{};                     ///< data that rides along
  Result<Bytes> encode() const;      ///< usage, header_too_large or limit when it does not fit
  static Result<OpenInfo> decode(ByteView extra);
};

struct Hello {
  std::uint32_t version = kProtocolVersion;
  std::string peer_name;
  std::string instance_id;  ///< 16 bytes
  std::string app;
  std::uint32_t max_frame = 0;
  Headers properties;
  Bytes encode() const;
  static Result<Hello> decode(ByteView payload);
};

/// `uint32 code, string reason, string message`.
Bytes encode_status(const Status& status);
Result<Status> decode_status(ByteView payload);

}  // namespace streamkit::channel
