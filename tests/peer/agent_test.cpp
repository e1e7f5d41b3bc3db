// Keys that an ssh-agent holds: one that keeps to the rules, and every way not to.
#include "agent_messages.hpp"
#include "support/fake_agent.hpp"
#include "support/peer_pair.hpp"

namespace streamkit::testing {
namespace {

constexpr std::uint8_t kList = 11, kSign = 13, kExtension = 27;

std::uint8_t number_of(ByteView request) {
  return request.empty() ? 0 : std::to_integer<std::uint8_t>(request[0]);
}

Bytes blob_of(const crypto::PrivateKey& key) {
  return to_bytes(key.public_key().blob());
}

/// A server that knows the agent's keys only, and a client that has an agent.
struct World {
  explicit World(std::vector<crypto::PrivateKey> keys = {new_key()}) : agent_keys(std::move(keys)) {
    server.trust.authorized_keys.clear();
    for (const crypto::PrivateKey& key : agent_keys)
      server.trust.authorized_keys.push_back(key.public_key());
    client.agent = folder.file("agent");
    client.reconnect.on = false;
    client.log = [lines = lines](std::string_view level, std::string_view line) {
      lines.put(std::string(level) + ": " + std::string(line));
    };
  }
  /// Answers honestly, unless `spoil` changes the answer to a request of that number.
  void start_agent(const std::function<void(std::uint8_t, std::optional<Bytes>&)>& spoil = {}) {
    agent.emplace(folder.file("agent"), [keys = agent_keys, spoil](ByteView request) {
      std::optional<Bytes> answer = FakeAgent::honest(keys, request);
      if (spoil) spoil(number_of(request), answer);
      return answer;
    });
  }
  Result<PeerInfo> connect() {
    if (!bound) {
      bound.emplace(Peer::make(server).value());
      endpoint = bound->bind(endpoint).value();
    }
    dialing.emplace(Peer::make(client).value());
    return dialing->connect(endpoint, kPatience);
  }
  bool warned(std::string_view words) {
    while (!lines.is_empty())
      if (const std::string line = *lines.next();
          line.starts_with("warning") && line.find(words) != std::string::npos)
        return true;
    return false;
  }

