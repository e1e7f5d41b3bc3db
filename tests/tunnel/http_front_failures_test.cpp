// The HTTP front when something goes wrong: pages, refusals, timeouts, limits, back-pressure.
#include "http_front_support.hpp"
#include "http_parser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <semaphore>
#include <sys/socket.h>

namespace streamkit::tunnel::http_tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A port on which nothing listens.
std::uint16_t dead_port() {
  const Origin origin([](Wire&, const Origin::Request&) { return false; });
  return origin.port();
}

// A stream whose two directions do what a test says.
class Scripted : public io::Stream {
 public:
  explicit Scripted(io::Context& context) : context_(context) {}
  std::function<Result<std::size_t>(MutableByteView)> on_read = [](MutableByteView) {
    return Errc::would_block;
  };
  std::function<Result<std::size_t>(std::size_t)> on_write = [](std::size_t n) { return n; };

  Result<std::size_t> read_some(MutableByteView out) override { return on_read(out); }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    std::size_t n = 0;
    for (const ByteView piece : pieces) n += piece.size();
    return on_write(n);
  }
  void wait_readable(Task task) override {
    std::array<std::byte, 1> probe;
    if (probing_) return;
    probing_ = true;  // a read that answers would_block now never becomes ready in these tests
    const Result<std::size_t> got = on_read(MutableByteView(probe).first(0));
    probing_ = false;
    if (got || !got.error().is(Errc::would_block)) context_.post(std::move(task));
  }
  void wait_writable(Task) override {}
  Result<void> shutdown_write() override { return {}; }
  void close(bool) override {}
  io::Address local_address() const override { return {}; }
  io::Address remote_address() const override { return {}; }

 private:
  io::Context& context_;
  bool probing_ = false;
};

TestRouter::Open opens(Stage& stage, std::function<void(Scripted&)> script) {
  return [&stage, script](io::Connect::Done done) -> std::unique_ptr<io::Connect> {
    auto stream = std::make_unique<Scripted>(stage.context);
    script(*stream);
    return std::make_unique<ReadyConnect>(
        stage.context, std::unique_ptr<io::Stream>(std::move(stream)), std::move(done));
  };
}

// --- pages ---

TEST(HttpFrontFailures, an_unknown_name_is_a_404_that_names_it) {
  Stage stage;
  Client client(stage.port);
  const Response text = client.ask(get("nobody.localhost:8080"));
  EXPECT_EQ(text.status, 404);
  EXPECT_EQ(text["Streamkit-Error"], "unknown-name");
  EXPECT_EQ(text["Cache-Control"], "no-store");
  EXPECT_THAT(text.body, HasSubstr("\"nobody.localhost\""));
  const Response html = client.ask(get("x", "/", "Accept: text/html, */*;q=0.1\r\n"));
  EXPECT_EQ(html["Content-Type"], "text/html; charset=utf-8");
  const Response json = client.ask(get("x", "/", "Accept: application/json\r\n"));
  EXPECT_THAT(json.body, HasSubstr(R"("error":"unknown-name")"));
  EXPECT_EQ(stage.logs(3)[2].error, "unknown-name");
}

TEST(HttpFrontFailures, a_dead_target_is_a_502_and_its_return_a_200) {
  Stage stage;
  const std::uint16_t port = dead_port();
  stage.router.add("web", port);
  Client client(stage.port);
  const Response dead = client.ask(get("web"));
  EXPECT_EQ(dead.status, 502);
  EXPECT_EQ(dead["Streamkit-Error"], "nothing-listening");
  EXPECT_THAT(dead.body, HasSubstr("Nothing is listening on 127.0.0.1:" + std::to_string(port)));
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("back")); });
  stage.on_context([&] { stage.router.add("web", origin.port()); });
  EXPECT_EQ(client.ask(get("web")).body, "back");
}

TEST(HttpFrontFailures, an_upstream_that_fails_after_opening_is_a_502_with_its_sentence) {
  Stage stage;
  stage.router.add("web", opens(stage, [](Scripted& s) {
                     s.on_read = [](MutableByteView) {
                       return Error(Errc::reset,
                                    Status(Code::unavailable, "",
                                           "connect to 127.0.0.1:3000: Connection refused"));
                     };
                   }));
  const Response got = Client(stage.port).ask(get("web"));
  EXPECT_EQ(got.status, 502);
  EXPECT_THAT(got.body, HasSubstr("Nothing is listening on 127.0.0.1:3000\n"
                                  "connect to 127.0.0.1:3000: Connection refused\n"));
}

