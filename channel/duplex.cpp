// The ancestor's messages, byte by byte. It joins its headers with commas and looks at nothing;
// here whatever would not come back as it was is an error before it is sent, and everything that
// comes is checked against the bytes that are there before it is copied.
#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/channel/duplex.hpp>

#include <algorithm>

namespace streamkit::channel::duplex {
namespace {

constexpr std::size_t kShownOfHeader = 64;  // bytes, in an error

Error malformed(const char* what) {
  return Error(Errc::protocol, what);
}

/// What keeps a pair from being said as one word; empty: nothing.
std::string_view problem_of(const Headers::Pair& pair) noexcept {
  const auto& [key, value] = pair;
  if (key.find(',') != std::string::npos || value.find(',') != std::string::npos)
    return "contains a comma, which separates headers there";
  if (key.find('=') != std::string::npos) return "has '=' in its key";
  if (!key.empty()) return {};
  if (value.empty()) return "is empty";
  const std::size_t at = value.find('=');
  return at == std::string::npos || at == 0 ? ""
                                            : "has no key, but would be taken for one with a key";
}

Result<std::string> join(const Headers& headers) {
  std::string list;
  for (const Headers::Pair& pair : headers) {
    if (const std::string_view problem = problem_of(pair); !problem.empty()) {
      const std::string& shown = pair.first.empty() ? pair.second : pair.first;
      return Error(Errc::usage, "the header '" + escape(shown, kShownOfHeader) +
                                    "' cannot go over the ancestor's wire: it " +
                                    std::string(problem));
    }
    if (!list.empty()) list += ',';
    list += pair.first;
    if (!pair.first.empty()) list += '=';
    list += pair.second;
  }
  if (list.size() > kMaxListBytes || headers.wire_size() > kMaxHeaderBytes) {
    return Error(Errc::header_too_large, "headers have at most 32 KiB on the ancestor's wire");
  }
  return list;
}

Result<Headers> split(std::string_view list) {
  Headers headers;
  if (list.empty()) return headers;
  const auto words = 1 + static_cast<std::size_t>(std::count(list.begin(), list.end(), ','));
  // A word costs more as a pair than on the wire: so this is known before there is one.
  if (list.size() > kMaxListBytes || 4 + 8 * words + list.size() > kMaxHeaderBytes) {
    return Error(Errc::header_too_large, "the headers are too large");
  }
  for (std::size_t i = 0; i < words; ++i) {
    const std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    if (word.empty()) return malformed("a header is empty");
    const std::size_t at = word.find('=');
    const bool has_key = at != std::string_view::npos && at > 0;
    headers.add(std::string(has_key ? word.substr(0, at) : ""),
                std::string(has_key ? word.substr(at + 1) : word));
  }
  return headers;
}

}  // namespace

Result<Bytes> encode_open(const OpenInfo& info) {
  if (!is_valid_service_name(info.service)) {
    return Error(Errc::usage,
                 "a service name has 1 to 255 bytes of UTF-8 without control characters");
  }
  if (info.first.size() > kMaxFirst) {
    return Error(Errc::limit, "at most 32 KiB can follow an open at once; write the rest");
  }
  const Result<std::string> headers = join(info.headers);
  if (!headers) return headers.error();
  const bool attached = info.parent != kNoParent;
  Bytes out;
  wire::Writer(out)
      .string(info.service)
      .string(*headers)
      .boolean(attached)
      .u32(attached ? info.parent : 0)
      .string(std::string_view());
  return out;
}

Result<OpenInfo> decode_open(ByteView extra) {
  wire::Reader in(extra);
  OpenInfo info;
  const std::string_view service = in.text();
  const std::string_view list = in.text();
  const bool attached = in.boolean();
  const std::uint32_t attach = in.u32();
  const std::string_view trailers = in.text();
  if (!in.end()) return malformed("the open is cut off or has bytes left over");
  if (!is_valid_service_name(service)) return malformed("the open's service name is not valid");
  if (!trailers.empty()) return malformed("the open has trailers already");
  if (attached && attach == kNoParent) {
    return malformed("the open is attached to a channel that cannot be");
  }
  Result<Headers> headers = split(list);
  if (!headers) return headers.error();
  info.service = service;
  info.headers = std::move(*headers);
  if (attached) info.parent = attach;
  return info;
}

Result<Bytes> encode_list(const Headers& headers) {
  const Result<std::string> list = join(headers);
  if (!list) return list.error();
  Bytes out;
  wire::Writer(out).string(*list);
  return out;
}

Result<Headers> decode_list(ByteView payload) {
  wire::Reader in(payload);
  const std::string_view list = in.text();
  if (!in.end()) return malformed("the list is cut off or has bytes left over");
  return split(list);
}

Bytes encode_greeting(std::string_view name) {
  Bytes out;
  wire::Writer(out).string(name);
  return out;
}

Result<std::string> decode_greeting(ByteView payload) {
  wire::Reader in(payload);
  const std::string_view name = in.text();
  if (!in.end()) return malformed("the greeting is cut off or has bytes left over");
  return std::string(name);
}

}  // namespace streamkit::channel::duplex
