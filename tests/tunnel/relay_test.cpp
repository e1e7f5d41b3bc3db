// Relay and tunnel in one process, over real sockets, with a web application that knows nothing of
// us.
#include "names.hpp"
#include "relay_world.hpp"

#include <cerrno>
#include <future>

namespace streamkit::tunnel::testing {
namespace {

using ::testing::HasSubstr;

using RelayTest = RelayWorld;

TEST_F(RelayTest, brings_a_web_application_to_the_name_asked_for) {
  start_relay();
  Origin origin("guestbook");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "shop";
  const Tunnel tunnel = start_tunnel(options, diary);
  EXPECT_TRUE(diary.wait_for("online http://shop.localhost:" + std::to_string(http_port())));

  const auto answer = visit("shop", "/cart?x=1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("guestbook"));
  EXPECT_THAT(answer.body, HasSubstr("GET /cart?x=1 HTTP/1.1"));
  EXPECT_THAT(answer.body, HasSubstr("Host: localhost:" + std::to_string(origin.port())))
      << "loopback targets see localhost unless told otherwise";
  EXPECT_TRUE(relay_diary_.wait_for("request shop 200 /cart"));
}

TEST_F(RelayTest, gives_a_client_that_names_nothing_the_name_of_its_key) {
  start_relay();
  Origin origin("mine");
  Diary diary;
  const Tunnel tunnel = start_tunnel(tunnel_options(ann_, Kind::http, origin.port()), diary);
  EXPECT_EQ(visit(*derived_name(ann_.public_key())).status, 200);
}

TEST_F(RelayTest, keeps_the_name_of_a_key_from_other_keys) {
  start_relay();
  Diary diary;
  auto options = tunnel_options(bob_, Kind::http, 1);
  options.name = *derived_name(ann_.public_key());
  auto tunnel = Tunnel::start(options, diary_events_of_tunnel(diary));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(diary.wait_for("closed refused"));
}

TEST_F(RelayTest, passes_the_host_that_the_client_wishes) {
  start_relay();
  Origin origin("host");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "kept";
  options.host_header = "keep";
  const Tunnel kept = start_tunnel(options, diary);
  EXPECT_THAT(visit("kept").body, HasSubstr("Host: kept.localhost:" + std::to_string(http_port())));
  options.name = "set";
  options.host_header = "shop.example";
  const Tunnel set = start_tunnel(options, diary);
  EXPECT_THAT(visit("set").body, HasSubstr("Host: shop.example\n"));
}

TEST_F(RelayTest, answers_404_for_names_that_nobody_holds_and_for_the_domain_itself) {
  start_relay();
  EXPECT_EQ(visit("nobody").status, 404);
  EXPECT_EQ(http_get(http_port(), "localhost").status, 404);
  EXPECT_EQ(http_get(http_port(), "elsewhere.example").status, 404);
}

TEST_F(RelayTest, answers_502_while_the_target_is_down_and_the_next_request_works) {
  start_relay();
  const std::uint16_t port = free_port();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, port);
  options.name = "shop";
  const Tunnel tunnel = start_tunnel(options, diary);
  const auto down = visit("shop");
  EXPECT_EQ(down.status, 502);
  EXPECT_THAT(down.body, HasSubstr("127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(down.body, HasSubstr("Connection refused"));
  EXPECT_TRUE(diary.wait_for("target connect to 127.0.0.1:" + std::to_string(port) +
                             ": Connection refused"));
  {
    Origin origin("here again", port);
    const auto up = visit("shop");
    EXPECT_EQ(up.status, 200);
    EXPECT_THAT(up.body, HasSubstr("here again"));
  }
  EXPECT_EQ(visit("shop").status, 502);
}

TEST_F(RelayTest, tells_another_key_who_holds_a_name) {
  start_relay();
  Origin origin("ann's");
  Diary ann_diary;
  Diary bob_diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "shop";
  const Tunnel ann = start_tunnel(options, ann_diary);
  options.identity = bob_;
  auto bob = Tunnel::start(options, diary_events_of_tunnel(bob_diary));
  ASSERT_TRUE(bob);
  ASSERT_TRUE(bob_diary.wait_for("closed refused")) << bob_diary.all();
  EXPECT_THAT(bob_diary.all(), HasSubstr(ann_.public_key().fingerprint()));
  EXPECT_THAT(bob_diary.all(), HasSubstr("127.0.0.1"));
  EXPECT_THAT(visit("shop").body, HasSubstr("ann's"));
}

TEST_F(RelayTest, lets_the_same_key_take_over_at_once_and_tells_the_old_client) {
  start_relay();
  Origin old_origin("old");
  Origin new_origin("new");
  Diary old_diary;
  Diary new_diary;
  auto options = tunnel_options(ann_, Kind::http, old_origin.port());
  options.name = "shop";
  const Tunnel first = start_tunnel(options, old_diary);
  EXPECT_THAT(visit("shop").body, HasSubstr("old"));
  options.target.port = new_origin.port();
  const Tunnel second = start_tunnel(options, new_diary);
  EXPECT_THAT(visit("shop").body, HasSubstr("new"));
  EXPECT_TRUE(old_diary.wait_for("closed refused another client with the same key took over"));
  EXPECT_EQ(first.state(), State::closed);
  EXPECT_EQ(second.state(), State::online);
  EXPECT_TRUE(relay_diary_.wait_for("superseded"));
}

TEST_F(RelayTest, frees_the_name_of_a_client_that_stops) {
  start_relay();
  Origin origin("one");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "shop";
  {
    Tunnel tunnel = start_tunnel(options, diary);
    tunnel.stop();
    EXPECT_TRUE(relay_diary_.wait_for("closed"));
  }
  EXPECT_EQ(visit("shop").status, 404);
  options.identity = bob_;
  const Tunnel bob = start_tunnel(options, diary);
  EXPECT_EQ(visit("shop").status, 200);
}

TEST_F(RelayTest, keeps_the_name_of_a_lost_client_for_its_key_and_answers_503_meanwhile) {
  start_relay();
  Origin origin("back");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "shop";
  {
    // Destroyed without stop(): the link breaks off as if the machine had gone.
    const Tunnel tunnel = start_tunnel(options, diary);
  }
  ASSERT_TRUE(relay_diary_.wait_for("lost")) << relay_diary_.all();
  const auto waiting = visit("shop");
  EXPECT_EQ(waiting.status, 503);
  EXPECT_THAT(waiting.head, HasSubstr("Retry-After"));

  Diary bob_diary;
  auto bob_options = options;
  bob_options.identity = bob_;
  auto bob = Tunnel::start(bob_options, diary_events_of_tunnel(bob_diary));
  ASSERT_TRUE(bob);
  ASSERT_TRUE(bob_diary.wait_for("closed refused"));
  EXPECT_THAT(bob_diary.all(), HasSubstr("link lost"));

  const Tunnel again = start_tunnel(options, diary);
  EXPECT_EQ(visit("shop").status, 200);
}

TEST_F(RelayTest, frees_the_name_of_a_lost_client_when_the_time_is_over) {
  options_.limits.linger = 50ms;
  start_relay();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::tcp, 1);
  std::uint16_t port = 0;
  {
    const Tunnel tunnel = start_tunnel(options, diary);
    port = relay_->tunnels().front().port;
  }
  ASSERT_TRUE(relay_diary_.wait_for("lost"));
  // The port is closed when it is free: a connect is refused from then on. Until then visitors are
  // reset, perhaps before their connect has returned.
  const auto is_refused = [port] {
    return !PlainSocket::connect(port).is_open() && errno == ECONNREFUSED;
  };
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!is_refused() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(is_refused());
  options.identity = bob_;
  options.port = port;
  const Tunnel bob = start_tunnel(options, diary);
}

TEST_F(RelayTest, refuses_more_tunnels_of_one_key_than_the_limit) {
  options_.limits.tunnels_per_key = 1;
  start_relay();
  Diary diary;
  Diary second_diary;
  auto options = tunnel_options(ann_, Kind::http, 1);
  options.name = "one";
  const Tunnel first = start_tunnel(options, diary);
  options.name = "two";
  auto second = Tunnel::start(options, diary_events_of_tunnel(second_diary));
  ASSERT_TRUE(second);
  EXPECT_TRUE(second_diary.wait_for("closed refused this key has 1 tunnels already"));
}

TEST_F(RelayTest, turns_away_keys_that_it_does_not_know) {
  start_relay();
  Diary diary;
  auto tunnel = Tunnel::start(tunnel_options(*crypto::PrivateKey::generate(), Kind::http, 1),
                              diary_events_of_tunnel(diary));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(diary.wait_for("closed unauthorised")) << diary.all();
}

TEST_F(RelayTest, is_not_trusted_under_another_key_than_the_pinned_one) {
  start_relay();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, 1);
  options.relay_key = bob_.public_key().fingerprint();
  auto tunnel = Tunnel::start(options, diary_events_of_tunnel(diary));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(diary.wait_for("closed relay_key")) << diary.all();
}

TEST_F(RelayTest, is_remembered_at_first_sight_and_refused_when_its_key_changed) {
  keep_ports();
  start_relay();
  const Scratch folder;
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, 1);
  options.relay_key.clear();
  options.known_hosts_file = folder / "known_hosts";
  {
    auto tunnel = Tunnel::start(options);
    ASSERT_TRUE(tunnel);
    const auto online = tunnel->wait_online(30s);
    ASSERT_TRUE(online) << online.error().message();
    EXPECT_TRUE(online->first_contact);
    EXPECT_EQ(online->relay_key, relay_key_.public_key().fingerprint());
  }
  {
    auto tunnel = Tunnel::start(options);
    const auto online = tunnel->wait_online(30s);
    ASSERT_TRUE(online) << online.error().message();
    EXPECT_FALSE(online->first_contact);
  }
  relay_.reset();
  options_.identity = bob_;
  start_relay();
  auto tunnel = Tunnel::start(options, diary_events_of_tunnel(diary));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(diary.wait_for("closed relay_key")) << diary.all();
}

TEST_F(RelayTest, has_its_tunnels_back_after_a_restart) {
  keep_ports();
  start_relay();
  Origin origin("still here");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, origin.port());
  options.name = "shop";
  const Tunnel tunnel = start_tunnel(options, diary);
  EXPECT_EQ(visit("shop").status, 200);
  relay_.reset();
  EXPECT_TRUE(diary.wait_for("reconnecting"));
  start_relay();
  EXPECT_TRUE(diary.wait_for("again", 5s)) << diary.all();
  EXPECT_EQ(visit("shop").status, 200);
}

