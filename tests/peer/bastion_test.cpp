// The way to a peer through others, which play the SSH servers on it: links in links, what ends
// with what, and what is said when it does not work.
#include "support/peer_pair.hpp"
#include "support/plain_socket.hpp"

#include <streamkit/io/stream.hpp>

namespace streamkit::testing {
namespace {

/// A peer that leads channels to ports of this machine, as sshd does.
class Gate {
 public:
  explicit Gate(const crypto::PublicKey& visitor, const std::string& name = "gate")
      : key_(new_key()) {
    peer_.emplace(Peer::make(options_for(name, key_, visitor)).value());
    peer_->on_open("127.0.0.1", [this](Incoming incoming) {
      lead(std::make_shared<Incoming>(std::move(incoming)));
    });
    PeerEvents events;
    events.connected = [came = came_](const PeerInfo& who) { came.put(who.link); };
    events.disconnected = [left = left_](const PeerInfo&, const Error& why) { left.put(why); };
    peer_->events(std::move(events));
    endpoint_ = peer_->bind("tcp://127.0.0.1:0").value();
  }
  ~Gate() {
    const io::Context::Lock lock(peer_->context());
    connects_.clear();
  }

  std::string host() const { return "127.0.0.1:" + std::to_string(endpoint_.port()); }
  std::string fingerprint() const { return key_.public_key().fingerprint(); }
  Peer& peer() { return *peer_; }
  std::optional<std::uint64_t> came() { return came_.next(); }
  std::optional<Error> left() { return left_.next(); }

 private:
  void lead(const std::shared_ptr<Incoming>& incoming) {
    io::Address to;
    to.host = "127.0.0.1";
    to.port = static_cast<std::uint16_t>(
        std::stoi(std::string(incoming->info().headers.get_or("port", "0"))));
    connects_.push_back(
        io::Connect::start(peer_->context(), to, after(io::now(), kPatience),
                           [incoming](Result<std::unique_ptr<io::Stream>> stream) {
                             if (!stream)
                               return incoming->refuse(Code::unavailable, "nobody is there");
                             if (Result<Channel> channel = incoming->accept())
                               channel->async_join(std::move(*stream), [](Result<JoinStats>) {});
                           }));
  }

  crypto::PrivateKey key_;
  std::vector<std::unique_ptr<io::Connect>> connects_;
  Awaited<std::uint64_t> came_;
  Awaited<Error> left_;
  std::optional<Peer> peer_;
  Endpoint endpoint_{"inproc://none"};
};

/// A peer, the gate before it, and one that wants to get there.
struct Journey {
  crypto::PrivateKey client_key = new_key(), server_key = new_key();
  Gate gate{client_key.public_key()};
  Awaited<Error> lost;
  std::optional<Peer> server, client;
  Endpoint bound{"inproc://none"};

