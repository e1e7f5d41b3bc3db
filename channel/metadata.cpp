// The extra data of channel@streamkit, the hello and the closing status, byte by byte. Everything
// is checked against the bytes that are there before it is copied.
#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/channel/metadata.hpp>

#include <algorithm>

namespace streamkit::channel {
namespace {

constexpr std::uint32_t kFlagAttached = 1;
constexpr std::uint32_t kFlagFramed = 2;
constexpr std::size_t kInstanceId = 16;
constexpr std::size_t kMaxNameInHello = 255;
constexpr std::size_t kMaxReason = 255;
constexpr std::size_t kMaxStatusMessage = 16 * 1024;
constexpr auto kHighestCode = static_cast<std::uint32_t>(Code::unauthenticated);

/// A prefix of at most `most` bytes that does not end inside a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

Error malformed(const char* what) {
  return Error(Errc::protocol, what);
}

}  // namespace

bool is_valid_service_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxServiceName || !is_valid_utf8(name)) return false;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(name.data());
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (bytes[i] < 0x20 || bytes[i] == 0x7f) return false;
    // U+0080 to U+009F, the second set of control characters, are C2 80 to C2 9F.
    if (bytes[i] == 0xc2 && i + 1 < name.size() && bytes[i + 1] < 0xa0) return false;
  }
  return true;
}

// ---- the open

Result<Bytes> OpenInfo::encode() const {
  if (!is_valid_service_name(service)) {
    return Error(Errc::usage,
                 "a service name has 1 to 255 bytes of UTF-8 without control characters");
  }
  if (headers.wire_size() > kMaxHeaderBytes) {
    return Error(Errc::header_too_large, "the headers of an open fit into 64 KiB");
  }
  if (first.size() > kMaxFirst) {
    return Error(Errc::limit, "at most 32 KiB can ride along with an open; write the rest");
  }
  const std::uint32_t flags =
      (parent != kNoParent ? kFlagAttached : 0) | (framed ? kFlagFramed : 0);
  Bytes out;
  out.reserve(32 + service.size() + headers.wire_size() + first.size());
  wire::Writer to(out);
  to.u8(static_cast<std::uint8_t>(kProtocolVersion)).string(service).u32(flags).u32(parent);
  headers.write(to);
  to.u32(deadline_ms).u32(priority).string(first);
  return out;
}

Result<OpenInfo> OpenInfo::decode(ByteView extra) {
  wire::Reader in(extra);
  const std::uint8_t version = in.u8();
  if (!in.ok()) return malformed("the open carries no extra data");
  if (version != kProtocolVersion) {
    return Error(Errc::version_mismatch,
                 "an open of version " + std::to_string(version) + "; this side speaks version 1");
  }
  OpenInfo info;
  const std::string_view service = in.text();
  const std::uint32_t flags = in.u32();
  info.parent = in.u32();
  if (!in.ok()) return malformed("the open is cut off");
  if (!is_valid_service_name(service)) return malformed("the open's service name is not valid");
  if ((flags & ~(kFlagAttached | kFlagFramed)) != 0) return malformed("the open has unknown flags");
  if (((flags & kFlagAttached) != 0) != (info.parent != kNoParent)) {
    return malformed("the open's parent and its attached flag disagree");
  }
  Result<Headers> headers = Headers::read(in, kMaxHeaderBytes);
  if (!headers) return headers.error();
  info.deadline_ms = in.u32();
  info.priority = in.u32();
  const ByteView first = in.string();
  if (!in.end()) return malformed("the open is cut off or has bytes left over");
  if (first.size() > kMaxFirst) return malformed("the open's first data is over 32 KiB");
  info.service = service;
  info.headers = std::move(*headers);
  info.framed = (flags & kFlagFramed) != 0;
  info.first = to_bytes(first);
  return info;
}

// ---- the hello

Bytes Hello::encode() const {
  Bytes out;
  wire::Writer to(out);
  to.u32(version).string(peer_name).string(instance_id).string(app).u32(max_frame);
  properties.write(to);
  return out;
}

Result<Hello> Hello::decode(ByteView payload) {
  wire::Reader in(payload);
  Hello hello;
  hello.version = in.u32();
  const std::string_view peer_name = in.text();
  const std::string_view instance_id = in.text();
  const std::string_view app = in.text();
  hello.max_frame = in.u32();
  if (!in.ok()) return malformed("the hello is cut off");
  if (peer_name.size() > kMaxNameInHello || app.size() > kMaxNameInHello) {
    return malformed("a name in the hello is over 255 bytes");
  }
  if (instance_id.size() != kInstanceId)
    return malformed("the hello's instance id is not 16 bytes");
  Result<Headers> properties = Headers::read(in, kMaxHeaderBytes);
  if (!properties) return properties.error();
  // A later version may say more; who speaks this one still has to learn that versions differ.
  if (hello.version == kProtocolVersion && !in.end())
    return malformed("the hello has bytes left over");
  hello.peer_name = peer_name;
  hello.instance_id = instance_id;
  hello.app = app;
  hello.properties = std::move(*properties);
  return hello;
}

// ---- the status

Bytes encode_status(const Status& status) {
  Bytes out;
  wire::Writer(out)
      .u32(static_cast<std::uint32_t>(status.code))
      .string(cut(status.reason, kMaxReason))
      .string(cut(status.message, kMaxStatusMessage));
  return out;
}

Result<Status> decode_status(ByteView payload) {
  wire::Reader in(payload);
  const std::uint32_t code = in.u32();
  const std::string_view reason = in.text();
  const std::string_view message = in.text();
  if (!in.end()) return malformed("the status is cut off or has bytes left over");
  return Status(code <= kHighestCode ? static_cast<Code>(code) : Code::unknown,
                std::string(cut(reason, kMaxReason)), std::string(cut(message, kMaxStatusMessage)));
}

}  // namespace streamkit::channel
