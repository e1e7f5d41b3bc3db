#include "dialect.hpp"

#include "numbers.hpp"

#include <streamkit/base/wire.hpp>
#include <streamkit/channel/duplex.hpp>

namespace streamkit::channel {
namespace {

Result<Bytes> encode_pairs(const Headers& headers) {
  Bytes out;
  wire::Writer to(out);
  headers.write(to);
  return out;
}

Result<Headers> decode_pairs(ByteView payload) {
  wire::Reader in(payload);
  Result<Headers> headers = Headers::read(in, kMaxHeaderBytes);
  if (headers && !in.end()) return Error(Errc::protocol, "the pairs have bytes left over");
  return headers;
}

constexpr Dialect kStreamkit{
    .channel_type = kChannelType,
    .encode_open = [](const OpenInfo& info) { return info.encode(); },
    .decode_open = OpenInfo::decode,
    .open_carries_first = true,
    .confirmation_carries_headers = true,
    .trailers_request = kTrailersRequest,
    .encode_trailers = encode_pairs,
    .decode_trailers = decode_pairs,
    .trailers_want_reply = false,
    .trailers_may_follow_eof = false,
    .has_endings = true,
};

constexpr Dialect kDuplex{
    .channel_type = duplex::kChannelType,
    .encode_open = duplex::encode_open,
    .decode_open = duplex::decode_open,
    .open_carries_first = false,
    .confirmation_carries_headers = false,
    .trailers_request = duplex::kTrailersRequest,
    .encode_trailers = duplex::encode_list,
    .decode_trailers = duplex::decode_list,
    .trailers_want_reply = true,
    .trailers_may_follow_eof = true,
    .has_endings = false,
};

}  // namespace

const Dialect& dialect_of(Wire wire) noexcept {
  return wire == Wire::duplex ? kDuplex : kStreamkit;
}

}  // namespace streamkit::channel
