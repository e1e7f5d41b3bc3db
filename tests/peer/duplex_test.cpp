// Two peers of ours on an endpoint with ?wire=duplex: the greeting, names, what the application
// sees of channels there, and what happens when only one side means that wire. The ancestor itself
// is in tests/interop.
#include "support/peer_pair.hpp"
#include "support/stock_client.hpp"

namespace streamkit::testing {
namespace {

/// `b` is connected to `a` over the ancestor's wire.
struct DuplexPeers {
  explicit DuplexPeers(const std::string& kind, std::function<void(PeerOptions&)> change = {})
      : pair(kind, std::move(change)) {}
  std::pair<Channel, Channel> open(Peer& from, const char* to, Peer& at, OpenOptions options = {}) {
    Awaited<Channel> accepted;
    at.async_accept([accepted](Result<Channel> c) {
      if (c) accepted.put(std::move(*c));
    });
    Result<Channel> opened = from.open(to, "test", std::move(options), kPatience);
    if (!opened) throw std::runtime_error(opened.error().message());
    return {std::move(*opened), std::move(*accepted.next())};
  }
  PeerPair pair;
  Peer& a = *pair.a;
  Peer& b = *pair.b;
};

class Duplex : public ::testing::TestWithParam<const char*> {};

TEST_P(Duplex, both_sides_learn_the_names_and_open_channels) {
  DuplexPeers peers(GetParam());
  ASSERT_EQ(peers.b.peers().size(), 1u);
  EXPECT_EQ(peers.b.peers()[0].name, "a") << "by its greeting";
  EXPECT_TRUE(peers.b.peers()[0].native);
  for (const bool from_b : {true, false}) {
    OpenOptions options;
    options.headers = {{"colour", "deep blue"}, {"", "bare"}};
    options.first = to_bytes("early ");
    auto [x, y] = from_b ? peers.open(peers.b, "a", peers.a, options)
                         : peers.open(peers.a, "b", peers.b, options);
    EXPECT_EQ(x.info().type, "@duplex");
    EXPECT_EQ(y.info().type, "@duplex");
    EXPECT_EQ(y.info().headers, options.headers);
    SK_ASSERT_OK(x.write("and late"));
    SK_ASSERT_OK(x.close_write());
    const Result<Bytes> all = read_all(y);
    SK_ASSERT_OK(all);
    EXPECT_EQ(as_text(*all), "early and late");
    SK_ASSERT_OK(y.write_frame("a frame", kPatience));
    SK_ASSERT_OK(y.write_error(as_bytes("a word beside"), kPatience));
    EXPECT_EQ(as_text(x.read_frame(kPatience).value()), "a frame");
    EXPECT_EQ(as_text(x.read_error(kPatience).value()), "a word beside");
    SK_ASSERT_OK(y.close({}, {{"seen", "all"}}));
    const Result<Closed> closed = x.wait_closed(kPatience);
    SK_ASSERT_OK(closed);
    EXPECT_EQ(closed->trailers.get_or("seen", ""), "all");
  }
}

TEST_P(Duplex, channels_are_opened_on_channels) {
  DuplexPeers peers(GetParam());
  auto [x, y] = peers.open(peers.b, "a", peers.a);
  Awaited<Channel> accepted;
  x.async_accept([accepted](Result<Channel> c) {
    if (c) accepted.put(std::move(*c));
  });
  Result<Channel> child = y.open("child", {}, kPatience);
  SK_ASSERT_OK(child);
  std::optional<Channel> at_x = accepted.next();
  ASSERT_TRUE(at_x);
  SK_ASSERT_OK(child->write_frame("deep", kPatience));
  EXPECT_EQ(as_text(at_x->read_frame(kPatience).value()), "deep");
}

TEST_P(Duplex, what_its_lists_cannot_carry_is_the_callers_error) {
  DuplexPeers peers(GetParam());
  OpenOptions options;
  options.headers = {{"list", "a,b"}};
  const Result<Channel> commas = peers.b.open("a", "test", options, kPatience);
  ASSERT_FALSE(commas);
  EXPECT_TRUE(commas.error().is(Errc::usage)) << commas.error().message();
  EXPECT_NE(commas.error().message().find("comma"), std::string::npos);
  auto [x, y] = peers.open(peers.b, "a", peers.a);
  EXPECT_TRUE(x.close({}, {{"list", "a,b"}}).error().is(Errc::usage));
  EXPECT_TRUE(x.is_open());
  EXPECT_TRUE(x.write_trailers({{"", ""}}).error().is(Errc::usage));
  SK_ASSERT_OK(x.close_write());
  EXPECT_TRUE(x.close({}, {{"late", "yes"}}).error().is(Errc::usage));
  SK_ASSERT_OK(x.close());
  SK_EXPECT_OK(y.wait_closed(kPatience));
}

TEST_P(Duplex, an_answer_with_headers_refuses_the_open_and_nobody_waits) {
  DuplexPeers peers(GetParam());
  Awaited<Error> failed;
  peers.a.on_open("test", [failed](Incoming incoming) {
    const Result<Channel> channel = incoming.accept({{"a", "b"}});
    failed.put(channel ? Error(Errc::usage, "it was accepted") : channel.error());
  });
  const Result<Channel> opened = peers.b.open("a", "test", {}, kPatience);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().is(Errc::refused)) << opened.error().message();
  EXPECT_NE(failed.next()->message().find("confirmed with headers"), std::string::npos);
}

TEST_P(Duplex, a_frame_that_is_too_long_ends_its_channel_and_no_other) {
  DuplexPeers peers(GetParam(), [](PeerOptions& o) {
    if (o.name == "a") o.limits.max_frame = 1000;
  });
  auto [x, y] = peers.open(peers.b, "a", peers.a);
  SK_ASSERT_OK(x.write(as_bytes(std::string_view("\xff\xff\xff\xff", 4)), kPatience));
  EXPECT_TRUE(y.read_frame(kPatience).error().is(Errc::frame_too_large));
  SK_EXPECT_OK(x.wait_closed(kPatience));
  auto [again, other] = peers.open(peers.b, "a", peers.a);
  SK_ASSERT_OK(again.write_frame("fits", kPatience));
  EXPECT_EQ(as_text(other.read_frame(kPatience).value()), "fits");
}

TEST_P(Duplex, every_open_is_authorised_like_any_other) {
  Awaited<std::string> asked;
  DuplexPeers peers(GetParam(), [asked](PeerOptions& o) {
    o.authorize = [asked](const OpenRequest& r) -> Result<void> {
      asked.put(std::string(r.type) + " " + r.service + " by " + r.from.name);
      return Error(Errc::refused, "not today");
    };
  });
  const Result<Channel> opened = peers.b.open("a", "test", {}, kPatience);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().is(Errc::refused));
  EXPECT_EQ(asked.next(), "@duplex test by b");
}

