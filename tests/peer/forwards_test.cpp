// What a peer asks the other side to listen on, and what comes in from there. That the other side
// listens is played by its on_forward().
#include "support/peer_pair.hpp"

namespace streamkit::testing {
namespace {

ForwardRequest port(std::string bind, std::uint32_t number, bool cancel = false) {
  ForwardRequest wanted;
  wanted.bind = std::move(bind);
  wanted.port = number;
  wanted.cancel = cancel;
  return wanted;
}

ForwardRequest path(std::string bind, bool cancel = false) {
  ForwardRequest wanted = port(std::move(bind), 0, cancel);
  wanted.is_path = true;
  return wanted;
}

/// A peer that grants everything (7777 for port 0), and one that asks it.
struct Forwarding {
  PeerPair pair{"tcp"};
  Peer& server = *pair.a;
  Peer& client = *pair.b;
  Awaited<ForwardRequest> asked;

  Forwarding() {
    server.on_forward([asked = asked](const ForwardRequest& request) -> Result<std::uint32_t> {
      asked.put(request);
      return request.port == 0 ? 7777 : request.port;
    });
  }
  /// Somebody connects to where `request` was granted.
  Result<Channel> visit(ForwardRequest request, std::uint32_t port) {
    request.from = server.peers().at(0);
    Awaited<std::shared_ptr<Result<Channel>>> opened;
    server.async_open_forwarded(request, port, "192.0.2.9", 4711, kPatience,
                                [opened](Result<Channel> channel) {
                                  opened.put(std::make_shared<Result<Channel>>(std::move(channel)));
                                });
    const auto answer = opened.next();
    return answer ? std::move(**answer) : Result<Channel>(Errc::timeout);
  }
  /// The same, and what the asking side makes of it.
  void expect_visit(const ForwardRequest& request, std::uint32_t number, const std::string& service,
                    std::string_view type) {
    Awaited<std::shared_ptr<Result<Channel>>> taken;
    client.async_accept([taken](Result<Channel> channel) {
      taken.put(std::make_shared<Result<Channel>>(std::move(channel)));
    });
    Result<Channel> visitor = visit(request, number);
    SK_ASSERT_OK(visitor);
    const auto answer = taken.next();
    ASSERT_TRUE(answer);
    SK_ASSERT_OK(**answer);
    Channel& channel = ***answer;
    EXPECT_EQ(channel.info().service, service);
    EXPECT_EQ(channel.info().type, type);
    EXPECT_EQ(channel.info().headers.get_or("originator", ""), request.is_path ? "" : "192.0.2.9");
    SK_ASSERT_OK(visitor->write("hello", kPatience));
    SK_ASSERT_OK(visitor->close_write());
    Bytes buffer(16);
    const Result<std::size_t> n = channel.read(buffer, kPatience);
    SK_ASSERT_OK(n);
    EXPECT_EQ(as_text(ByteView(buffer).first(*n)), "hello");
    SK_EXPECT_OK(channel.write("back", kPatience));
    SK_EXPECT_OK(channel.close());
    const Result<std::size_t> back = visitor->read(buffer, kPatience);
    SK_ASSERT_OK(back);
    EXPECT_EQ(as_text(ByteView(buffer).first(*back)), "back");
  }
};

TEST(Forwards, of_a_port_open_the_service_that_was_said_with_it) {
  Forwarding f;
  const Result<std::uint32_t> granted =
      f.client.request_forward("a", port("localhost", 8080), "web", kPatience);
  SK_ASSERT_OK(granted);
  EXPECT_EQ(*granted, 8080u);
  const auto request = f.asked.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->bind, "localhost");
  EXPECT_EQ(request->from.name, "b");
  f.expect_visit(*request, 8080, "web", "forwarded-tcpip");
}

TEST(Forwards, of_port_0_say_which_port_was_chosen) {
  Forwarding f;
  const Result<std::uint32_t> granted =
      f.client.request_forward("a", port("", 0), "web", kPatience);
  SK_ASSERT_OK(granted);
  EXPECT_EQ(*granted, 7777u);
  f.expect_visit(*f.asked.next(), 7777, "web", "forwarded-tcpip");
}

TEST(Forwards, of_a_path_open_the_service_that_was_said_with_it) {
  Forwarding f;
  const Result<std::uint32_t> granted =
      f.client.request_forward("a", path("/run/web"), "web", kPatience);
  SK_ASSERT_OK(granted);
  EXPECT_EQ(*granted, 0u);
  f.expect_visit(*f.asked.next(), 0, "web", "forwarded-streamlocal@openssh.com");
}

TEST(Forwards, of_several_places_keep_them_apart) {
  Forwarding f;
  for (const char* bind : {"10.0.0.1", "10.0.0.2"})
    SK_ASSERT_OK(f.client.request_forward("a", port(bind, 80), bind, kPatience));
  SK_ASSERT_OK(f.client.request_forward("a", path("10.0.0.1"), "by path", kPatience));
  f.expect_visit(port("10.0.0.2", 80), 80, "10.0.0.2", "forwarded-tcpip");
}

TEST(Forwards, that_are_refused_are_an_error_and_let_nobody_in) {
  Forwarding f;
  f.server.on_forward([](const ForwardRequest&) -> Result<std::uint32_t> { return Errc::refused; });
  const Result<std::uint32_t> granted =
      f.client.request_forward("a", port("h", 80), "web", kPatience);
  ASSERT_FALSE(granted);
  EXPECT_TRUE(granted.error().is(Errc::refused)) << granted.error().message();
  EXPECT_NE(granted.error().message().find("h:80"), std::string::npos) << granted.error().message();
  const Result<Channel> visitor = f.visit(port("h", 80), 80);
  EXPECT_TRUE(!visitor && visitor.error().is(Errc::refused));
}

TEST(Forwards, c24_let_in_nobody_from_elsewhere) {
  Forwarding f;
  SK_ASSERT_OK(f.client.request_forward("a", port("h", 80), "web", kPatience));
  SK_ASSERT_OK(f.client.request_forward("a", path("/p"), "web", kPatience));
  for (const ForwardRequest& elsewhere :
       {port("h", 81), port("other", 80), port("/p", 0), path("h"), path("p")}) {
    const Result<Channel> visitor = f.visit(elsewhere, elsewhere.port);
    ASSERT_FALSE(visitor) << elsewhere.bind;
    EXPECT_TRUE(visitor.error().is(Errc::refused)) << visitor.error().message();
  }
}

TEST(Forwards, that_are_cancelled_let_in_nobody_any_more) {
  Forwarding f;
  SK_ASSERT_OK(f.client.request_forward("a", port("h", 80), "web", kPatience));
  SK_ASSERT_OK(f.client.request_forward("a", path("/p"), "web", kPatience));
  SK_ASSERT_OK(f.client.request_forward("a", port("h", 80, true), {}, kPatience));
  SK_ASSERT_OK(f.client.request_forward("a", path("/p", true), {}, kPatience));
  for (const ForwardRequest& cancelled : {port("h", 80), path("/p")}) {
    const Result<Channel> visitor = f.visit(cancelled, cancelled.port);
    EXPECT_TRUE(!visitor && visitor.error().is(Errc::refused));
  }
}

TEST(Forwards, that_mean_nothing_are_not_asked_for) {
  Forwarding f;
  EXPECT_TRUE(f.client.request_forward("a", port(std::string(kMaxForwardBind, 'h'), 65535), "web",
                                       kPatience));
  const auto problem = [&](ForwardRequest wanted, std::string service) {
    const auto r = f.client.request_forward("a", std::move(wanted), std::move(service), kPatience);
    return r ? Error(Errc::codec) : r.error();
  };
  EXPECT_TRUE(problem(port(std::string(kMaxForwardBind + 1, 'h'), 1), "web").is(Errc::usage));
  EXPECT_TRUE(problem(port("h", 65536), "web").is(Errc::usage));
  EXPECT_TRUE(problem(path(""), "web").is(Errc::usage));
  EXPECT_TRUE(problem(port("h", 1), "").is(Errc::bad_name));
  const auto nobody = f.client.request_forward("nobody", port("h", 1), "web", kPatience);
  EXPECT_TRUE(!nobody && nobody.error().is(Errc::peer_not_connected));
}

TEST(Forwards, whose_link_is_lost_before_an_answer_fail_with_it) {
  Forwarding f;
  f.server.on_forward([&](const ForwardRequest& request) -> Result<std::uint32_t> {
    (void)f.server.drop_link(request.from.link);
    return request.port;
  });
  const auto lost = f.client.request_forward("a", port("h", 80), "web", kPatience);
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error().is(Errc::disconnected) || lost.error().is(Errc::connection_lost))
      << lost.error().message();
}

}  // namespace
}  // namespace streamkit::testing