TEST(HttpFrontFailures, a_name_that_reconnects_is_a_503_with_retry_after) {
  Stage stage;
  stage.router.add_error("web", Errc::peer_not_connected);
  stage.router.add("late", [&](io::Connect::Done done) -> std::unique_ptr<io::Connect> {
    return std::make_unique<ReadyConnect>(stage.context, Errc::connection_lost, std::move(done));
  });
  Client client(stage.port);
  for (const char* host : {"web", "late"}) {
    const Response got = client.ask(get(host));
    EXPECT_EQ(got.status, 503);
    EXPECT_EQ(got["Retry-After"], "2");
    EXPECT_EQ(got["Streamkit-Error"], "reconnecting");
  }
}

TEST(HttpFrontFailures, an_upstream_that_does_not_answer_is_a_504) {
  HttpFrontOptions options;
  options.response_timeout = 150ms;
  Stage stage(options);
  stage.router.add("silent", opens(stage, [](Scripted&) {}));
  stage.router.add("never",
                   [](io::Connect::Done) -> std::unique_ptr<io::Connect> { return nullptr; });
  Client client(stage.port);
  for (const char* host : {"silent", "never"}) {
    const Response got = client.ask(get(host));
    EXPECT_EQ(got.status, 504);
    EXPECT_EQ(got["Streamkit-Error"], "upstream-timeout");
  }
}

TEST(HttpFrontFailures, the_response_timeout_ends_with_the_head) {
  HttpFrontOptions options;
  options.response_timeout = 1s;  // far longer than a head takes, however busy the machine is
  Origin origin([](Wire& w, const Origin::Request& r) {
    const bool upgrade = r.target == "/up";
    w.write(upgrade ? "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    std::this_thread::sleep_for(1200ms);  // the thing under test is that nothing happens meanwhile
    return w.write("late") && !upgrade;
  });
  Stage stage(options);
  stage.router.add("web", origin.port());
  Client client(stage.port);
  EXPECT_EQ(client.ask(get("web")).body, "late");
  client.write(get("web", "/up", "Upgrade: x\r\nConnection: upgrade\r\n"));
  client.read_until("\r\n\r\n");
  EXPECT_EQ(client.read_exactly(4), "late");
}

TEST(HttpFrontFailures, an_upstream_that_speaks_something_else_is_a_502) {
  for (const std::string answer :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\nX: y\n\n",
        "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le"}) {
    Origin origin([&](Wire& w, const Origin::Request&) { return w.write(answer) && false; });
    Stage stage;
    stage.router.add("web", origin.port());
    EXPECT_EQ(Client(stage.port).ask(get("web")).status, 502) << answer;
  }
}

TEST(HttpFrontFailures, a_response_that_breaks_off_is_not_passed_for_a_whole_one) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncutX"}) {
    Origin origin([&](Wire& w, const Origin::Request&) { return w.write(answer) && false; });
    Stage stage;
    stage.router.add("web", origin.port());
    Client client(stage.port);
    client.write(get("web"));
    const std::string all = client.read_to_end();
    EXPECT_TRUE(client.was_reset() || all.find("0\r\n\r\n") == std::string::npos) << all;
    EXPECT_NE(stage.logs(1)[0].error, "");
  }
}

// --- refusals ---

TEST(HttpFrontFailures, refused_requests_get_400_and_the_end_of_the_connection) {
  Origin origin([](Wire& w, const Origin::Request&) { return w.write(ok("smuggled")); });
  Stage stage;
  stage.router.add("web", origin.port());
  const std::string post = "POST / HTTP/1.1\r\nHost: web\r\n";
  for (const std::string& text :
       {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Content-Length: 5, 5\r\n\r\nhello",
        post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        post + "Transfer-Encoding: chunked, identity\r\n\r\n",
        post + "Transfer-Encoding : chunked\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\n", post + "X: a\r\n b\r\n\r\n",
        post + "Host: other\r\n\r\n", std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("GET / HTTP/1.0\r\n\r\n"), std::string("GET / HTTP/1.1\nHost: web\n\n")}) {
    Client client(stage.port);
    client.write(text + get("web"));
    const Response got = client.read_response();
    EXPECT_EQ(got.status, 400) << text;
    EXPECT_EQ(got["Connection"], "close");
    EXPECT_EQ(client.read_to_end(), "") << text;
  }
}

