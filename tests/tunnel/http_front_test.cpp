// The HTTP front with real sockets: routing, bodies, upgrades, reuse.
#include "http_front_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <semaphore>

namespace streamkit::tunnel::http_tests {
namespace {

using testing::HasSubstr;
using testing::Not;

// Answers each request with the head it saw.
Origin::Serve show_head() {
  return [](Wire& wire, const Origin::Request& request) {
    body_of(wire, request);
    return wire.write(ok(request.head));
  };
}

// Sends back a body while it arrives, framed as the request was.
bool echo(Wire& wire, const Origin::Request& request) {
  const bool chunked = field(request.head, "Transfer-Encoding") == "chunked";
  const std::string length = field(request.head, "Content-Length");
  wire.write("HTTP/1.1 200 OK\r\n" +
             (chunked ? std::string("Transfer-Encoding: chunked") : "Content-Length: " + length) +
             "\r\n\r\n");
  if (!chunked) {
    for (std::size_t left = std::strtoul(length.c_str(), nullptr, 10); left > 0;) {
      const std::string piece = wire.read_exactly(std::min<std::size_t>(left, 64 * 1024));
      if (piece.empty() || !wire.write(piece)) return false;
      left -= piece.size();
    }
    return true;
  }
  for (;;) {
    const std::string line = wire.read_until("\r\n");
    const std::size_t size = std::strtoul(line.c_str(), nullptr, 16);
    std::string rest = wire.read_exactly(size + 2);
    if (rest.size() != size + 2 || !wire.write(line + rest)) return false;
    if (size == 0) return true;
  }
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t x = 1;
  for (char& c : out) {
    x = x * 1664525 + 1013904223;
    c = static_cast<char>(x >> 24);
  }
  return out;
}

constexpr std::size_t kLarge = 64 * 1024 * 1024;

TEST(HttpFront, passes_a_request_and_its_answer) {
  Origin origin(show_head());
  Stage stage;
  stage.router.add("web.localhost", origin.port(), "localhost:3000");
  Client client(stage.port);
  const Response got = client.ask(
      get("web.localhost:8080", "/a?b=1",
          "Accept: */*\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX_Forwarded_Proto: "
          "x\r\n"
          "X-Real-IP: 6.6.6.6\r\nTE: trailers\r\nProxy-Authorization: secret\r\n"
          "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Kept: a b\r\n"));
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.body, HasSubstr("GET /a?b=1 HTTP/1.1\r\nHost: localhost:3000\r\n"));
  EXPECT_EQ(field(got.body, "X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(field(got.body, "X-Forwarded-Host"), "web.localhost:8080");
  EXPECT_EQ(field(got.body, "X-Forwarded-Proto"), "http");
  EXPECT_EQ(field(got.body, "X-Forwarded-Port"), "8080");
  EXPECT_EQ(field(got.body, "Forwarded"), "for=127.0.0.1;host=\"web.localhost:8080\";proto=http");
  EXPECT_EQ(field(got.body, "X-Kept"), "a b");
  for (const char* gone : {"6.6.6.6", "X_Forwarded", "X-Real-IP", "X-Hop", "Keep-Alive",
                           "TE:", "Connection", "Proxy-"})
    EXPECT_THAT(got.body, Not(HasSubstr(gone)));
  const auto log = stage.logs(1)[0];
  EXPECT_EQ(log.method, "GET");
  EXPECT_EQ(log.path, "/a");  // a query may hold a secret
  EXPECT_EQ(log.host, "web.localhost:8080");
  EXPECT_EQ(log.status, 200);
  EXPECT_EQ(log.out, got.body.size());
  EXPECT_EQ(log.visitor, "127.0.0.1");
  EXPECT_EQ(log.error, "");
}

TEST(HttpFront, keeps_the_visitors_host_when_no_other_is_set) {
  Origin origin(show_head());
  Stage stage;
  stage.router.add("web", origin.port());
  EXPECT_EQ(field(Client(stage.port).ask(get("web:80")).body, "Host"), "web:80");
}

TEST(HttpFront, routes_every_request_of_a_connection_by_its_own_host) {
  Origin a([](Wire& w, const Origin::Request&) { return w.write(ok("from a")); });
  Origin b([](Wire& w, const Origin::Request&) { return w.write(ok("from b")); });
  Stage stage;
  stage.router.add("a", a.port());
  stage.router.add("b", b.port());
  Client client(stage.port);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.ask(get("a")).body, "from a");
    EXPECT_EQ(client.ask(get("b")).body, "from b");
    EXPECT_EQ(client.ask(get("c")).status, 404);
  }
  EXPECT_EQ(a.connections(), 1u);
  EXPECT_EQ(b.connections(), 1u);
}

TEST(HttpFront, answers_pipelined_requests_in_order) {
  Origin slow([](Wire& w, const Origin::Request& r) { return w.write(ok("slow " + r.target)); });
  Origin fast([](Wire& w, const Origin::Request& r) { return w.write(ok("fast " + r.target)); });
  Stage stage;
  stage.router.add("slow", slow.port());
  stage.router.add("fast", fast.port());
  Client client(stage.port);
  client.write(get("slow", "/1") + get("fast", "/2") + get("none", "/3") +
               "POST /4 HTTP/1.1\r\nHost: fast\r\nContent-Length: 0\r\n\r\n" + get("slow", "/5"));
  EXPECT_EQ(client.read_response().body, "slow /1");
  EXPECT_EQ(client.read_response().body, "fast /2");
  EXPECT_EQ(client.read_response().status, 404);
  EXPECT_EQ(client.read_response().body, "fast /4");
  EXPECT_EQ(client.read_response().body, "slow /5");
}

TEST(HttpFront, frames_answers_without_a_body) {
  Origin origin([](Wire& w, const Origin::Request& r) {
    if (r.method == "HEAD") return w.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    if (r.target == "/304")
      return w.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
    return w.write("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  EXPECT_EQ(client.ask("HEAD / HTTP/1.1\r\nHost: web\r\n\r\n", true)["Content-Length"], "1000");
  EXPECT_EQ(client.ask(get("web", "/304"))["Content-Length"], "7");
  const Response empty = client.ask(get("web", "/204"));
  EXPECT_EQ(empty.status, 204);
  EXPECT_EQ(empty["Content-Length"] + empty["Transfer-Encoding"], "");
  EXPECT_EQ(client.ask("HEAD / HTTP/1.1\r\nHost: none\r\n\r\n", true).status, 404);
  EXPECT_EQ(client.ask(get("web", "/304")).status, 304);  // still in step
  EXPECT_EQ(origin.connections(), 1u);
}

TEST(HttpFront, streams_64_mib_up_and_down_at_once) {
  Origin origin(echo);
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  const std::string body = pattern(kLarge);
  std::thread writer([&] {
    client.write("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: " + std::to_string(kLarge) +
                 "\r\n\r\n");
    client.write(body);
  });
  const Response got = client.read_response();
  writer.join();
  EXPECT_EQ(got.status, 200);
  EXPECT_TRUE(got.body == body);
  const auto log = stage.logs(1)[0];
  EXPECT_EQ(log.in, kLarge);
  EXPECT_EQ(log.out, kLarge);
}

TEST(HttpFront, streams_64_mib_in_chunks_both_ways) {
  Origin origin(echo);
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  const std::string body = pattern(kLarge);
  std::thread writer([&] {
    client.write("PUT / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (std::size_t at = 0, n = 1; at < body.size(); at += n, n = n * 5 % 200003 + 1) {
      n = std::min(n, body.size() - at);
      char size[32];
      std::snprintf(size, sizeof size, "%zx;ext=1\r\n", n);
      client.write(size + body.substr(at, n) + "\r\n");
    }
    client.write("0\r\n\r\n");
  });
  const Response got = client.read_response();
  writer.join();
  EXPECT_EQ(got["Transfer-Encoding"], "chunked");
  EXPECT_TRUE(got.body == body);
}

TEST(HttpFront, carries_many_tiny_chunks) {
  Origin origin(echo);
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  std::string chunks, body;
  for (int i = 0; i < 20000; ++i) {
    chunks += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
    body += static_cast<char>('a' + i % 26);
  }
  std::thread writer([&] {
    client.write("POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
                 "0\r\n\r\n");
  });
  EXPECT_TRUE(client.read_response().body == body);
  writer.join();
}

TEST(HttpFront, passes_trailers_but_none_that_frames) {
  Origin origin([](Wire& w, const Origin::Request& r) {
    EXPECT_EQ(field(r.head, "Trailer"), "X-Up");
    const std::string body = w.read_until("\r\n\r\n");
    return w.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        "1\r\n" +
        std::string(body.find("X-Up: 1") != std::string::npos &&
                            body.find("Content-Length") == std::string::npos
                        ? "y"
                        : "n") +
        "\r\n0\r\nX-Sum: 7\r\nTransfer-Encoding: x\r\n\r\n");
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.write(
      "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n"
      "0\r\nX-Up: 1\r\nContent-Length: 5\r\n\r\n");
  const std::string all = client.read_until("X-Sum: 7\r\n\r\n");
  EXPECT_THAT(all, HasSubstr("Trailer: X-Sum\r\n"));
  EXPECT_THAT(all, HasSubstr("1\r\ny\r\n0\r\nX-Sum: 7\r\n\r\n"));
}

TEST(HttpFront, delivers_server_sent_events_one_by_one) {
  std::binary_semaphore seen(0);
  Origin origin([&](Wire& w, const Origin::Request&) {
    w.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for (const char* event : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
      w.write(event);
      seen.acquire();  // the next one only after this one has arrived
    }
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.write(get("web"));
  EXPECT_EQ(field(client.read_until("\r\n\r\n"), "Transfer-Encoding"), "chunked");
  for (const char* event : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
    EXPECT_EQ(client.read_chunk(), event);
    seen.release();
  }
  EXPECT_EQ(client.read_chunk(), "");
}

TEST(HttpFront, gives_an_old_visitor_a_body_that_ends_with_the_connection) {
  Origin origin([](Wire& w, const Origin::Request&) {
    return w.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.write("GET / HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n");
  const std::string all = client.read_to_end();
  EXPECT_THAT(all, testing::EndsWith("\r\n\r\nhello"));
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(all, Not(HasSubstr("chunked")));
  EXPECT_FALSE(client.was_reset());
}

TEST(HttpFront, keeps_an_old_visitor_that_asks_for_it) {
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("hello")); });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  for (int i = 0; i < 2; ++i) {
    const Response got =
        client.ask("GET / HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got["Connection"], "keep-alive");
  }
}

TEST(HttpFront, passes_websockets_and_keeps_half_close) {
  Origin origin([](Wire& w, const Origin::Request& r) {
    EXPECT_EQ(field(r.head, "Upgrade"), "websocket");
    EXPECT_EQ(field(r.head, "Connection"), "upgrade");
    w.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi");
    const std::string all = w.read_to_end();
    w.write(std::string(all.rbegin(), all.rend()));  // after the visitor's end
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  const std::string bytes("\x81\x00\xff not HTTP \r\n\r\n", 18);
  client.write(get("web", "/", "Upgrade: websocket\r\nConnection: Upgrade\r\n") + "early");
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_THAT(head, testing::StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(field(head, "Upgrade"), "websocket");
  EXPECT_EQ(client.read_exactly(2), "hi");
  client.write(bytes);
  client.shut_write();
  const std::string all = "early" + bytes;
  EXPECT_EQ(client.read_to_end(), std::string(all.rbegin(), all.rend()));
  EXPECT_FALSE(client.was_reset());
  const auto log = stage.logs(1)[0];
  EXPECT_EQ(log.status, 101);
  EXPECT_EQ(log.in, all.size());
  EXPECT_EQ(log.error, "");
}

TEST(HttpFront, moves_large_amounts_after_an_upgrade) {
  Origin origin([](Wire& w, const Origin::Request&) {
    w.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
    for (std::size_t left = 8 * 1024 * 1024; left > 0;) {
      const std::string piece = w.read_exactly(std::min<std::size_t>(left, 10000));
      if (piece.empty() || !w.write(piece)) return false;
      left -= piece.size();
    }
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.write(get("web", "/", "Upgrade: echo\r\nConnection: Upgrade\r\n"));
  client.read_until("\r\n\r\n");
  const std::string body = pattern(8 * 1024 * 1024);
  std::thread writer([&] { client.write(body); });
  EXPECT_TRUE(client.read_to_end() == body);
  writer.join();
}

TEST(HttpFront, goes_on_in_http_when_an_upgrade_is_declined) {
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("no")); });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(client.ask(get("web", "/", "Upgrade: x\r\nConnection: Upgrade\r\n")).body, "no");
}

TEST(HttpFront, passes_expect_100_continue_and_its_answer) {
  Origin origin([](Wire& w, const Origin::Request& r) {
    if (r.target == "/no") return w.write("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n") && false;
    w.write("HTTP/1.1 100 Continue\r\n\r\n");
    return w.write(ok("got " + body_of(w, r)));
  });
  Stage stage;
  stage.router.add("web", origin.port());
  const std::string head =
      " HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
  Client client(stage.port);
  client.write("POST /yes" + head);
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("hello");
  EXPECT_EQ(client.read_response().body, "got hello");
  client.write("POST /no" + head);
  const Response no = client.read_response();
  EXPECT_EQ(no.status, 417);
  EXPECT_EQ(no["Connection"], "close");  // whether the body still comes is not known
}

TEST(HttpFront, delivers_an_early_answer_while_the_visitor_still_sends) {
  Origin origin([](Wire& w, const Origin::Request&) {
    w.write("HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\n\r\ntoo much");
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  std::thread writer([&] {
    client.write("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: " + std::to_string(kLarge) +
                 "\r\n\r\n");
    client.write(pattern(kLarge));  // may be cut off
  });
  const Response got = client.read_response();
  EXPECT_EQ(got.status, 413);
  EXPECT_EQ(got.body, "too much");
  EXPECT_EQ(got["Connection"], "close");
  writer.join();
}

TEST(HttpFront, answers_a_visitor_that_closed_its_sending_half) {
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("hello")); });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.write(get("web"));
  client.shut_write();
  EXPECT_EQ(client.read_response().body, "hello");
  EXPECT_EQ(client.read_to_end(), "");
}

// --- reuse of upstreams ---

TEST(HttpFront, repeats_a_get_when_a_kept_upstream_dies_and_does_not_repeat_a_post) {
  Origin origin([](Wire& w, const Origin::Request& r) {
    if (r.number > 0) return false;  // reads a second request and closes without a word
    return w.write(ok("by " + std::to_string(r.connection)));
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  EXPECT_EQ(client.ask(get("web")).body, "by 0");
  EXPECT_EQ(client.ask(get("web")).body, "by 1");
  const Response post = client.ask("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(post.status, 502);
  EXPECT_EQ(post["Streamkit-Error"], "upstream-failed");
}

TEST(HttpFront, opens_a_fresh_upstream_for_a_post_when_the_kept_one_is_not_fresh) {
  HttpFrontOptions options;
  options.upstream_fresh = Duration::zero();
  Origin origin([](Wire& w, const Origin::Request& r) {
    return w.write(ok("by " + std::to_string(r.connection)));
  });
  Stage stage(options);
  stage.router.add("web", origin.port());
  Client client(stage.port);
  EXPECT_EQ(client.ask(get("web")).body, "by 0");
  EXPECT_EQ(client.ask("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n\r\n").body, "by 1");
}

TEST(HttpFront, drops_a_kept_upstream_that_ends_or_speaks_unasked) {
  for (const std::string unasked : {"", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"}) {
    std::binary_semaphore go(0);
    Origin origin([&](Wire& w, const Origin::Request& r) {
      w.write(ok("by " + std::to_string(r.connection)));
      if (r.connection != 0) return true;
      go.acquire();
      return w.write(unasked) && !unasked.empty();
    });
    Stage stage;
    stage.router.add("web", origin.port());
    Client client(stage.port);
    EXPECT_EQ(client.ask(get("web")).body, "by 0");
    stage.wait_until([&] { return stage.front->idle_upstreams() == 1; });
    go.release();
    stage.wait_until([&] { return stage.front->idle_upstreams() == 0; });
    EXPECT_EQ(client.ask(get("web")).body, "by 1");
  }
}

TEST(HttpFront, keeps_no_more_idle_upstreams_than_allowed_and_none_for_long) {
  HttpFrontOptions options;
  options.max_idle_upstreams = 2;
  options.max_idle_upstreams_total = 3;
  options.upstream_idle_timeout = std::chrono::seconds(1);
  std::counting_semaphore<> go(0);
  Origin origin([&](Wire& w, const Origin::Request&) {
    go.acquire();
    return w.write(ok("x"));
  });
  Stage stage(options);
  for (const char* host : {"a", "b"}) stage.router.add(host, origin.port());
  std::vector<std::unique_ptr<Client>> clients;
  for (const char* host : {"a", "a", "a", "b", "b", "b"}) {
    clients.push_back(std::make_unique<Client>(stage.port));
    clients.back()->write(get(host));
  }
  std::atomic<std::size_t> most{0};
  while (origin.connections() < 6) std::this_thread::yield();
  go.release(6);
  for (auto& client : clients) {
    EXPECT_EQ(client->read_response().body, "x");
    most = std::max(most.load(), stage.on_context([&] { return stage.front->idle_upstreams(); }));
  }
  EXPECT_GE(most.load(), 1u);
  EXPECT_LE(most.load(), 3u);
  stage.wait_until([&] { return stage.front->idle_upstreams() == 0; });  // the timeout
}

TEST(HttpFront, closes_the_idle_upstreams_of_a_key_that_went_away) {
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("x")); });
  Stage stage;
  stage.router.add("web", origin.port());
  Client client(stage.port);
  client.ask(get("web"));
  stage.wait_until([&] { return stage.front->idle_upstreams() == 1; });
  stage.on_context([&] { stage.front->drop_upstreams("other"); });
  EXPECT_EQ(stage.on_context([&] { return stage.front->idle_upstreams(); }), 1u);
  stage.on_context([&] { stage.front->drop_upstreams("web"); });
  EXPECT_EQ(stage.on_context([&] { return stage.front->idle_upstreams(); }), 0u);
}

TEST(HttpFront, drains_after_the_request_it_is_at) {
  std::binary_semaphore go(0), asked(0);
  Origin origin([&](Wire& w, const Origin::Request&) {
    asked.release();
    go.acquire();
    return w.write(ok("last"));
  });
  Stage stage;
  stage.router.add("web", origin.port());
  Client idle(stage.port), busy(stage.port);
  busy.write(get("web"));
  asked.acquire();
  stage.wait_until([&] { return stage.front->visitors() == 2; });
  stage.on_context([&] { stage.front->drain(); });
  EXPECT_EQ(idle.read_to_end(), "");
  go.release();
  const Response last = busy.read_response();
  EXPECT_EQ(last.body, "last");
  EXPECT_EQ(last["Connection"], "close");
  EXPECT_EQ(busy.read_to_end(), "");
}

// --- a client that somebody else wrote ---

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  ::pclose(pipe);
  return out;
}

TEST(HttpFront, serves_curl) {
  if (std::system("curl --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "curl is not installed";
  Origin origin(echo);
  Stage stage;
  stage.router.add("web.localhost", origin.port());
  const std::string curl = "curl -sS --max-time 60 --noproxy '*' --resolve 'web.localhost:" +
                           std::to_string(stage.port) + ":127.0.0.1' ";
  const std::string url = "'http://web.localhost:" + std::to_string(stage.port) + "/x' ";
  EXPECT_EQ(output_of(curl + "--data-binary hello " + url), "hello");
  EXPECT_EQ(output_of("printf piped | " + curl + "-T - " + url), "piped");
  const std::string big = "head -c 20000000 /dev/zero | ";
  EXPECT_EQ(output_of(big + curl + "--data-binary @- " + url + "| cksum"),
            output_of(big + "cksum"));
  EXPECT_EQ(output_of(big + curl + "-T - " + url + "| cksum"), output_of(big + "cksum"));
  EXPECT_EQ(output_of(curl + "-o /dev/null -w '%{http_code} %{num_connects} ' --data a " + url +
                      "--next -o /dev/null -w '%{http_code} %{num_connects}' --data b " + url),
            "200 1 200 0");
}

}  // namespace
}  // namespace streamkit::tunnel::http_tests
