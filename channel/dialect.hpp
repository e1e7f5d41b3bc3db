// Dialect: how the two ends of a link say what RFC 4254 has no words for: services and headers of
// an open, trailers, how a channel ended. All that differs between Wire::streamkit and Wire::duplex
// is in one of these; the multiplexer knows neither.
#pragma once

#include <streamkit/channel/metadata.hpp>

namespace streamkit::channel {

struct Dialect {
  /// Of channels with a service and headers.
  std::string_view channel_type;
  Result<Bytes> (*encode_open)(const OpenInfo& info);
  Result<OpenInfo> (*decode_open)(ByteView extra);
  /// OpenInfo::first is in there. Else it is the first data after the confirmation.
  bool open_carries_first;
  bool confirmation_carries_headers;

  std::string_view trailers_request;
  Result<Bytes> (*encode_trailers)(const Headers& trailers);
  Result<Headers> (*decode_trailers)(ByteView payload);
  bool trailers_want_reply;
  bool trailers_may_follow_eof;

  /// close@, reset@ and stop@streamkit and exit-status. Without them CLOSE says all there is to
  /// say, and is an end in order with or without EOF.
  bool has_endings;
};

const Dialect& dialect_of(Wire wire) noexcept;

}  // namespace streamkit::channel
