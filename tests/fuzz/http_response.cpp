// HTTP/1.x responses: the first byte says how the rest is divided and whom they answer. The
// division must not matter, and what is accepted must be written anew as something that is read the
// same.
#include "http_parser.hpp"
#include "http_rewrite.hpp"

#include <algorithm>
#include <fuzz/check.hpp>
#include <string>

using namespace streamkit;
using namespace streamkit::tunnel;

namespace {

void read_head(const HttpHead& head, bool answers_head, std::string& out) {
  require(head.fields.size() <= kMaxHeaderFields);
  require(head.status >= 100 && head.status <= 599);
  out += std::to_string(head.status) + " " + std::string(head.reason) + "\n";
  for (const HttpField& f : head.fields)
    out += std::string(f.name) + ":" + std::string(f.value) + "\n";
  ByteQueue written;
  const ResponseFraming framing = write_response_head(head, {1, answers_head, true}, written);
  require(framing.body != HttpBody::until_close);
  HttpParser second(HttpParser::Role::response);
  if (answers_head) second.answers_head();
  const HttpStep step = second.next(written.data());
  if (step.event == HttpEvent::refused) {
    require(second.refusal().status == 431);
    return;
  }
  require(step.event == HttpEvent::head && step.consumed == written.size());
  require(second.head().status == head.status && second.head().body == framing.body);
}

// Everything that the parser says.
std::string read_all(ByteView input, std::size_t piece, bool answers_head) {
  std::string out;
  HttpParser parser(HttpParser::Role::response);
  if (answers_head) parser.answers_head();
  while (!input.empty()) {
    ByteView now = input.first(std::min(piece, input.size()));
    input = input.subspan(now.size());
    for (bool more = true; more;) {
      const HttpStep step = parser.next(now);
      require(step.consumed <= now.size() && step.body.size() <= step.consumed);
      now = now.subspan(step.consumed);
      switch (step.event) {
        case HttpEvent::head:
          read_head(parser.head(), answers_head, out);
          break;
        case HttpEvent::body:
          out += as_text(step.body);
          break;
        case HttpEvent::end:
          parser.start();
          if (answers_head) parser.answers_head();
          more = !now.empty();
          break;
        case HttpEvent::need_more:
          require(now.empty());
          more = false;
          break;
        case HttpEvent::refused:
          return out + "refused " + std::string(parser.refusal().sentence);
      }
    }
  }
  return out + (parser.finish() == HttpEvent::end ? "whole" : "cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input = std::as_bytes(std::span(data, size)).subspan(1);
  const bool answers_head = (data[0] & 0x80) != 0;
  const std::string whole = read_all(input, input.size() + 1, answers_head);
  require(read_all(input, 1 + data[0] % 32u, answers_head) == whole);
  return 0;
}
