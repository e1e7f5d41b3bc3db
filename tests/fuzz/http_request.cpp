// HTTP/1.x requests: the first byte says how the rest is divided. The division must not matter,
// what is accepted must be written anew as something that is read the same, and limits hold.
#include "http_parser.hpp"
#include "http_rewrite.hpp"

#include <algorithm>
#include <fuzz/check.hpp>
#include <string>

using namespace streamkit;
using namespace streamkit::tunnel;

namespace {

void read_head(const HttpHead& head, std::string& out) {
  require(head.fields.size() <= kMaxHeaderFields);
  require(head.minor == 0 || head.minor == 1);
  require(head.minor == 0 || !head.host.empty());
  require(head.body != HttpBody::until_close);
  require(head.body != HttpBody::length || head.content_length.has_value());
  out += std::string(head.method) + " " + std::string(head.target) + "\n";
  for (const HttpField& f : head.fields)
    out += std::string(f.name) + ":" + std::string(f.value) + "\n";
  if (head.method == "CONNECT" || head.host.empty()) return;
  ByteQueue written;
  io::Address visitor;
  visitor.host = "192.0.2.1";
  write_request_head(head, {"", "http", &visitor}, written);
  HttpParser second(HttpParser::Role::request);
  const HttpStep step = second.next(written.data());
  // Only the fields that we add can make it too much for the same limits.
  if (step.event == HttpEvent::refused) {
    require(second.refusal().status == 431 || second.refusal().status == 414);
    return;
  }
  require(step.event == HttpEvent::head && step.consumed == written.size());
  require(second.head().method == head.method && second.head().host == head.host);
  require(second.head().body == head.body && second.head().content_length == head.content_length);
  require(second.head().find("X-Forwarded-For") == "192.0.2.1");
}

// Everything that the parser says.
std::string read_all(ByteView input, std::size_t piece) {
  std::string out;
  HttpParser parser(HttpParser::Role::request);
  while (!input.empty()) {
    ByteView now = input.first(std::min(piece, input.size()));
    input = input.subspan(now.size());
    for (bool more = true; more;) {
      const HttpStep step = parser.next(now);
      require(step.consumed <= now.size() && step.body.size() <= step.consumed);
      now = now.subspan(step.consumed);
      switch (step.event) {
        case HttpEvent::head:
          read_head(parser.head(), out);
          break;
        case HttpEvent::body:
          out += as_text(step.body);
          break;
        case HttpEvent::end:
          require(parser.trailers().size() <= kMaxTrailerFields);
          parser.start();
          more = !now.empty();
          break;
        case HttpEvent::need_more:
          require(now.empty());
          more = false;
          break;
        case HttpEvent::refused:
          require(parser.refusal().status >= 400 && !parser.refusal().word.empty());
          out += "refused " + std::string(parser.refusal().sentence);
          return out;
      }
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input = std::as_bytes(std::span(data, size)).subspan(1);
  const std::string whole = read_all(input, input.size() + 1);
  require(read_all(input, 1 + data[0] % 32u) == whole);
  return 0;
}
