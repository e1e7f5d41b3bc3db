// What an HTTP/1.x message says before its body (RFC 9110, RFC 9112), as views and a few decisions.
//
// A HttpHead owns no text: every view points into the parser that made it and lives until that
// parser starts its next message. This file parses nothing of its own but tokens and lists.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace streamkit::tunnel {

/// How the end of a body is known (RFC 9112 section 6.3).
enum class HttpBody : std::uint8_t { none, length, chunked, until_close };

struct HttpField {
  std::string_view name;
  std::string_view value;  ///< without the white space around it
};

struct HttpHead {
  // a request
  std::string_view method;
  std::string_view target;  ///< as it was sent
  std::string_view path;    ///< the origin form of target: what an origin server wants to see
  std::string_view host;    ///< the one Host field, "name" or "name:port"; empty only in HTTP/1.0
  // a response
  int status = 0;
  std::string_view reason;
  // both
  int minor = 1;                  ///< HTTP/1.minor
  std::vector<HttpField> fields;  ///< in their order, repeats kept
  HttpBody body = HttpBody::none;
  /// The Content-Length; it may be there without a body (a response to HEAD).
  std::optional<std::uint64_t> content_length;
  bool keep_alive = false;       ///< the sender would go on with this connection
  bool upgrade = false;          ///< an Upgrade field, and Connection names it
  bool expect_continue = false;  ///< Expect: 100-continue

  /// The value of the first field called `name`.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  bool has_body() const noexcept {
    return body != HttpBody::none && !(body == HttpBody::length && *content_length == 0);
  }
};

/// Equal but for the case of ASCII letters.
bool same_word(std::string_view a, std::string_view b) noexcept;
bool starts_with_word(std::string_view text, std::string_view prefix) noexcept;
/// One or more `tchar` (RFC 9110 section 5.6.2).
bool is_token(std::string_view text) noexcept;
/// `text` without spaces and tabs at both ends.
std::string_view trim(std::string_view text) noexcept;
/// Takes the next element off a comma-separated list; empty elements are skipped; "" at the end.
std::string_view next_element(std::string_view& list) noexcept;
/// Whether one of the comma-separated elements of `list` is `word`.
bool list_has(std::string_view list, std::string_view word) noexcept;

/// A Host field taken apart. The brackets of an IPv6 literal are not part of the name.
struct HostParts {
  std::string_view name;
  std::string_view port;  ///< digits, or "" when there was none
};
/// nullopt when `host` is not `uri-host [":" port]` with a name or address (RFC 9110 section 7.2).
std::optional<HostParts> split_host(std::string_view host) noexcept;

}  // namespace streamkit::tunnel
