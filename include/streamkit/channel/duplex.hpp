// What go-streamkit, our ancestor, puts into the standard messages: the greeting, the extra data of
// its `@duplex` channels, its trailers. PROTOCOL.md section 9 is the contract for each byte. It is
// spoken on links whose Wire says so, and nowhere else.
#pragma once

#include <streamkit/channel/metadata.hpp>

namespace streamkit::channel::duplex {

inline constexpr std::string_view kChannelType = "@duplex";
inline constexpr std::string_view kGreetingRequest = "@duplex-greeting";
inline constexpr std::string_view kTrailersRequest = "trailers";
/// Headers or trailers as a list, in bytes: an open with them fits a packet that everybody takes.
inline constexpr std::size_t kMaxListBytes = 32 * 1024;

/// `string service, list headers, boolean attached, uint32 attach, list trailers (empty)`. The rest
/// of an OpenInfo has no place there. Errc::usage for a service name or a header that cannot be
/// said (see encode_list()), header_too_large or limit when it does not fit.
Result<Bytes> encode_open(const OpenInfo& info);
/// Anything behind the headers that does not belong there, or a list that does not decode, is
/// Errc::protocol.
Result<OpenInfo> decode_open(ByteView extra);

/// A list is one string, its words separated by commas. The pair `key`, `value` is the word
/// `key=value`, a pair without key is the word `value`. Errc::usage for what would come back as
/// something else: a comma, an empty word, a key with `=`, a value without key that has `=` behind
/// its first byte. header_too_large over kMaxListBytes.
Result<Bytes> encode_list(const Headers& headers);
/// One list and nothing behind it. Errc::protocol for empty words, header_too_large for more than
/// kMaxListBytes, or kMaxHeaderBytes as pairs.
Result<Headers> decode_list(ByteView payload);

/// `string name`.
Bytes encode_greeting(std::string_view name);
Result<std::string> decode_greeting(ByteView payload);

}  // namespace streamkit::channel::duplex