  TemporaryFolder folder;
  std::vector<crypto::PrivateKey> agent_keys;
  Awaited<std::string> lines;
  crypto::PrivateKey server_key = new_key(), client_key = new_key();
  PeerOptions server = options_for("s", server_key, client_key.public_key());
  PeerOptions client = options_for("c", client_key, server_key.public_key());
  Endpoint endpoint = fresh_endpoint("unix", folder);
  std::optional<FakeAgent> agent;
  std::optional<Peer> bound, dialing;
};

TEST(Agent, keys_of_all_types_let_us_in) {
  for (const crypto::KeyType type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::ecdsa_p384,
        crypto::KeyType::ecdsa_p521, crypto::KeyType::rsa}) {
    World w({crypto::PrivateKey::generate(type, 2048).value()});
    w.start_agent();
    SK_ASSERT_OK(w.connect());
    ASSERT_EQ(w.bound->peers().size(), 1u);
    EXPECT_EQ(w.bound->peers()[0].key, w.agent_keys[0].public_key());
    // Bound to this session first: the host key, the session and the host's signature over it.
    const std::vector<Bytes> requests = w.agent->requests();
    ASSERT_EQ(requests.size(), 3u);
    wire::Reader bind(requests[0]);
    EXPECT_EQ(bind.u8(), kExtension);
    EXPECT_EQ(bind.text(), "session-bind@openssh.com");
    EXPECT_EQ(to_bytes(bind.string()), blob_of(w.server_key));
    const ByteView session = bind.string(), signature = bind.string();
    EXPECT_TRUE(w.server_key.public_key().verify("ssh-ed25519", session, signature));
    EXPECT_FALSE(bind.boolean());
    EXPECT_TRUE(bind.end());
    EXPECT_EQ(number_of(requests[1]), kList);
    EXPECT_EQ(number_of(requests[2]), kSign);
  }
}

TEST(Agent, c20_is_asked_for_nothing_unless_it_is_wanted) {
  World w;
  w.start_agent();
  w.client.agent.clear();
  ASSERT_EQ(::setenv("SSH_AUTH_SOCK", w.folder.file("agent").c_str(), 1), 0);
  EXPECT_FALSE(w.connect());
  EXPECT_EQ(w.agent->visitors(), 0);
  w.client.agent = "SSH_AUTH_SOCK";
  SK_EXPECT_OK(w.connect());
  EXPECT_EQ(w.agent->visitors(), 1);
  ::unsetenv("SSH_AUTH_SOCK");
  EXPECT_FALSE(w.connect());
  EXPECT_TRUE(w.warned("SSH_AUTH_SOCK is not set"));
}

TEST(Agent, c20_hears_nothing_of_a_host_that_we_do_not_trust) {
  World w;
  w.start_agent();
  w.client.trust.known_host_keys = {new_key().public_key().fingerprint()};
  EXPECT_FALSE(w.connect());
  EXPECT_EQ(w.agent->visitors(), 0);
}

TEST(Agent, is_not_needed_where_our_own_key_will_do) {
  World w;
  w.server.trust.authorized_keys = {w.client_key.public_key()};
  SK_ASSERT_OK(w.connect());  // there is none
  EXPECT_TRUE(w.warned("no keys from the ssh-agent"));
  w.start_agent();
  SK_ASSERT_OK(w.connect());
  for (const Bytes& request : w.agent->requests()) EXPECT_NE(number_of(request), kSign);
  w.agent.reset();
}

struct Wrong {
  const char* name;
  std::function<std::optional<Bytes>()> answer;
  const char* words;
};

std::vector<Wrong> wrong_lists() {
  const auto bytes = [](std::string_view text) {
    return [=] { return std::optional<Bytes>(to_bytes(text)); };
  };
  using namespace std::string_view_literals;
  return {
      {"hangs up", [] { return std::optional<Bytes>(); }, "hung up"},
      {"is cut off", bytes("\0\0\0\x09\x0c\0\0\0\1\0\0\0\4"sv), "no list of keys"},
      {"is of another type", bytes("\0\0\0\5\x0e\0\0\0\0"sv), "no list of keys"},
      {"is a failure", bytes("\0\0\0\1\5"sv), "no list of keys"},
      {"is empty", bytes("\0\0\0\0"sv), "no message"},
      {"claims 4 G keys", bytes("\0\0\0\5\x0c\xff\xff\xff\xff"sv), "no list of keys"},
      {"claims 4 GiB", bytes("\xff\xff\xff\xff\x0c"sv), "more than 256 KiB"},
      {"claims 256 KiB and a byte", bytes("\0\4\0\1\x0c"sv), "more than 256 KiB"},
      {"goes on", bytes("\0\0\0\5\x0c\0\0\0\0x"sv), "more than it was asked"},
      {"has bytes behind", bytes("\0\0\0\6\x0c\0\0\0\0x"sv), "no list of keys"},
  };
}

TEST(Agent, c20_whose_list_is_wrong_is_left_and_our_own_key_is_tried) {
  for (const Wrong& wrong : wrong_lists()) {
    SCOPED_TRACE(wrong.name);
    World w;
    w.start_agent([&](std::uint8_t number, std::optional<Bytes>& answer) {
      if (number == kList) answer = wrong.answer();
    });
    w.server.trust.authorized_keys.push_back(w.client_key.public_key());
    SK_ASSERT_OK(w.connect());
    EXPECT_TRUE(w.warned(wrong.words));
    EXPECT_EQ(w.bound->peers().at(0).key, w.client_key.public_key());
  }
}

TEST(Agent, c20_that_does_not_sign_is_asked_for_the_next_key) {
  const crypto::PrivateKey good = new_key(), other = new_key();
  for (const int how : {0, 1, 2}) {
    World w({other, good});
    int asked = 0;
    w.start_agent([&](std::uint8_t number, std::optional<Bytes>& answer) {
      if (number != kSign || ++asked > 1) return;
      Bytes wrong;
      if (how == 0) wrong = {std::byte{5}};  // refuses
      if (how == 1)
        wire::Writer(wrong).u8(14).string(
            ByteView(good.sign("ssh-ed25519", as_bytes("x")).value()));
      if (how == 2) wire::Writer(wrong).u8(12).string("x");
      answer = FakeAgent::framed(wrong);
    });
    SK_ASSERT_OK(w.connect());
    EXPECT_EQ(w.bound->peers().at(0).key, good.public_key());
    EXPECT_TRUE(w.warned("no signature from the ssh-agent"));
    EXPECT_EQ(asked, 2);
  }
}

TEST(Agent, c20_that_goes_while_it_signs_ends_with_an_ordinary_refusal) {
  World w({new_key(), new_key()});
  w.start_agent([&](std::uint8_t number, std::optional<Bytes>& answer) {
    if (number == kSign) answer.reset();
  });
  const Result<PeerInfo> r = w.connect();
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::auth_denied)) << r.error().message();
  EXPECT_TRUE(w.warned("hung up"));
}