INSTANTIATE_TEST_SUITE_P(Kinds, Duplex, ::testing::Values("duplex", "duplex-unix"),
                         [](const auto& kind) {
                           return std::string(kind.param) == "duplex" ? "tcp" : "unix";
                         });

// ---------------------------------------------------------------- who is there

/// A server, a client that trusts each other, and no link yet.
struct Apart {
  crypto::PrivateKey server_key = new_key(), client_key = new_key();
  PeerOptions server = options_for("s", server_key, client_key.public_key());
  PeerOptions client = options_for("c", client_key, server_key.public_key());
  Apart() { client.reconnect.on = false; }
};

TEST(DuplexGreeting, names_with_characters_that_user_names_avoid_arrive_as_they_are) {
  Apart w;
  w.client.name = "user@host:1 %41";
  w.server.name = "a server";
  Peer server = Peer::make(w.server).value();
  Peer client = Peer::make(w.client).value();
  Awaited<std::string> came;
  PeerEvents events;
  events.connected = [came](const PeerInfo& info) { came.put(info.name); };
  server.events(std::move(events));
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  EXPECT_EQ(endpoint.wire(), channel::Wire::duplex);
  const Result<PeerInfo> info = client.connect(endpoint, kPatience);
  SK_ASSERT_OK(info);
  EXPECT_EQ(info->name, "a server");
  EXPECT_EQ(came.next(), w.client.name);
}

TEST(DuplexGreeting, that_never_comes_fails_the_connect_in_time) {
  Apart w;
  w.client.limits.greeting_timeout = 50ms;
  Peer server = Peer::make(w.server).value();
  Peer client = Peer::make(w.client).value();
  const Endpoint plain = server.bind("tcp://127.0.0.1:0").value();
  const Result<PeerInfo> info = client.connect(plain.text() + "?wire=duplex", kPatience);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::timeout)) << info.error().message();
  EXPECT_NE(info.error().message().find("no greeting"), std::string::npos);
}

TEST(DuplexGreeting, that_is_refused_turns_the_client_away) {
  Apart w;
  Peer server = Peer::make(w.server).value();
  Peer client = Peer::make(w.client)
                    .value();  // which speaks our wire, and takes the other for stock software
  Awaited<Error> away;
  PeerEvents events;
  events.turned_away = [away](const std::string&, const Error& why) { away.put(why); };
  server.events(std::move(events));
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  (void)client.connect("tcp://127.0.0.1:" + std::to_string(endpoint.port()), kPatience);
  const std::optional<Error> why = away.next();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::version_mismatch)) << why->message();
  EXPECT_TRUE(server.peers().empty());
}

