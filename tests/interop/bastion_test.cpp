// Our peer behind an sshd: a link through it, end to end.
#include "loopback.hpp"
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

/// An sshd, our peer behind it, and a peer of ours that gets to the second through the first, with
/// one key for both.
class Behind {
 public:
  explicit Behind(const std::string& more = {})
      : sshd_(other_server("OpenSsh"), {.more = more}),
        server_({.change =
                     [this](PeerOptions& o) {
                       o.trust.authorized_keys.push_back(sshd_.client().key.public_key());
                     }}),
        client_({.port = server_.port(),
                 .user = kUser,
                 .key = sshd_.client().key,
                 .host_key_fingerprint = server_.host_key().fingerprint(),
                 .change = [this](PeerOptions& o) {
                   o.trust.known_host_keys.push_back(sshd_.client().host_key_fingerprint);
                 }}) {}

  RunningServer& sshd() { return sshd_; }
  OurServer& server() { return server_; }
  Peer& client() { return client_.peer(); }
  std::string hop() const {
    return machine_user() + "@127.0.0.1:" + std::to_string(sshd_.client().port);
  }
  Endpoint endpoint() const {
    return Endpoint("tcp://127.0.0.1:" + std::to_string(server_.port()) + "?via=" + hop());
  }

 private:
  RunningServer sshd_;
  OurServer server_;
  OurClient client_;
};

#define SK_BEHIND(behind, ...)        \
  SK_NEEDS("sshd", "openssh-server"); \
  Behind behind{__VA_ARGS__};         \
  ASSERT_TRUE(behind.sshd().is_up()) << behind.sshd().errors()

TEST(OpenSshBastion, leads_us_to_our_peer_through_rekeys_and_half_closes) {
  SK_BEHIND(behind);
  const Result<PeerInfo> info = behind.client().connect(behind.endpoint(), kPatience);
  SK_ASSERT_OK(info);
  EXPECT_TRUE(info->native);
  EXPECT_EQ(info->key, behind.server().host_key());
  for (const char* service : {"echo", "hold"}) {
    Result<Channel> channel = behind.client().open("ours", service, {}, kPatience);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 8 << 20), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_TRUE(end->status.ok());
  }
  SK_EXPECT_OK(behind.client().disconnect(behind.endpoint()));
  EXPECT_GE(behind.server().log().exchanges(), behind.server().exchanges_for(16 << 20));
}

TEST(OpenSshBastion, leads_us_to_a_unix_socket) {
  SK_BEHIND(behind);
  const std::string path = behind.sshd().folder().file("ours");
  SK_ASSERT_OK(behind.server().peer().bind("unix://" + path));
  SK_ASSERT_OK(behind.client().connect("unix://" + path + "?via=" + behind.hop(), kPatience));
  Result<Channel> channel = behind.client().open("ours", "hold", {}, kPatience);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST(OpenSshBastion, may_be_the_second_on_the_way) {
  SK_BEHIND(behind);
  const Endpoint endpoint(behind.endpoint().text() + "," + behind.hop());
  SK_ASSERT_OK(behind.client().connect(endpoint, kPatience));
  Result<Channel> channel = behind.client().open("ours", "echo", {}, kPatience);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST(OpenSshBastion, carries_a_hundred_channels) {
  SK_BEHIND(behind);
  SK_ASSERT_OK(behind.client().connect(behind.endpoint(), kPatience));
  std::vector<Channel> channels;
  for (int i = 0; i < 100; ++i) {
    Result<Channel> channel = behind.client().open("ours", "hold", {}, kPatience);
    SK_ASSERT_OK(channel);
    channels.push_back(std::move(*channel));
  }
  for (Channel& channel : channels) EXPECT_EQ(echo_problem(channel, 10000), "");
}

TEST(OpenSshBastion, lets_our_goodbye_through) {
  SK_BEHIND(behind);
  SK_ASSERT_OK(behind.client().connect(behind.endpoint(), kPatience));
  SK_ASSERT_OK(behind.client().disconnect(behind.endpoint()));
  const std::string said = behind.server().log().wait_for({"disconnected: "});
  EXPECT_NE(said.find("the other side disconnected"), std::string::npos) << said;
}

TEST(OpenSshBastion, tells_us_that_nobody_is_behind_it) {
  SK_BEHIND(behind);
  const std::string nowhere = "127.0.0.1:" + std::to_string(free_port());
  const auto info = behind.client().connect("tcp://" + nowhere + "?via=" + behind.hop(), kPatience);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().message().find("the bastion tcp://" + behind.hop() + " gives no way to " +
                                        nowhere),
            0u)
      << info.error().message();
}

TEST(OpenSshBastion, tells_us_that_it_leads_nowhere) {
  SK_BEHIND(behind, "AllowTcpForwarding no\n");
  const auto info = behind.client().connect(behind.endpoint(), kPatience);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::refused)) << info.error().message();
  EXPECT_EQ(info.error().message().find("the bastion tcp://"), 0u) << info.error().message();
}

TEST(OpenSshBastion, that_does_not_know_us_is_named) {
  SK_BEHIND(behind);
  const auto info = behind.client().connect(
      "tcp://127.0.0.1:" + std::to_string(behind.server().port()) +
          "?via=nobody-of-that-name@127.0.0.1:" + std::to_string(behind.sshd().client().port),
      kPatience);
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied));
  EXPECT_EQ(info.error().message().find("at the bastion tcp://nobody-of-that-name@"), 0u)
      << info.error().message();
}

}  // namespace
}  // namespace streamkit::testing