TEST_F(RelayTest, that_stops_in_order_has_its_tunnels_back_too) {
  keep_ports();
  start_relay();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::tcp, 1);
  const Tunnel tunnel = start_tunnel(options, diary);
  const std::uint16_t port = relay_->tunnels().front().port;
  relay_->stop();
  relay_.reset();
  start_relay();
  ASSERT_TRUE(diary.wait_for("again", 5s)) << diary.all();
  EXPECT_EQ(relay_->tunnels().front().port, port)
      << "a port that the relay chose is asked for again";
}

TEST_F(RelayTest, whose_port_was_taken_meanwhile_gives_another) {
  keep_ports();
  start_relay();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::tcp, 1);
  const Tunnel tunnel = start_tunnel(options, diary);
  const std::uint16_t port = relay_->tunnels().front().port;
  relay_.reset();
  const PlainServer other([](PlainSocket) {}, port);
  ASSERT_EQ(other.port(), port);
  options_.max_port = 65535;
  start_relay();
  ASSERT_TRUE(diary.wait_for("again", 5s)) << diary.all();
  EXPECT_NE(relay_->tunnels().front().port, port);
}

// What a client that is not our Tunnel may send.
class RelayDoorTest : public RelayWorld {
 protected:
  Result<Channel> ask(const std::string& service, Headers headers) {
    if (!peer_) {
      start_relay();
      PeerOptions options;
      options.identity = ann_;
      options.trust.known_host_keys = {relay_key_.public_key().fingerprint()};
      auto made = Peer::make(options);
      if (!made) return made.error();
      peer_.emplace(std::move(*made));
      if (auto link = peer_->connect(relay_->endpoints().front(), 30s); !link) return link.error();
    }
    OpenOptions open;
    open.headers = std::move(headers);
    return peer_->open(To::anyone(), service, open, 30s);
  }
  std::optional<Peer> peer_;
};

