#include "http_rewrite.hpp"

#include <charconv>

namespace streamkit::tunnel {
namespace {

class HeadWriter {
 public:
  explicit HeadWriter(ByteQueue& to) : to_(to) {}
  HeadWriter& text(std::string_view text) {
    to_.append(as_bytes(text));
    return *this;
  }
  HeadWriter& number(std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
  }
  HeadWriter& field(std::string_view name, std::string_view value) {
    return text(name).text(": ").text(value).text("\r\n");
  }
  HeadWriter& length(std::uint64_t value) {
    return text("Content-Length: ").number(value).text("\r\n");
  }

 private:
  ByteQueue& to_;
};

// Meant for the next hop only, whether Connection says so or not.
bool is_hop_by_hop(std::string_view name) noexcept {
  return same_word(name, "connection") || same_word(name, "keep-alive") || same_word(name, "te") ||
         same_word(name, "upgrade") || same_word(name, "proxy") || starts_with_word(name, "proxy-");
}

// Written by us from what the body turned out to be.
bool is_framing(std::string_view name) noexcept {
  return same_word(name, "content-length") || same_word(name, "transfer-encoding");
}

// Some servers read "_" as "-", so a look-alike counts as well.
bool claims_forwarding(std::string_view name) noexcept {
  static constexpr std::string_view kPrefix = "x-forwarded-";
  static constexpr std::string_view kRealIp = "x-real-ip";
  const auto alike = [](std::string_view text, std::string_view pattern) {
    if (text.size() < pattern.size()) return false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      const char c = text[i] == '_' ? '-' : text[i];
      if (!same_word({&c, 1}, pattern.substr(i, 1))) return false;
    }
    return true;
  };
  return same_word(name, "forwarded") || alike(name, kPrefix) ||
         (name.size() == kRealIp.size() && alike(name, kRealIp));
}

// The names in every Connection field. Looked up once a field; usually there is one such field or
// none.
class NamedByConnection {
 public:
  explicit NamedByConnection(const HttpHead& head) : head_(head) {
    for (const HttpField& field : head.fields)
      if (same_word(field.name, "connection") && !is_ordinary(field.value)) any_ = true;
  }
  bool has(std::string_view name) const noexcept {
    if (!any_) return false;
    for (const HttpField& field : head_.fields)
      if (same_word(field.name, "connection") && list_has(field.value, name)) return true;
    return false;
  }

 private:
  static bool is_ordinary(std::string_view value) noexcept {
    return same_word(value, "close") || same_word(value, "keep-alive") ||
           same_word(value, "upgrade");
  }
  const HttpHead& head_;
  bool any_ = false;
};

void write_upgrade(const HttpHead& head, HeadWriter& out) {
  out.field("Connection", "upgrade");
  for (const HttpField& field : head.fields)
    if (same_word(field.name, "upgrade")) out.field("Upgrade", field.value);
}

void write_forwarded(const HttpHead& request, const RequestRewrite& how, HeadWriter& out) {
  const bool known = how.visitor != nullptr && how.visitor->kind == io::Address::Kind::tcp &&
                     !how.visitor->host.empty();
  const std::string_view from = known ? std::string_view(how.visitor->host) : "unknown";
  if (known) out.field("X-Forwarded-For", from);
  out.field("X-Forwarded-Proto", how.scheme).field("X-Forwarded-Host", request.host);
  const auto host = split_host(request.host);
  const std::string_view port = host ? host->port : std::string_view{};
  out.field("X-Forwarded-Port", !port.empty() ? port : how.scheme == "https" ? "443" : "80");
  const bool brackets = from.find(':') != std::string_view::npos;
  out.text("Forwarded: for=").text(brackets ? "\"[" : "").text(from).text(brackets ? "]\"" : "");
  out.text(";host=\"").text(request.host).text("\";proto=").text(how.scheme).text("\r\n");
}

void write_status_line(const HttpHead& response, HeadWriter& out) {
  out.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(response.status)).text(" ");
  out.text(response.reason).text("\r\n");
}

HttpBody framing_for(const HttpHead& response, const ResponseRewrite& how) noexcept {
  if (response.body == HttpBody::none || response.body == HttpBody::length) return response.body;
  return how.visitor_minor == 0 ? HttpBody::until_close : HttpBody::chunked;
}

}  // namespace

void write_request_head(const HttpHead& request, const RequestRewrite& how, ByteQueue& to) {
  HeadWriter out(to);
  const NamedByConnection named(request);
  out.text(request.method).text(" ");
  if (request.path.empty() || (request.path[0] != '/' && request.path != "*")) out.text("/");
  out.text(request.path).text(" HTTP/1.1\r\n");
  out.field("Host", how.host_header.empty() ? request.host : how.host_header);
  for (const HttpField& field : request.fields) {
    if (same_word(field.name, "host") || is_hop_by_hop(field.name) || is_framing(field.name) ||
        claims_forwarding(field.name) || named.has(field.name))
      continue;
    if (same_word(field.name, "trailer") && request.body != HttpBody::chunked) continue;
    if (same_word(field.name, "expect") && request.minor == 0) continue;
    out.field(field.name, field.value);
  }
  write_forwarded(request, how, out);
  if (request.upgrade) write_upgrade(request, out);
  if (request.body == HttpBody::chunked) out.field("Transfer-Encoding", "chunked");
  if (request.body == HttpBody::length) out.length(*request.content_length);
  out.text("\r\n");
}

ResponseFraming write_response_head(const HttpHead& response, const ResponseRewrite& how,
                                    ByteQueue& to) {
  HeadWriter out(to);
  const NamedByConnection named(response);
  const HttpBody body = framing_for(response, how);
  const bool switches = response.status == 101;
  const bool keep = how.keep_alive && body != HttpBody::until_close && !switches;
  write_status_line(response, out);
  for (const HttpField& field : response.fields) {
    if (is_hop_by_hop(field.name) || is_framing(field.name) || named.has(field.name)) continue;
    if (same_word(field.name, "trailer") && body != HttpBody::chunked) continue;
    out.field(field.name, field.value);
  }
  if (body == HttpBody::chunked) out.field("Transfer-Encoding", "chunked");
  // A length without a body is an answer too: how long GET's would be.
  const bool bare_length = body == HttpBody::none && response.content_length &&
                           (how.answers_head || response.status == 304);
  if (body == HttpBody::length || bare_length) out.length(*response.content_length);
  if (switches || response.status == 426) {
    write_upgrade(response, out);
  }
  if (!keep && !switches) {
    out.field("Connection", "close");
  } else if (keep && how.visitor_minor == 0) {
    out.field("Connection", "keep-alive");
  }
  out.text("\r\n");
  return {body, keep};
}

void write_interim_head(const HttpHead& response, ByteQueue& to) {
  HeadWriter out(to);
  const NamedByConnection named(response);
  write_status_line(response, out);
  for (const HttpField& field : response.fields)
    if (!is_hop_by_hop(field.name) && !is_framing(field.name) && !named.has(field.name))
      out.field(field.name, field.value);
  out.text("\r\n");
}

}  // namespace streamkit::tunnel
