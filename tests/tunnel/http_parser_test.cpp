// The parser: what it reads, what it must refuse, and that no division of the input changes either.
#include "http_parser.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace streamkit::tunnel {
namespace {

using Role = HttpParser::Role;

// Everything that a parser said about a stream, as one text, so that two runs can be compared.
struct Transcript {
  std::string text;
  std::string body;
  int refused = 0;  // its status
};

void describe_head(const HttpHead& head, std::string& to) {
  to += "HEAD " + std::string(head.method) + "|" + std::string(head.target) + "|" +
        std::string(head.path) + "|" + std::string(head.host) + "|" + std::to_string(head.status) +
        "|" + std::string(head.reason) + "|1." + std::to_string(head.minor) + "|body" +
        std::to_string(static_cast<int>(head.body)) + "|";
  if (head.content_length) to += std::to_string(*head.content_length);
  to += head.keep_alive ? "|keep" : "|close";
  if (head.upgrade) to += "|upgrade";
  if (head.expect_continue) to += "|expect";
  to += "\n";
  for (const HttpField& f : head.fields)
    to += "  " + std::string(f.name) + "=" + std::string(f.value) + "\n";
}

// Feeds `input` in the pieces that `sizes` gives, then its end.
template <class NextSize>
Transcript run(Role role, std::string_view input, NextSize next_size) {
  Transcript out;
  HttpParser parser(role);
  bool ended_at_boundary = true;
  while (!input.empty() && out.refused == 0) {
    const std::size_t size = std::min<std::size_t>(next_size(), input.size());
    ByteView piece = as_bytes(input.substr(0, size));
    input.remove_prefix(size);
    for (;;) {
      const HttpStep step = parser.next(piece);
      piece = piece.subspan(step.consumed);
      ended_at_boundary = false;
      if (step.event == HttpEvent::head) describe_head(parser.head(), out.text);
      if (step.event == HttpEvent::body) out.body += as_text(step.body);
      if (step.event == HttpEvent::end) {
        out.text += "BODY " + out.body + "\nEND\n";
        out.body.clear();
        for (const HttpField& f : parser.trailers())
          out.text += "  trailer " + std::string(f.name) + "=" + std::string(f.value) + "\n";
        parser.start();
        ended_at_boundary = true;
        if (piece.empty()) break;
      }
      if (step.event == HttpEvent::need_more) {
        EXPECT_TRUE(piece.empty());
        break;
      }
      if (step.event == HttpEvent::refused) {
        out.refused = parser.refusal().status;
        out.text += "REFUSED " + std::to_string(out.refused) + " " +
                    std::string(parser.refusal().word) + " " +
                    std::string(parser.refusal().sentence) + "\n";
        break;
      }
    }
  }
  if (out.refused == 0 && !ended_at_boundary && !parser.is_idle())
    out.text += parser.finish() == HttpEvent::end ? "BODY " + out.body + "\nFINISHED\n" : "CUT\n";
  return out;
}

Transcript run_whole(Role role, std::string_view input) {
  return run(role, input, [&] { return input.size(); });
}

const std::string kGet = "GET /a?b=c HTTP/1.1\r\nHost: web.localhost:8080\r\n";

struct Vector {
  const char* name;
  std::string text;
  int status = 400;
};

std::vector<Vector> refused_requests() {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      {"lone CR in a value", kGet + "X: a\rb\r\n\r\n"},
      {"lone CR as line end", "GET / HTTP/1.1\rHost: a\r\n\r\n"},
      {"NUL in a value", kGet + std::string("X: a\0b\r\n\r\n", 10)},
      {"NUL in a name", kGet + std::string("X\0: a\r\n\r\n", 9)},
      {"DEL in a value", kGet + "X: \x7f\r\n\r\n"},
      {"length and coding", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
      {"two different lengths", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"},
      {"two equal lengths", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"},
      {"length list", post + "Content-Length: 5, 5\r\n\r\n"},
      {"length with a sign", post + "Content-Length: +5\r\n\r\n"},
      {"negative length", post + "Content-Length: -5\r\n\r\n"},
      {"empty length", post + "Content-Length: \r\n\r\n"},
      {"hexadecimal length", post + "Content-Length: 0x5\r\n\r\n"},
      {"length with a space", post + "Content-Length: 1 2\r\n\r\n"},
      {"chunk size with 0x", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with a sign", chunked + "+5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with a space before", chunked + " 5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with a space behind", chunked + "5 \r\nhello\r\n0\r\n\r\n"},
      {"chunk size empty", chunked + "\r\nhello\r\n0\r\n\r\n"},
      {"chunk size of 17 digits", chunked + "00000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"chunk size of 2^64 - 1", chunked + "ffffffffffffffff\r\nhello"},
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {"bare LF after a field", kGet + "X: a\nY: b\r\n\r\n"},
      {"bare LF at the end", kGet + "\n"},
      {"bare LF in a chunk line", chunked + "5\nhello\r\n0\r\n\r\n"},
      {"chunk extension with bare LF", chunked + "5;a\nhello\r\n0\r\n\r\n"},
      {"chunk extension with lone CR", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n"},
      {"chunk data without CRLF", chunked + "5\r\nhello0\r\n\r\n"},
      {"chunk data with bare LF", chunked + "5\r\nhello\n0\r\n\r\n"},
      {"trailer with bare LF", chunked + "0\r\nX: a\n\r\n"},
      {"trailer folded", chunked + "0\r\nX: a\r\n b\r\n\r\n"},
      {"trailer without colon", chunked + "0\r\nX\r\n\r\n"},
      {"space before colon", kGet + "X : a\r\n\r\n"},
      {"space before colon of the coding", post + "Transfer-Encoding : chunked\r\n\r\n"},
      {"tab before colon", kGet + "X\t: a\r\n\r\n"},
      {"empty field name", kGet + ": a\r\n\r\n"},
      {"field without colon", kGet + "X\r\n\r\n"},
      {"field name with a bracket", kGet + "X[: a\r\n\r\n"},
      {"folded field", kGet + "X: a\r\n b\r\n\r\n"},
      {"folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"folded coding", post + "Transfer-Encoding:\r\n chunked\r\n\r\n"},
      {"unknown coding", post + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {"gzip coding", post + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {"identity coding", post + "Transfer-Encoding: identity\r\n\r\n", 501},
      {"coding list", post + "Transfer-Encoding: chunked, identity\r\n\r\n"},
      {"coding list ending in chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {"coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"coding twice, differing",
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"},
      {"coding quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
      {"coding empty", post + "Transfer-Encoding:\r\n\r\n"},
      {"coding with vertical tab", post + "Transfer-Encoding: \x0b"
                                          "chunked\r\n\r\n"},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"two hosts", kGet + "Host: b\r\n\r\n"},
      {"two equal hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
      {"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"host with a bad port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"},
      {"host with a large port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"},
      {"target and host differ", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target is no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"asterisk of GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"tabs between the words", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01", 6)},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n"},
      {"version with a space behind", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"length that cannot be counted", post + "Content-Length: 9223372036854775808\r\n\r\n", 413},
      {"broken Connection", kGet + "Connection: close; x\r\n\r\n"},
  };
}

TEST(HttpParser, refuses_every_vector_of_the_smuggling_table) {
  for (const Vector& vector : refused_requests()) {
    const Transcript got = run_whole(Role::request, vector.text);
    EXPECT_EQ(got.refused, vector.status) << vector.name << "\n" << got.text;
  }
}

TEST(HttpParser, refuses_the_same_however_the_vectors_are_divided) {
  for (const Vector& vector : refused_requests()) {
    const std::string whole = run_whole(Role::request, vector.text).text;
    EXPECT_EQ(run(Role::request, vector.text, [] { return 1; }).text, whole) << vector.name;
  }
}

TEST(HttpParser, refuses_responses_that_two_readers_could_read_differently) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const std::string& text :
       {ok + "Content-Length: 5, 5\r\n\r\nhello",
        ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", ok + "Transfer-Encoding: xchunked\r\n\r\n",
        std::string("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), ok + "X : a\r\n\r\n",
        ok + "X: a\r\n b\r\n\r\n", ok + "X: a\n\r\n", ok + "X: \x01\r\n\r\n",
        std::string("HTTP/1.1 20 OK\r\n\r\n"), std::string("HTTP/1.1 099 OK\r\n\r\n"),
        std::string("HTTP/1.1 600 OK\r\n\r\n"), std::string("HTTP/1.1 200 OK\n\r\n"),
        std::string("\r\nHTTP/1.1 200 OK\r\n\r\n"), std::string("HTTP/2 200\r\n\r\n"),
        std::string("SSH-2.0-OpenSSH_9.2\r\n")})
    EXPECT_NE(run_whole(Role::response, text).refused, 0) << text;
}

std::vector<std::pair<Role, std::string>> good_streams() {
  return {
      {Role::request, kGet + "Accept: */*\r\n\r\n"},
      {Role::request, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n"},
      {Role::request,
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
       "helloGET / HTTP/1.0\r\n\r\n"},
      {Role::request,
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  Chunked\t\r\n\r\n"
       "5;name=\"va lue\"\r\nhello\r\n1\r\n!\r\n0;x\r\nX-Sum:  abc \r\nY: \r\n\r\n"
       "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {Role::request,
       "GET /chat HTTP/1.1\r\nhost: [::1]:80\r\nConnection: keep-alive, Upgrade\r\n"
       "Upgrade: websocket\r\n\r\n"},
      {Role::request,
       "GET http://a.b/p?q HTTP/1.1\r\nHost: A.b\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {Role::request, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
      {Role::response, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 \r\n\r\n"},
      {Role::response,
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
       "\r\n3\r\nabc\r\n00\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
      {Role::response, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the end"},
      {Role::response, "HTTP/1.1 500 caf\xc3\xa9 \xff\r\nContent-Length: 0\r\nX: \xe9\r\n\r\n"},
      {Role::response, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut"},
  };
}

TEST(HttpParser, reads_the_same_when_split_at_any_byte) {
  for (const auto& [role, text] : good_streams()) {
    const Transcript whole = run_whole(role, text);
    EXPECT_EQ(whole.refused, 0) << whole.text;
    EXPECT_EQ(run(role, text, [] { return 1; }).text, whole.text);
    for (std::size_t at = 1; at < text.size(); ++at) {
      bool first = true;
      const auto sizes = [&] { return std::exchange(first, false) ? at : text.size(); };
      EXPECT_EQ(run(role, text, sizes).text, whole.text) << "split at " << at;
    }
  }
}

TEST(HttpParser, reads_the_same_in_any_division_of_streams_good_and_bad) {
  std::mt19937 random(20240601);
  std::vector<std::pair<Role, std::string>> streams = good_streams();
  for (const Vector& vector : refused_requests()) {
    streams.emplace_back(Role::request, vector.text);
    streams.emplace_back(Role::request, kGet + "\r\n" + vector.text);
  }
  for (const auto& [role, text] : streams) {
    const std::string whole = run_whole(role, text).text;
    for (int i = 0; i < 20; ++i) {
      std::uniform_int_distribution<std::size_t> sizes(1, 1 + static_cast<std::size_t>(i) * 3);
      EXPECT_EQ(run(role, text, [&] { return sizes(random); }).text, whole) << text;
    }
  }
}

TEST(HttpParser, reads_the_same_when_bytes_are_changed_and_divided_at_random) {
  std::mt19937 random(7);
  for (const auto& [role, text] : good_streams()) {
    for (int i = 0; i < 300; ++i) {
      std::string changed = text;
      constexpr std::string_view kSpice("\r\n\0 :;0fx,\t\x80", 13);
      const std::size_t at = random() % changed.size();
      if (random() % 2) {
        changed[at] = kSpice[random() % kSpice.size()];
      } else {
        changed.insert(at, 1, kSpice[random() % kSpice.size()]);
      }
      const std::string whole = run_whole(role, changed).text;
      EXPECT_EQ(run(role, changed, [&] { return 1 + random() % 9; }).text, whole) << changed;
    }
  }
}

TEST(HttpParser, gives_the_parts_of_a_request) {
  HttpParser parser(Role::request);
  const std::string text =
      "POST /p?q=1 HTTP/1.1\r\nHost: web.localhost:8080\r\nX: \t a b \t\r\nx: second\r\n"
      "Content-Length: 3\r\nConnection: close\r\nExpect: 100-Continue\r\n\r\nabcGET";
  HttpStep step = parser.next(as_bytes(text));
  ASSERT_EQ(step.event, HttpEvent::head);
  const HttpHead& head = parser.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/p?q=1");
  EXPECT_EQ(head.host, "web.localhost:8080");
  EXPECT_EQ(head.find("X"), "a b");
  EXPECT_EQ(head.fields.size(), 6u);
  EXPECT_EQ(head.body, HttpBody::length);
  EXPECT_EQ(head.content_length, 3u);
  EXPECT_FALSE(head.keep_alive);
  EXPECT_TRUE(head.expect_continue);
  std::size_t at = step.consumed;
  step = parser.next(as_bytes(text).subspan(at));
  ASSERT_EQ(step.event, HttpEvent::body);
  EXPECT_EQ(as_text(step.body), "abc");
  EXPECT_TRUE(parser.is_done());
  at += step.consumed;
  EXPECT_EQ(parser.next(as_bytes(text).subspan(at)).event, HttpEvent::end);
  EXPECT_EQ(text.substr(at), "GET");
}

TEST(HttpParser, knows_which_responses_have_no_body) {
  for (const char* status : {"100 a", "101 a", "204 a", "304 a"}) {
    HttpParser parser(Role::response);
    const std::string text = std::string("HTTP/1.1 ") + status + "\r\nContent-Length: 5\r\n\r\n";
    ASSERT_EQ(parser.next(as_bytes(text)).event, HttpEvent::head) << status;
    EXPECT_EQ(parser.next({}).event, HttpEvent::end) << status;
  }
  HttpParser parser(Role::response);
  parser.answers_head();
  ASSERT_EQ(parser.next(as_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")).event,
            HttpEvent::head);
  EXPECT_EQ(parser.next({}).event, HttpEvent::end);
}

TEST(HttpParser, keeps_alive_as_the_version_and_connection_say) {
  const auto keeps = [](std::string_view text) {
    HttpParser parser(Role::request);
    EXPECT_EQ(parser.next(as_bytes(text)).event, HttpEvent::head);
    return parser.head().keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(
      keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"));
}

// --- limits: one step inside is read, one step outside is refused, in one piece and in many ---

void expect_limit(const std::string& inside, const std::string& outside, int status) {
  for (const std::size_t size : {std::size_t{1} << 20, std::size_t{777}}) {
    EXPECT_EQ(run(Role::request, inside, [&] { return size; }).refused, 0);
    EXPECT_EQ(run(Role::request, outside, [&] { return size; }).refused, status);
  }
}

TEST(HttpParser, limits_the_request_line) {
  const auto request = [](std::size_t line) {
    const std::string around = "GET / HTTP/1.1";
    return "GET /" + std::string(line - around.size(), 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  expect_limit(request(kMaxStartLine), request(kMaxStartLine + 1), 414);
}

TEST(HttpParser, limits_the_number_of_fields) {
  const auto request = [](std::size_t fields) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 1; i < fields; ++i) text += "X: y\r\n";
    return text + "\r\n";
  };
  expect_limit(request(kMaxHeaderFields), request(kMaxHeaderFields + 1), 431);
}

TEST(HttpParser, limits_the_head) {
  const auto request = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    return text + std::string(size - text.size() - 4, 'x') + "\r\n\r\n";
  };
  expect_limit(request(kMaxHead), request(kMaxHead + 1), 431);
}

TEST(HttpParser, limits_chunk_extensions_sizes_and_trailers) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto extension = [&](std::size_t n) {
    return head + "1;" + std::string(n, 'e') + "\r\nx\r\n0\r\n\r\n";
  };
  expect_limit(extension(kMaxChunkExtension), extension(kMaxChunkExtension + 1), 400);
  const auto digits = [&](std::size_t n) {
    return head + std::string(n - 1, '0') + "1\r\nx\r\n0\r\n\r\n";
  };
  expect_limit(digits(kMaxChunkSizeDigits), digits(kMaxChunkSizeDigits + 1), 400);
  const auto trailer = [&](std::size_t n) {
    return head + "0\r\nX: " + std::string(n - 7, 't') + "\r\n\r\n";
  };
  expect_limit(trailer(kMaxTrailer), trailer(kMaxTrailer + 1), 400);
  const auto trailers = [&](std::size_t n) {
    std::string text = head + "0\r\n";
    for (std::size_t i = 0; i < n; ++i) text += "X: y\r\n";
    return text + "\r\n";
  };
  expect_limit(trailers(kMaxTrailerFields), trailers(kMaxTrailerFields + 1), 400);
}

TEST(HttpParser, refuses_an_endless_line_before_it_ends) {
  HttpParser parser(Role::request);
  const std::string piece(1024, 'A');
  for (std::size_t i = 0; i < kMaxStartLine / piece.size(); ++i)
    ASSERT_EQ(parser.next(as_bytes(piece)).event, HttpEvent::need_more);
  EXPECT_EQ(parser.next(as_bytes(piece)).event, HttpEvent::refused);
  EXPECT_EQ(parser.refusal().status, 414);
}

TEST(HttpHead, takes_hosts_apart) {
  const auto name = [](std::string_view host) { return split_host(host)->name; };
  EXPECT_EQ(name("web.localhost:8080"), "web.localhost");
  EXPECT_EQ(split_host("web:80")->port, "80");
  EXPECT_EQ(split_host("web:")->port, "");
  EXPECT_EQ(name("[::1]:80"), "::1");
  for (const char* bad : {"", ":80", "[::1", "[]", "[::1]x", "a b", "a:1:2", "a%2e", "\xc3\xa9"})
    EXPECT_FALSE(split_host(bad)) << bad;
}

TEST(HttpHead, walks_lists) {
  std::string_view list = " a ,, b,\t,c";
  EXPECT_EQ(next_element(list), "a");
  EXPECT_EQ(next_element(list), "b");
  EXPECT_EQ(next_element(list), "c");
  EXPECT_EQ(next_element(list), "");
  EXPECT_TRUE(list_has("keep-alive, Upgrade", "upgrade"));
  EXPECT_FALSE(list_has("upgrades", "upgrade"));
}

TEST(ChunkPrefix, writes_sizes_in_hexadecimal) {
  EXPECT_EQ(as_text(ChunkPrefix(0).view()), "0\r\n");
  EXPECT_EQ(as_text(ChunkPrefix(65536).view()), "10000\r\n");
  EXPECT_EQ(as_text(ChunkPrefix(~std::size_t{0}).view()), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace streamkit::tunnel
