// Our Peer with the keys of a real ssh-agent, to another Peer of ours.
#include "ssh_agent.hpp"

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

INSTANTIATE_TEST_SUITE_P(SshAgent, AgentKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

}  // namespace
}  // namespace streamkit::testing