TEST(HttpFrontFailures, other_refusals_have_their_own_status) {
  HttpFrontOptions options;
  options.max_request_body = 10;
  Origin origin([](Wire& w, const Origin::Request& r) { return w.write(ok(body_of(w, r))); });
  Stage stage(options);
  stage.router.add("web", origin.port());
  const auto status = [&](const std::string& text) {
    Client client(stage.port);
    const Response got = client.ask(text);
    EXPECT_EQ(client.read_to_end(), "");
    return got.status;
  };
  const std::string post = "POST / HTTP/1.1\r\nHost: web\r\n";
  EXPECT_EQ(status("GET /" + std::string(kMaxStartLine, 'a') + " HTTP/1.1\r\n"), 414);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + std::string(kMaxHead, 'a') + "\r\n"), 431);
  EXPECT_EQ(status(post + "Transfer-Encoding: gzip\r\n\r\n"), 501);
  EXPECT_EQ(status("CONNECT web:443 HTTP/1.1\r\nHost: web:443\r\n\r\n"), 501);
  EXPECT_EQ(status(post + "Content-Length: 11\r\n\r\nhello"), 413);
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"), 413);
  Client inside(stage.port);
  EXPECT_EQ(inside.ask(post + "Content-Length: 10\r\n\r\n0123456789").body, "0123456789");
}

// --- timeouts ---

TEST(HttpFrontFailures, a_head_that_trickles_in_is_a_408) {
  HttpFrontOptions options;
  options.header_timeout = 600ms;
  Stage stage(options);
  Client slow(stage.port);
  slow.write("GET / HTTP/1.1\r\nHost: w");
  const Response got = slow.read_response();
  EXPECT_EQ(got.status, 408);
  EXPECT_EQ(got["Streamkit-Error"], "header-timeout");
  EXPECT_EQ(slow.read_to_end(), "");
  Client second(stage.port);  // and so is the second head of a connection
  EXPECT_EQ(second.ask(get("none")).status, 404);
  second.write("GET");
  EXPECT_EQ(second.read_response().status, 408);
  Client silent(stage.port);
  EXPECT_EQ(silent.read_to_end(), "");  // who says nothing hears nothing
}

TEST(HttpFrontFailures, an_idle_visitor_is_closed) {
  HttpFrontOptions options;
  options.idle_timeout = 600ms;
  Stage stage(options);
  Client client(stage.port);
  EXPECT_EQ(client.ask(get("none"))["Connection"], "");
  EXPECT_EQ(client.read_to_end(), "");
  stage.wait_until([&] { return stage.front->visitors() == 0; });
}