TEST_F(RelayDoorTest, c24_is_closed_to_other_services) {
  const auto channel = ask("files", {});
  ASSERT_FALSE(channel);
  EXPECT_TRUE(channel.error().is(Errc::no_such_service)) << channel.error().message();
}

TEST_F(RelayDoorTest, c24_is_closed_to_malformed_wishes) {
  for (const Headers& headers :
       {Headers{{"name", "not a name"}}, Headers{{"host-header", "a\r\nX-Evil: 1"}},
        Headers{{"host-header", std::string(256, 'a')}}, Headers{{"port", "80 "}},
        Headers{{"port", "65536"}}}) {
    const auto channel = ask("tunnel.http", headers);
    ASSERT_FALSE(channel) << headers.begin()->second;
    EXPECT_TRUE(channel.error().is(Errc::refused)) << channel.error().message();
  }
  EXPECT_FALSE(ask("tunnel.tcp", {{"port", "22"}}));
  EXPECT_TRUE(ask("tunnel.http", {{"name", "good"}}));
}

// -------------------------------------------------------------------------------------- TCP

constexpr std::size_t kMebibyte = 1 << 20;

std::string pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return text;
}

TEST_F(RelayTest, keeps_half_close_in_both_directions_of_a_tcp_tunnel) {
  start_relay();
  const std::string up = pattern(kMebibyte, 1);
  const std::string down = pattern(kMebibyte, 2);
  std::promise<std::string> received;
  PlainServer server([&](PlainSocket socket) {
    received.set_value(socket.receive_all());  // until the visitor's end
    socket.send(down);
  });
  Diary diary;
  const Tunnel tunnel = start_tunnel(tunnel_options(ann_, Kind::tcp, server.port()), diary);
  const std::uint16_t port = relay_->tunnels().front().port;
  PlainSocket visitor = PlainSocket::connect(port);
  ASSERT_TRUE(visitor.is_open());
  ASSERT_TRUE(visitor.send(up));
  visitor.shutdown_write();
  const std::string answer = visitor.receive_all();
  EXPECT_TRUE(visitor.ok());
  EXPECT_EQ(answer.size(), down.size());
  EXPECT_TRUE(answer == down);
  EXPECT_TRUE(diary.wait_for("visit 1048576 in 1048576 out")) << diary.all();
  EXPECT_TRUE(received.get_future().get() == up);
}