  explicit Journey(const std::function<void(PeerOptions&)>& change = {}) {
    server.emplace(Peer::make(options_for("server", server_key, client_key.public_key())).value());
    server->on_open("echo", [](Incoming incoming) {
      Result<Channel> accepted = incoming.accept();
      if (!accepted) return;
      const auto channel = std::make_shared<Channel>(std::move(*accepted));
      channel->async_read_frame([channel](Result<Bytes> got) {
        if (got)
          channel->async_write_frame(std::move(*got),
                                     [channel](Result<void>) { (void)channel->close(); });
      });
    });
    bound = server->bind("tcp://127.0.0.1:0").value();
    PeerOptions options = options_for("client", client_key, server_key.public_key());
    options.trust.known_host_keys.push_back(gate.fingerprint());
    options.reconnect.on = false;
    if (change) change(options);
    client.emplace(Peer::make(options).value());
    PeerEvents events;
    events.disconnected = [lost = lost](const PeerInfo&, const Error& why) { lost.put(why); };
    client->events(std::move(events));
  }
  Endpoint by(const std::string& way) const { return Endpoint(bound.text() + "?via=" + way); }
  Endpoint by_gate() const { return by(gate.host()); }
  void expect_echo() {
    Result<Channel> channel = client->open("server", "echo", {}, kPatience);
    SK_ASSERT_OK(channel);
    SK_ASSERT_OK(channel->write_frame("there and back", kPatience));
    const Result<Bytes> back = channel->read_frame(kPatience);
    SK_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "there and back");
  }
};

TEST(Bastions, lead_to_a_peer_that_is_sealed_from_them) {
  Journey j;
  const Result<PeerInfo> info = j.client->connect(j.by_gate(), kPatience);
  SK_ASSERT_OK(info);
  EXPECT_EQ(info->name, "server");
  EXPECT_EQ(info->key, j.server_key.public_key());
  EXPECT_TRUE(info->native);
  EXPECT_EQ(info->endpoint, j.by_gate().text());
  ASSERT_EQ(j.client->peers().size(), 1u) << "a bastion is none of our peers";
  EXPECT_EQ(j.client->next_peer()->name, "server");
  j.expect_echo();
}

TEST(Bastions, may_follow_one_another) {
  Journey j;
  Gate second(j.client_key.public_key(), "second");
  (void)j.client->reconfigure(
      [&](PeerOptions& o) { o.trust.known_host_keys.push_back(second.fingerprint()); });
  SK_ASSERT_OK(j.client->connect(j.by(j.gate.host() + "," + second.host()), kPatience));
  EXPECT_TRUE(j.gate.came());
  EXPECT_TRUE(second.came());
  j.expect_echo();
  SK_ASSERT_OK(j.client->disconnect(j.by(j.gate.host() + "," + second.host())));
  EXPECT_TRUE(second.left());
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, know_us_by_the_name_that_was_said_for_them) {
  Journey j;
  SK_ASSERT_OK(j.client->connect(j.by("jumper@" + j.gate.host()), kPatience));
  ASSERT_EQ(j.gate.peer().peers().size(), 1u);
  EXPECT_EQ(j.gate.peer().peers()[0].name, "jumper");
  ASSERT_EQ(j.server->peers().size(), 1u);
  EXPECT_EQ(j.server->peers()[0].name, "client");
}

TEST(Bastions, are_left_when_the_link_through_them_ends) {
  Journey j;
  SK_ASSERT_OK(j.client->connect(j.by_gate(), kPatience));
  SK_ASSERT_OK(j.client->disconnect(j.by_gate()));
  const std::optional<Error> why = j.gate.left();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::disconnected)) << why->message();
}

TEST(Bastions, that_do_not_answer_our_end_are_left_all_the_same) {
  Journey j([](PeerOptions& o) { o.heartbeat = 1h; });
  std::atomic<bool> is_deaf{false};
  PlainServer between([&](PlainSocket client) {
    PlainSocket gate = PlainSocket::connect(
        static_cast<std::uint16_t>(std::stoi(j.gate.host().substr(j.gate.host().find(':') + 1))));
    std::thread back([&] {
      for (std::string part = gate.receive(); !part.empty(); part = gate.receive())
        if (!is_deaf) client.send(part);
    });
    for (std::string part = client.receive(); !part.empty(); part = client.receive())
      gate.send(part);
    gate.shutdown_write();
    back.join();
  });
  const Endpoint endpoint = j.by("127.0.0.1:" + std::to_string(between.port()));
  SK_ASSERT_OK(j.client->connect(endpoint, kPatience));
  is_deaf = true;
  SK_ASSERT_OK(j.client->disconnect(endpoint));
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, are_left_when_the_other_side_ends_the_link) {
  Journey j;
  SK_ASSERT_OK(j.client->connect(j.by_gate(), kPatience));
  SK_ASSERT_OK(j.server->drop("client", "enough"));
  const std::optional<Error> why = j.lost.next();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::disconnected)) << why->message();
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, are_left_when_the_peer_goes) {
  Journey j;
  SK_ASSERT_OK(j.client->connect(j.by_gate(), kPatience));
  j.client.reset();
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, that_end_end_the_link_and_are_named) {
  Journey j;
  SK_ASSERT_OK(j.client->connect(j.by_gate(), kPatience));
  Result<Channel> channel = j.client->open("server", "echo", {}, kPatience);
  SK_ASSERT_OK(channel);
  SK_ASSERT_OK(j.gate.peer().drop_link(*j.gate.came(), "closing time"));
  const std::optional<Error> why = j.lost.next();
  ASSERT_TRUE(why);
  EXPECT_NE(why->message().find("at the bastion tcp://" + j.gate.host()), std::string::npos)
      << why->message();
  EXPECT_NE(why->message().find("closing time"), std::string::npos) << why->message();
  EXPECT_FALSE(channel->read_frame(kPatience));
}