TEST(DuplexGreeting, that_is_not_answered_turns_the_client_away_in_time) {
  Apart w;
  w.server.limits.greeting_timeout = 50ms;
  Peer server = Peer::make(w.server).value();
  Awaited<Error> away;
  PeerEvents events;
  events.turned_away = [away](const std::string&, const Error& why) { away.put(why); };
  server.events(std::move(events));
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  StockClient silent(endpoint.port(), w.client_key);
  const std::optional<Error> why = away.next();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::timeout)) << why->message();
}

TEST(DuplexGreeting, is_answered_when_it_may_be_and_an_open_that_overtakes_the_answer_waits) {
  Apart w;
  Peer server = Peer::make(w.server).value();
  server.on_open("echo", [](Incoming incoming) { (void)incoming.accept(); });
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  StockClient ancestor(endpoint.port(), w.client_key);
  const std::optional<Bytes> greeting = ancestor.next({80});
  ASSERT_TRUE(greeting);
  const Bytes expected = Message(80).str("@duplex-greeting").u8(1).str("s");
  EXPECT_EQ(*greeting, expected);
  ancestor.send(open_message("@duplex").str("echo").str("").u8(0).u32(0).str(""));
  ancestor.send(Message(80).str("@duplex-greeting").u8(1).str("me"));  // only servers greet
  EXPECT_EQ(ancestor.next({81, 82, 91, 92}).value().at(0), std::byte{82});
  ancestor.send(Message(81));
  EXPECT_EQ(ancestor.next({91, 92}).value().at(0), std::byte{91});
}

TEST(DuplexNames, a_server_that_greets_with_the_name_of_another_key_is_refused) {
  Apart w;
  const crypto::PrivateKey other_key = new_key();
  Peer first = Peer::make(w.server).value();
  w.server.identity = other_key;
  Peer second = Peer::make(w.server).value();
  w.client.trust.known_host_keys.push_back(other_key.public_key().fingerprint());
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(first.bind("tcp://127.0.0.1:0?wire=duplex").value(), kPatience));
  const Result<PeerInfo> info =
      client.connect(second.bind("tcp://127.0.0.1:0?wire=duplex").value(), kPatience);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::name_taken)) << info.error().message();
  EXPECT_EQ(client.peers().size(), 1u);
}

TEST(DuplexNames, a_client_under_the_name_of_another_key_is_refused) {
  Apart w;
  const crypto::PrivateKey other_key = new_key();
  w.server.trust.authorized_keys.push_back(other_key.public_key());
  Peer server = Peer::make(w.server).value();
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  Peer first = Peer::make(w.client).value();
  SK_ASSERT_OK(first.connect(endpoint, kPatience));
  w.client.identity = other_key;
  Peer second = Peer::make(w.client).value();
  const Result<PeerInfo> info = second.connect(endpoint, kPatience);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::name_taken)) << info.error().message();
}

TEST(DuplexNames, are_judged_again_when_the_greeting_is_answered) {
  Apart w;
  const crypto::PrivateKey other_key = new_key();
  w.server.trust.authorized_keys.push_back(other_key.public_key());
  Peer server = Peer::make(w.server).value();
  Awaited<Error> away;
  Awaited<std::string> came;
  PeerEvents events;
  events.turned_away = [away](const std::string&, const Error& why) { away.put(why); };
  events.connected = [came](const PeerInfo& info) { came.put(info.name); };
  server.events(std::move(events));
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0?wire=duplex").value();
  StockClient first(endpoint.port(), w.client_key, "same");
  StockClient second(endpoint.port(), other_key, "same");
  ASSERT_TRUE(first.next({80}) && second.next({80})) << "both are in, and neither is up";
  first.send(Message(81));
  EXPECT_EQ(came.next(), "same");
  second.send(Message(81));
  const std::optional<Error> why = away.next();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::name_taken)) << why->message();
  EXPECT_EQ(server.peers().size(), 1u);
}

TEST(DuplexOff, an_endpoint_without_the_option_knows_nothing_of_that_wire) {
  Apart w;
  Peer server = Peer::make(w.server).value();
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0").value();
  StockClient stock(endpoint.port(), w.client_key);
  ASSERT_TRUE(stock.is_live());
  stock.send(open_message("@duplex"));
  const std::optional<Bytes> answer = stock.next({91, 92});
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)[0], std::byte{92});
  EXPECT_EQ(wire::load_u32(&(*answer)[5]), 3u) << "unknown channel type";
}

}  // namespace
}  // namespace streamkit::testing