TEST_F(RelayTest, keeps_half_close_when_the_target_ends_first) {
  start_relay();
  const std::string up = pattern(kMebibyte, 3);
  const std::string down = pattern(kMebibyte, 4);
  std::promise<std::string> received;
  PlainServer server([&](PlainSocket socket) {
    socket.send(down);
    socket.shutdown_write();
    received.set_value(socket.receive_all());
  });
  Diary diary;
  const Tunnel tunnel = start_tunnel(tunnel_options(ann_, Kind::tcp, server.port()), diary);
  PlainSocket visitor = PlainSocket::connect(relay_->tunnels().front().port);
  EXPECT_TRUE(visitor.receive_all() == down);
  ASSERT_TRUE(visitor.send(up));
  visitor.shutdown_write();
  EXPECT_TRUE(diary.wait_for("visit 1048576 in 1048576 out")) << diary.all();
  EXPECT_TRUE(received.get_future().get() == up);
}

TEST_F(RelayTest, ends_a_tcp_visit_when_the_target_is_down) {
  start_relay();
  Diary diary;
  const Tunnel tunnel =
      start_tunnel(tunnel_options(ann_, Kind::tcp, free_port()), diary);
  PlainSocket visitor = PlainSocket::connect(relay_->tunnels().front().port);
  EXPECT_EQ(visitor.receive_all(), "");
  EXPECT_TRUE(diary.wait_for("Connection refused"));
}

TEST_F(RelayTest, gives_the_tcp_port_asked_for_or_none) {
  start_relay();
  const std::uint16_t port = free_port();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::tcp, 1);
  options.port = port;
  const Tunnel tunnel = start_tunnel(options, diary);
  EXPECT_TRUE(diary.wait_for("online tcp://localhost:" + std::to_string(port)));
  Diary bob_diary;
  options.identity = bob_;
  auto bob = Tunnel::start(options, diary_events_of_tunnel(bob_diary));
  ASSERT_TRUE(bob);
  EXPECT_TRUE(bob_diary.wait_for("closed refused port " + std::to_string(port))) << bob_diary.all();
}