TEST(HttpFrontFailures, a_body_that_stops_is_a_408) {
  HttpFrontOptions options;
  options.response_timeout = 600ms;
  Origin origin([](Wire& w, const Origin::Request& r) { return w.write(ok(body_of(w, r))); });
  Stage stage(options);
  stage.router.add("web", origin.port());
  const Response got =
      Client(stage.port).ask("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_EQ(got.status, 408);
  EXPECT_EQ(got["Streamkit-Error"], "body-timeout");
}

TEST(HttpFrontFailures, a_visitor_that_takes_nothing_is_cut_off) {
  HttpFrontOptions options;
  options.stall_timeout = 150ms;
  Stage stage(options);
  stage.router.add("web",
                   opens(stage, [head = std::string("HTTP/1.1 200 OK\r\n\r\n")](Scripted& s) {
                     s.on_read = [head](MutableByteView out) mutable {
                       if (!head.empty()) {
                         std::copy_n(as_bytes(head).begin(), head.size(), out.begin());
                         return std::exchange(head, {}).size();
                       }
                       return out.size();  // without end
                     };
                   }));
  Client client(stage.port);
  client.write(get("web"));
  EXPECT_EQ(stage.logs(1)[0].error, "visitor-stalled");
}

TEST(HttpFrontFailures, lingering_ends) {
  HttpFrontOptions options;
  options.linger_timeout = 150ms;
  Stage stage(options);
  Client client(stage.port);
  EXPECT_EQ(client.ask("nonsense\r\n\r\n").status, 400);
  stage.wait_until([&] { return stage.front->visitors() == 0; });  // while the client stays
}

TEST(HttpFrontFailures, no_lingering_for_a_visitor_that_asked_for_the_end) {
  HttpFrontOptions options;
  options.linger_timeout = 1h;
  Stage stage(options);
  Client client(stage.port);
  EXPECT_EQ(client.ask("GET / HTTP/1.1\r\nHost: none\r\nConnection: close\r\n\r\n").status, 404);
  stage.wait_until([&] { return stage.front->visitors() == 0; });  // while the client stays
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_FALSE(client.was_reset());
}

TEST(HttpFrontFailures, more_visitors_than_allowed_get_a_503) {
  HttpFrontOptions options;
  options.max_visitors = 2;
  Stage stage(options);
  {
    Client a(stage.port), b(stage.port);
    EXPECT_EQ(a.ask(get("none")).status, 404);
    EXPECT_EQ(b.ask(get("none")).status, 404);
    Client c(stage.port);
    const Response got = c.read_response();
    EXPECT_EQ(got.status, 503);
    EXPECT_EQ(got["Streamkit-Error"], "too-many-visitors");
    EXPECT_EQ(a.ask(get("none")).status, 404);
  }
  stage.wait_until([&] { return stage.front->visitors() == 0; });
  EXPECT_EQ(Client(stage.port).ask(get("none")).status, 404);
}

TEST(HttpFrontFailures, a_visitor_that_resets_takes_its_upstream_along) {
  std::promise<void> ended;
  std::binary_semaphore asked(0);
  Origin origin([&](Wire& w, const Origin::Request&) {
    asked.release();
    w.read_to_end();
    ended.set_value();
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  {
    Client client(stage.port);
    client.write(get("web"));
    asked.acquire();
    const linger now{1, 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  EXPECT_EQ(ended.get_future().wait_for(20s), std::future_status::ready);
  EXPECT_EQ(stage.logs(1)[0].error, "visitor-left");
}

TEST(HttpFrontFailures, a_request_cut_in_its_body_is_not_completed) {
  std::promise<std::string> seen;
  Origin origin([&](Wire& w, const Origin::Request&) {
    seen.set_value(w.read_to_end());
    return false;
  });
  Stage stage;
  stage.router.add("web", origin.port());
  {
    Client client(stage.port);
    client.write("POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n");
    client.shut_write();
    client.read_to_end();
  }
  EXPECT_EQ(seen.get_future().get().find("0\r\n\r\n"), std::string::npos);
  EXPECT_EQ(stage.logs(1)[0].error, "visitor-left");
}

// --- bounded memory ---

TEST(HttpFrontFailures, an_endless_response_waits_for_a_visitor_that_does_not_read) {
  Stage stage;
  auto [ours, theirs] = io::memory_stream_pair(stage.context, stage.context, 64 * 1024);
  std::size_t read = 0;
  stage.router.add("web", opens(stage, [&](Scripted& s) {
                     s.on_read = [&read, head = std::string("HTTP/1.1 200 OK\r\n\r\n")](
                                     MutableByteView out) mutable {
                       if (!head.empty() && !out.empty()) {
                         std::copy_n(as_bytes(head).begin(), head.size(), out.begin());
                         return std::exchange(head, {}).size();
                       }
                       read += out.size();
                       return out.size();
                     };
                   }));
  stage.on_context([&] {
    stage.front->adopt(std::move(theirs));
    const std::string request = get("web");
    const std::array<ByteView, 1> pieces{as_bytes(request)};
    EXPECT_TRUE(ours->write_some(pieces));
  });
  int turns = 0;
  stage.wait_until([&] { return ++turns > 200; });
  stage.on_context([&] {
    EXPECT_GE(read, 64 * 1024u);
    EXPECT_LE(read, (64 + 2 * 64) * 1024u);  // the pipe, and one buffer of ours in each stage
    ours.reset();
  });
}

TEST(HttpFrontFailures, an_endless_request_waits_for_an_upstream_that_does_not_take_it) {
  Stage stage;
  std::size_t sent = 0, taken = 0;
  stage.router.add("web", opens(stage, [&](Scripted& s) {
                     s.on_write = [&taken](std::size_t n) -> Result<std::size_t> {
                       if (taken > 100 * 1024) return Errc::would_block;
                       taken += n;
                       return n;
                     };
                   }));
  stage.on_context([&] {
    auto visitor = std::make_unique<Scripted>(stage.context);
    visitor->on_read = [&sent, head = std::string("POST / HTTP/1.1\r\nHost: web\r\n"
                                                  "Content-Length: 9000000000000\r\n\r\n")](
                           MutableByteView out) mutable {
      if (!head.empty() && !out.empty()) {
        std::copy_n(as_bytes(head).begin(), head.size(), out.begin());
        return std::exchange(head, {}).size();
      }
      sent += out.size();
      return out.size();
    };
    stage.front->adopt(std::move(visitor));
  });
  int turns = 0;
  stage.wait_until([&] { return ++turns > 200; });
  stage.on_context([&] {
    EXPECT_GE(sent, taken - 1024);
    EXPECT_LE(sent, taken + 2 * 64 * 1024);
  });
}

TEST(HttpFrontFailures, the_front_can_go_while_everything_is_under_way) {
  std::counting_semaphore<> asked(0);
  Origin origin([&](Wire& w, const Origin::Request&) {
    asked.release();
    w.write("HTTP/1.1 200 OK\r\n\r\npart");
    w.read_to_end();
    return false;
  });
  std::vector<std::unique_ptr<Client>> clients;
  {
    Stage stage;
    stage.router.add("web", origin.port());
    for (int i = 0; i < 5; ++i) {
      clients.push_back(std::make_unique<Client>(stage.port));
      clients.back()->write(i < 3 ? get("web") : "GET /");
    }
    for (int i = 0; i < 3; ++i) asked.acquire();
  }
  for (auto& client : clients) client->read_to_end();
}

}  // namespace
}  // namespace streamkit::tunnel::http_tests
