// The answers we give ourselves: what went wrong, in words that say what to do, as a small page, as
// plain text or as JSON, whichever the visitor asked for.
#pragma once

#include "http_parser.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/base/error.hpp>

#include <string>
#include <string_view>

namespace streamkit::tunnel {

struct ErrorPage {
  int status = 500;
  std::string_view word;  ///< for programs: the header Streamkit-Error; static storage
  std::string title;      ///< one line
  std::string detail;     ///< what happened
  std::string hint;       ///< what to do about it
  int retry_after = 0;    ///< seconds; 0: no Retry-After
};

inline constexpr int kReconnectRetrySeconds = 2;

ErrorPage page_for_refusal(const HttpRefusal& refusal);
/// 501: a forward proxy's method, asked of a reverse one.
ErrorPage page_for_connect();
ErrorPage page_for_header_timeout();
ErrorPage page_for_body_timeout();
ErrorPage page_for_crowd();
/// What Router::find said about `host`: 404 for an unknown name, 503 for one that is reconnecting.
ErrorPage page_for_route(std::string_view host, const Error& error);
/// Why `target` did not answer: 502, 503 or 504.
ErrorPage page_for_upstream(std::string_view target, const Error& error);
/// 502: it answered, but not in HTTP.
ErrorPage page_for_bad_response(std::string_view target, std::string_view sentence);

enum class PageFormat { html, text, json };
/// By an Accept field's value; text when anything will do.
PageFormat choose_format(std::string_view accept) noexcept;

struct PageFrame {
  PageFormat format = PageFormat::text;
  bool answers_head = false;
  bool keep_alive = false;
  int visitor_minor = 1;
};
/// Head and body. Returns the size of the body that was written.
std::size_t write_page(const ErrorPage& page, const PageFrame& frame, ByteQueue& to);

}  // namespace streamkit::tunnel
