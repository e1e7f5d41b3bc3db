// Heads written anew, and the pages that say what went wrong: without sockets.
#include "http_rewrite.hpp"

#include "http_pages.hpp"
#include "http_parser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace streamkit::tunnel {
namespace {

using testing::HasSubstr;
using testing::Not;

io::Address visitor(std::string host) {
  io::Address address;
  address.host = std::move(host);
  address.port = 5000;
  return address;
}

std::string rewrite(std::string_view text, RequestRewrite how = {}) {
  HttpParser parser(HttpParser::Role::request);
  EXPECT_EQ(parser.next(as_bytes(text)).event, HttpEvent::head) << text;
  ByteQueue out;
  write_request_head(parser.head(), how, out);
  return to_string(out.data());
}

std::string respond(std::string_view text, ResponseRewrite how,
                    ResponseFraming* framing = nullptr) {
  HttpParser parser(HttpParser::Role::response);
  if (how.answers_head) parser.answers_head();
  EXPECT_EQ(parser.next(as_bytes(text)).event, HttpEvent::head) << text;
  ByteQueue out;
  const ResponseFraming got = write_response_head(parser.head(), how, out);
  if (framing) *framing = got;
  return to_string(out.data());
}

TEST(HttpRewrite, writes_the_whole_request_head_that_it_should) {
  const io::Address from = visitor("2001:db8::1");
  EXPECT_EQ(
      rewrite("POST http://Web.a:81?q HTTP/1.1\r\nUser-Agent: x\r\nhost: web.a:81\r\n"
              "content-length: 007\r\nConnection: close, Cookie\r\nCookie: c\r\nTrailer: T\r\n"
              "Forwarded: for=1\r\nx-forwarded-port: 1\r\nX: 1\r\nX: 2\r\n\r\n",
              {"localhost:3000", "https", &from}),
      "POST /?q HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: x\r\nX: 1\r\nX: 2\r\n"
      "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: web.a:81\r\n"
      "X-Forwarded-Port: 81\r\n"
      "Forwarded: for=\"[2001:db8::1]\";host=\"web.a:81\";proto=https\r\nContent-Length: "
      "7\r\n\r\n");
}

TEST(HttpRewrite, says_that_a_visitor_without_an_address_is_unknown) {
  io::Address from;
  from.kind = io::Address::Kind::unix_path;
  from.path = "/run/x";
  const std::string head = rewrite("GET / HTTP/1.1\r\nHost: a\r\n\r\n", {"", "http", &from});
  EXPECT_THAT(head, HasSubstr("Forwarded: for=unknown;host=\"a\""));
  EXPECT_THAT(head, Not(HasSubstr("X-Forwarded-For")));
  EXPECT_THAT(head, HasSubstr("X-Forwarded-Port: 80\r\n"));
}

TEST(HttpRewrite, connection_cannot_take_away_what_we_say) {
  const io::Address from = visitor("1.2.3.4");
  const std::string head = rewrite(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
      "Connection: Host, X-Forwarded-For, Content-Length, close\r\n\r\n",
      {"", "http", &from});
  EXPECT_THAT(head, HasSubstr("Host: a\r\n"));
  EXPECT_THAT(head, HasSubstr("X-Forwarded-For: 1.2.3.4\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Length: 1\r\n"));
}

TEST(HttpRewrite, frames_a_body_once) {
  EXPECT_THAT(
      rewrite("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nTrailer: T\r\n\r\n"),
      testing::AllOf(HasSubstr("\r\nTransfer-Encoding: chunked\r\n"), HasSubstr("Trailer: T"),
                     Not(HasSubstr("Length"))));
  EXPECT_THAT(rewrite("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
              HasSubstr("Content-Length: 0\r\n"));
  EXPECT_THAT(rewrite("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Not(HasSubstr("Content-Length")));
}

TEST(HttpRewrite, frames_responses_for_whom_they_go_to) {
  const std::string chunked =
      "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n"
      "Connection: x\r\nX: hop\r\nKeep-Alive: 1\r\nProxy-Authenticate: a\r\n\r\n";
  const std::string endless = "HTTP/1.0 200 OK\r\n\r\n";
  const std::string length = "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n";
  ResponseFraming framing;
  EXPECT_EQ(respond(chunked, {}, &framing),
            "HTTP/1.1 200 Fine\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(framing.keep_alive);
  EXPECT_EQ(respond(chunked, {0, false, true}, &framing),
            "HTTP/1.1 200 Fine\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(framing.body, HttpBody::until_close);
  EXPECT_FALSE(framing.keep_alive);
  EXPECT_EQ(respond(endless, {}), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(respond(length, {0, false, true}),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(respond(length, {1, false, false}),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(respond(length, {1, true, true}, &framing),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(framing.body, HttpBody::none);
  EXPECT_EQ(respond("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", {}), "HTTP/1.1 204 No\r\n\r\n");
  EXPECT_EQ(respond("HTTP/1.1 101 S\r\nUpgrade: w\r\nConnection: upgrade\r\n\r\n", {}),
            "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n");
}

// --- pages ---

std::string page_text(const ErrorPage& page, PageFormat format) {
  ByteQueue out;
  PageFrame frame;
  frame.format = format;
  write_page(page, frame, out);
  return to_string(out.data());
}

TEST(HttpPages, chooses_the_format_that_was_asked_for) {
  EXPECT_EQ(choose_format("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            PageFormat::html);
  EXPECT_EQ(choose_format("application/json, text/plain, */*"), PageFormat::json);
  EXPECT_EQ(choose_format("text/html;q=0.2, application/json;q=0.5"), PageFormat::json);
  EXPECT_EQ(choose_format("*/*"), PageFormat::text);
  EXPECT_EQ(choose_format(""), PageFormat::text);
  EXPECT_EQ(choose_format("image/png"), PageFormat::text);
  EXPECT_EQ(choose_format("text/html;q=0"), PageFormat::text);
}

TEST(HttpPages, says_what_is_wrong_and_what_to_do) {
  const ErrorPage refused = page_for_upstream(
      "127.0.0.1:3000",
      Error(Errc::refused,
            Status(Code::unavailable, "", "connect to 127.0.0.1:3000: Connection refused")));
  EXPECT_EQ(refused.status, 502);
  EXPECT_EQ(refused.title, "Nothing is listening on 127.0.0.1:3000");
  EXPECT_EQ(refused.detail, "connect to 127.0.0.1:3000: Connection refused");
  EXPECT_THAT(refused.hint, HasSubstr("Start the application"));
  EXPECT_EQ(page_for_upstream("t", Errc::timeout).status, 504);
  EXPECT_EQ(page_for_upstream("t", Error(Errc::refused, Status(Code::deadline_exceeded))).status,
            504);
  EXPECT_EQ(page_for_upstream("t", Errc::connection_lost).status, 503);
  EXPECT_EQ(page_for_upstream("t", Errc::no_such_service).status, 404);
  EXPECT_EQ(page_for_upstream("t", std::make_error_code(std::errc::connection_refused)).word,
            "nothing-listening");
  EXPECT_THAT(page_text(page_for_route("web", Errc::peer_not_connected), PageFormat::text),
              HasSubstr("\r\nRetry-After: 2\r\n"));
  EXPECT_EQ(page_for_route("web", Errc::no_such_service).status, 404);
  EXPECT_EQ(page_for_route("web", Error(Errc::limit, "too many")).status, 502);
}

TEST(HttpPages, escapes_what_it_is_told) {
  const ErrorPage page = {502, "upstream-failed", "<script>\"'&", "a\x1b[31m\r\nX: y", "b\\c", 0};
  const std::string html = page_text(page, PageFormat::html);
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;&quot;&#39;&amp;"));
  EXPECT_THAT(html, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(html, HasSubstr("\r\nCache-Control: no-store\r\n"));
  EXPECT_THAT(html, HasSubstr("\r\nStreamkit-Error: upstream-failed\r\n"));
  const std::string json = page_text(page, PageFormat::json);
  EXPECT_THAT(json, HasSubstr(R"("title":"<script>\"'&")"));
  EXPECT_THAT(json, HasSubstr(R"("detail":"a\\x1b[31m\\x0d\\x0aX: y")"));
  EXPECT_THAT(json, HasSubstr(R"("hint":"b\\c")"));
  for (const std::string& text : {html, json}) EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(HttpPages, sends_no_body_in_answer_to_head) {
  ByteQueue out;
  PageFrame frame;
  frame.answers_head = frame.keep_alive = true;
  EXPECT_EQ(write_page(page_for_crowd(), frame, out), 0u);
  const std::string text = to_string(out.data());
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("Content-Length: 0\r\n")));
  EXPECT_THAT(text, Not(HasSubstr("Connection:")));
}

}  // namespace
}  // namespace streamkit::tunnel