TEST_F(RelayTest, keeps_tcp_ports_within_the_range) {
  options_.min_port = options_.max_port = free_port();
  start_relay();
  Diary diary;
  auto options = tunnel_options(ann_, Kind::tcp, 1);
  const Tunnel tunnel = start_tunnel(options, diary);
  EXPECT_EQ(relay_->tunnels().front().port, options_.min_port);
  Diary refused;
  options.port = static_cast<std::uint16_t>(options_.min_port == 2000 ? 2001 : 2000);
  auto other = Tunnel::start(options, diary_events_of_tunnel(refused));
  ASSERT_TRUE(other);
  EXPECT_TRUE(refused.wait_for("is not allowed here")) << refused.all();
}

TEST_F(RelayTest, limits_the_visitors_of_a_tcp_tunnel) {
  options_.limits.visitors_per_tunnel = 1;
  start_relay();
  PlainServer server([](PlainSocket socket) {
    socket.send("hello\n");
    socket.receive_all();
  });
  Diary diary;
  const Tunnel tunnel = start_tunnel(tunnel_options(ann_, Kind::tcp, server.port()), diary);
  const std::uint16_t port = relay_->tunnels().front().port;
  PlainSocket first = PlainSocket::connect(port);
  EXPECT_EQ(first.receive_until("\n"), "hello\n");
  PlainSocket second = PlainSocket::connect(port);
  EXPECT_EQ(second.receive_all(), "");
  first.close();
  EXPECT_TRUE(diary.wait_for("visit 0 in 6 out"));
}

TEST_F(RelayTest, names_the_unix_socket_that_nobody_listens_on) {
  start_relay();
  const Scratch folder;
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, 1);
  options.target = *TunnelTarget::parse("unix:" + (folder / "none.sock"));
  options.name = "sock";
  const Tunnel tunnel = start_tunnel(options, diary);
  const auto answer = visit("sock");
  EXPECT_EQ(answer.status, 502);
  EXPECT_THAT(answer.body, HasSubstr("none.sock"));
}

// -------------------------------------------------------------------------------------- targets

TEST(TunnelTarget, is_a_port_a_host_and_port_a_url_or_a_unix_socket) {
  EXPECT_EQ(TunnelTarget::parse("3000")->text(), "127.0.0.1:3000");
  EXPECT_EQ(TunnelTarget::parse("db:5432")->text(), "db:5432");
  EXPECT_EQ(TunnelTarget::parse("[::1]:80")->text(), "[::1]:80");
  EXPECT_EQ(TunnelTarget::parse("[::1]:80")->host, "::1");
  EXPECT_EQ(TunnelTarget::parse("http://app:3000/")->text(), "app:3000");
  EXPECT_EQ(TunnelTarget::parse("http://app")->text(), "app:80");
  EXPECT_EQ(TunnelTarget::parse("unix:/run/x.sock")->text(), "unix:/run/x.sock");
}

TEST(TunnelTarget, that_is_malformed_is_refused_with_the_forms) {
  for (const char* bad :
       {"", "0", "65536", "app", "app:", "app:x", ":80", "[::1]", "[::1:80", "[::1]x:80", "a b:80",
        "a:1:2", "unix:", "https://app", "http://app/path", "-1", "80x"}) {
    const auto refused = TunnelTarget::parse(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_TRUE(refused.error().is(Errc::usage)) << bad;
    EXPECT_THAT(refused.error().message(), HasSubstr("unix:/PATH"));
  }
}

TEST(TunnelTarget, knows_whether_it_is_on_this_machine) {
  EXPECT_TRUE(TunnelTarget::parse("3000")->is_loopback());
  EXPECT_TRUE(TunnelTarget::parse("localhost:3000")->is_loopback());
  EXPECT_TRUE(TunnelTarget::parse("[::1]:3000")->is_loopback());
  EXPECT_TRUE(TunnelTarget::parse("unix:/x")->is_loopback());
  EXPECT_FALSE(TunnelTarget::parse("192.0.2.1:80")->is_loopback());
}

}  // namespace
}  // namespace streamkit::tunnel::testing
