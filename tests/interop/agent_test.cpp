// Our Peer with the keys of a real ssh-agent, to another Peer of ours and to OpenSSH's sshd.
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

class AgentKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(AgentKey, of_an_ssh_agent_lets_us_into_a_peer_of_ours) {
  SK_NEEDS("ssh-agent", "openssh-client");
  OurServer server({.user_key = GetParam()});
  SshAgent agent({server.user_key()});
  ASSERT_TRUE(agent.is_up()) << agent.errors();
  OurClient client({.port = server.port(),
                    .user = kUser,
                    .key = new_key(),
                    .host_key_fingerprint = server.host_key().fingerprint(),
                    .agent = agent.socket()});
  SK_ASSERT_OK(client.connect());
  ASSERT_EQ(server.peer().peers().size(), 1u);
  EXPECT_EQ(server.peer().peers()[0].key, server.user_key().public_key());
  Result<Channel> channel = client.open("echo", OpenForm::channel);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST_P(AgentKey, lets_us_into_sshd) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh-agent", "openssh-client");
  RunningServer sshd(other_server("OpenSsh"), {.user_key = new_key(GetParam())});
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  OurClient::Setup setup = sshd.client();
  SshAgent agent({new_key(), std::exchange(setup.key, new_key())});
  ASSERT_TRUE(agent.is_up()) << agent.errors();
  setup.agent = agent.socket();
  OurClient client(setup);
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

INSTANTIATE_TEST_SUITE_P(SshAgent, AgentKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

TEST(SshAgentKeys, an_sshd_that_wants_two_keys_gets_ours_and_the_agent_s) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh-agent", "openssh-client");
  RunningServer sshd(other_server("OpenSsh"),
                     {.more = "AuthenticationMethods publickey,publickey\n"});
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  OurClient::Setup setup = sshd.client();
  const crypto::PrivateKey second = new_key();
  sshd.folder().write("authorized_keys",
                      setup.key.public_key().text() + "\n" + second.public_key().text() + "\n");
  {
    OurClient alone(setup);
    const Result<PeerInfo> info = alone.connect();
    ASSERT_FALSE(info);
    EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
  }
  SshAgent agent({second});
  ASSERT_TRUE(agent.is_up()) << agent.errors();
  setup.agent = agent.socket();
  OurClient client(setup);
  SK_ASSERT_OK(client.connect());
  EXPECT_TRUE(sshd.wait_for_errors("Partial publickey"));
}

TEST(SshAgentKeys, sshd_is_reached_with_a_key_that_the_agent_may_use_for_it_only) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh-agent", "openssh-client");
  SK_NEEDS_SSHD(sshd);
  OurClient::Setup setup = sshd.client();
  const crypto::PrivateKey key = std::exchange(setup.key, new_key());
  for (const bool right : {true, false}) {
    const std::string host = "[127.0.0.1]:" + std::to_string(setup.port);
    const crypto::PublicKey host_key =
        right ? load_identity(sshd.folder().file("host_key")).value().public_key()
              : new_key().public_key();
    const std::string known = sshd.folder().write("known", host + " " + host_key.text() + "\n");
    SshAgent agent({key}, {"-H", known, "-h", host});
    ASSERT_TRUE(agent.is_up()) << agent.errors();
    setup.agent = agent.socket();
    OurClient client(setup);
    const Result<PeerInfo> info = client.connect();
    EXPECT_EQ(info.has_value(), right) << (info ? "" : info.error().message());
  }
}

}  // namespace
}  // namespace streamkit::testing