TEST(Agent, c20_that_says_nothing_is_waited_for_five_seconds) {
  for (const std::uint8_t silent : {kList, kSign}) {
    World w;
    w.start_agent([=](std::uint8_t number, std::optional<Bytes>& answer) {
      if (number == silent) answer->clear();
    });
    const TimePoint before = io::now();
    const Result<PeerInfo> r = w.connect();
    EXPECT_GE(io::now() - before, 5s);
    EXPECT_TRUE(!r && r.error().is(Errc::auth_denied));
    EXPECT_TRUE(w.warned("does not answer"));
  }
}

TEST(Agent, may_be_left_in_the_middle_of_anything) {
  for (const std::uint8_t silent : {kExtension, kList, kSign}) {
    World w;
    Awaited<std::uint8_t> reached;
    w.start_agent([=](std::uint8_t number, std::optional<Bytes>& answer) {
      if (number != silent) return;
      answer->clear();
      reached.put(number);
    });
    w.bound.emplace(Peer::make(w.server).value());
    w.endpoint = w.bound->bind(w.endpoint).value();
    w.dialing.emplace(Peer::make(w.client).value());
    w.dialing->async_connect(w.endpoint, {}, [](const Result<PeerInfo>&) {});
    ASSERT_TRUE(reached.next());
    w.dialing.reset();
  }
}

// ---- messages

TEST(AgentMessages, keys_of_unknown_kinds_and_doubles_are_left_out) {
  Bytes unknown;
  wire::Writer(unknown).string("sk-ssh-ed25519@openssh.com").string("x");
  const Bytes a = blob_of(new_key()), b = blob_of(new_key());
  Bytes broken = a;
  broken.pop_back();
  const auto keys = read_agent_keys(FakeAgent::list({unknown, a, broken, {}, a, b}));
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ(to_bytes((*keys)[0].blob()), a);
  EXPECT_EQ(to_bytes((*keys)[1].blob()), b);
}

TEST(AgentMessages, c20_sixty_four_keys_are_used) {
  std::vector<Bytes> blobs;
  for (int i = 0; i < 66; ++i) blobs.push_back(blob_of(new_key()));
  const auto keys = read_agent_keys(FakeAgent::list(blobs));
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), kMaxAgentKeys);
}

TEST(AgentMessages, c20_an_answer_may_have_256_kib_and_comes_in_pieces) {
  Bytes answer = FakeAgent::framed(Bytes(kMaxAgentAnswer));
  for (const std::size_t size : {0u, 3u, 4u, 1000u, 256u * 1024u + 3u}) {
    const auto found = find_agent_answer(ByteView(answer).first(size));
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
  }
  const auto whole = find_agent_answer(answer);
  ASSERT_TRUE(whole && *whole);
  EXPECT_EQ((*whole)->size(), kMaxAgentAnswer);
  answer.push_back(std::byte{0});
  EXPECT_TRUE(find_agent_answer(answer).error().is(Errc::protocol));
}

}  // namespace
}  // namespace streamkit::testing
