// Writing heads anew: what a visitor's request says to the upstream, and what its answer says to
// the visitor (RFC 9110 section 7.6, RFC 7239).
//
// Nothing is edited in place. Each head is written from its parsed form in one pass, so that only
// one framing, one host and our own word about the visitor go out. Bodies are not this file's
// business.
#pragma once

#include "http_head.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/io/stream.hpp>

#include <string_view>

namespace streamkit::tunnel {

struct RequestRewrite {
  std::string_view host_header;      ///< what Host becomes; "" keeps the visitor's
  std::string_view scheme = "http";  ///< the visitor's
  const io::Address* visitor = nullptr;
};

/// Hop-by-hop fields go (Connection and what it names, Keep-Alive, Proxy-*, TE, Upgrade unless the
/// request is for one), and so does whatever the visitor claimed about who forwarded it:
/// X-Forwarded-*, X-Real-IP and Forwarded are replaced by what we know. Always HTTP/1.1.
void write_request_head(const HttpHead& request, const RequestRewrite& how, ByteQueue& to);

struct ResponseRewrite {
  int visitor_minor = 1;      ///< the HTTP/1.x of the visitor
  bool answers_head = false;  ///< the request was HEAD
  bool keep_alive = true;     ///< we are willing to go on with the visitor's connection
};
struct ResponseFraming {
  HttpBody body = HttpBody::none;  ///< how the body has to be sent to the visitor
  bool keep_alive = false;         ///< what the head promised
};

/// A final response (or 101): hop-by-hop fields go, the framing is one the visitor understands.
/// Without a known length HTTP/1.1 gets chunks and HTTP/1.0 the end of the connection.
ResponseFraming write_response_head(const HttpHead& response, const ResponseRewrite& how,
                                    ByteQueue& to);
/// A 1xx response other than 101.
void write_interim_head(const HttpHead& response, ByteQueue& to);

}  // namespace streamkit::tunnel