TEST(Bastions, are_dialed_again_after_a_loss) {
  Journey j([](PeerOptions& o) { o.reconnect.on = true; });
  SK_ASSERT_OK(j.client->connect(j.by_gate(), kPatience));
  SK_ASSERT_OK(j.gate.peer().drop_link(*j.gate.came()));
  ASSERT_TRUE(j.lost.next());
  EXPECT_TRUE(j.gate.came());
  j.expect_echo();  // open() waits for the peer to be there
}

// ---------------------------------------------------------------- what does not work, and where

Error failure_of(Journey& j, const Endpoint& endpoint) {
  const Result<PeerInfo> info = j.client->connect(endpoint, kPatience);
  return info ? Error(Errc::codec, "it worked") : info.error();
}

TEST(Bastions, that_nobody_is_at_are_named) {
  Journey j;
  const std::string nowhere = "127.0.0.1:" + std::to_string(free_port());
  const Error error = failure_of(j, j.by(nowhere));
  EXPECT_EQ(error.message().find("no connection to the bastion tcp://" + nowhere), 0u)
      << error.message();
}

TEST(Bastions, say_that_nobody_is_where_they_should_lead) {
  Journey j;
  const std::string nowhere = "127.0.0.1:" + std::to_string(free_port());
  const Error error = failure_of(j, Endpoint("tcp://" + nowhere + "?via=" + j.gate.host()));
  EXPECT_EQ(
      error.message().find("the bastion tcp://" + j.gate.host() + " gives no way to " + nowhere),
      0u)
      << error.message();
  EXPECT_NE(error.message().find("nobody is there"), std::string::npos) << error.message();
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, a18_whose_host_key_is_not_known_are_left_before_anything_is_said) {
  Journey j([](PeerOptions& o) { o.trust.known_host_keys.resize(1); });
  const Error error = failure_of(j, j.by_gate());
  EXPECT_TRUE(error.is(Errc::host_key_mismatch));
  EXPECT_EQ(error.message().find("at the bastion tcp://" + j.gate.host()), 0u) << error.message();
  EXPECT_TRUE(j.server->peers().empty());
}

TEST(Bastions, a18_do_not_vouch_for_the_host_key_behind_them) {
  Journey j([](PeerOptions& o) { o.trust.known_host_keys.erase(o.trust.known_host_keys.begin()); });
  const Error error = failure_of(j, j.by_gate());
  EXPECT_TRUE(error.is(Errc::host_key_mismatch));
  EXPECT_EQ(error.message().find("bastion"), std::string::npos) << error.message();
  EXPECT_TRUE(j.gate.left());
}

TEST(Bastions, that_do_not_let_us_in_are_named) {
  Journey j([](PeerOptions& o) { o.identity = new_key(); });
  const Error error = failure_of(j, j.by_gate());
  EXPECT_TRUE(error.is(Errc::auth_denied));
  EXPECT_EQ(error.message().find("at the bastion tcp://" + j.gate.host()), 0u) << error.message();
}

TEST(Bastions, a21_never_see_the_password_for_whoever_is_behind) {
  Awaited<std::string> seen;
  Journey j(
      [](PeerOptions& o) { o.identity = new_key(), o.trust.present_password = "for the server"; });
  (void)j.gate.peer().reconfigure([&](PeerOptions& o) {
    o.trust.password = [seen](const std::string&, std::string_view password) {
      return seen.put(std::string(password)), true;
    };
  });
  EXPECT_TRUE(failure_of(j, j.by_gate()).is(Errc::auth_denied));
  EXPECT_TRUE(seen.is_empty());
}

TEST(Bastions, that_never_answer_are_given_up_at_the_deadline) {
  Journey j;
  PlainServer silent([](PlainSocket socket) { (void)socket.receive_all(); });
  const auto info = j.client->connect(j.by("127.0.0.1:" + std::to_string(silent.port())), 300ms);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::timeout)) << info.error().message();
}

TEST(Bastions, are_no_way_to_listen) {
  Journey j;
  for (const std::string& text :
       {"tcp://127.0.0.1:1?via=" + j.gate.host(), std::string("tcp://me@127.0.0.1:0")}) {
    const Result<Endpoint> bound = j.client->bind(text);
    ASSERT_FALSE(bound) << text;
    EXPECT_TRUE(bound.error().is(Errc::bad_endpoint));
  }
}

}  // namespace
}  // namespace streamkit::testing
