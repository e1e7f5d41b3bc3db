// Our Peer as a client of OpenSSH's `sshd`: every cipher, key exchange and key type, programs that
// it runs for us, their exit codes and standard error, and forwardings through it.
#include "ssh_agent.hpp"
#include "sshd.hpp"

#include <streamkit/crypto/kex_method.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

// ---------------------------------------------------------------- ciphers

class OpenSshServerCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(OpenSshServerCipher, gives_us_back_every_byte_through_many_rekeys) {
  SK_NEEDS("sshd", "openssh-server");
  const Suite& suite = GetParam();
  Sshd sshd(std::string("RekeyLimit 1M\nCiphers ") + suite.cipher + "\n" +
            (*suite.mac ? std::string("MACs ") + suite.mac + "\n" : ""));
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, transfer_bytes()), "");
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_TRUE(end->status.ok());
  const std::string agreed = std::string("kex: client->server cipher: ") + suite.cipher +
                             " MAC: " + (*suite.mac ? suite.mac : "<implicit>");
  EXPECT_NE(sshd.errors().find(agreed), std::string::npos);
  EXPECT_GE(count_of(sshd.errors(), "SSH2_MSG_NEWKEYS received"), exchanges_for(transfer_bytes()));
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshServerCipher, ::testing::ValuesIn(all_suites()),
                         suite_name);

// ---------------------------------------------------------------- key exchanges and keys

class OpenSshServerKex : public ::testing::TestWithParam<std::string_view> {};

TEST_P(OpenSshServerKex, agrees_with_us_and_rekeys) {
  SK_NEEDS("ssh", "openssh-client");
  const std::string kex(GetParam());
  Program known({"ssh", "-Q", "kex"});
  if (count_of("\n" + known.talk(), "\n" + kex + "\n") == 0)
    GTEST_SKIP() << "this sshd does not know " << kex;
  SK_NEEDS_SSHD(sshd);
  OurClient::Setup setup = sshd.client();
  setup.algorithms.kex = {kex};
  setup.rekey_after_bytes = 64 << 10;
  OurClient client(setup);
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
  EXPECT_TRUE(has_line(sshd.errors(), "kex: algorithm: " + kex)) << sshd.errors();
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshServerKex, ::testing::ValuesIn(crypto::kex_names()),
                         kex_name);

class OpenSshServerKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(OpenSshServerKey, shows_us_its_host_key_and_takes_our_user_key) {
  SK_NEEDS("sshd", "openssh-server");
  Sshd sshd("", GetParam(), GetParam());
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  OurClient::Setup setup = sshd.client();
  setup.rekey_after_bytes = 64 << 10;
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  SK_ASSERT_OK(info);
  EXPECT_FALSE(info->native);
  EXPECT_EQ(info->key.fingerprint(), setup.host_key_fingerprint);
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshServerKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

TEST(OpenSshServer, with_a_host_key_that_we_do_not_know_is_left_at_once) {
  SK_NEEDS_SSHD(sshd);
  OurClient::Setup setup = sshd.client();
  setup.host_key_fingerprint = new_key().public_key().fingerprint();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
  EXPECT_EQ(sshd.errors().find("userauth-request"), std::string::npos);
}

TEST(OpenSshServer, that_does_not_know_our_key_is_an_error_that_says_so) {
  SK_NEEDS_SSHD(sshd);
  OurClient::Setup setup = sshd.client();
  setup.key = new_key();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
}

// ---------------------------------------------------------------- programs

TEST(OpenSshServer, tells_us_a_program_s_exit_code_and_its_standard_error) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("echo out; echo beside >&2; exit 7");
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "out\n");
  const Result<Bytes> beside = channel->read_error(kPatience);
  SK_ASSERT_OK(beside);
  EXPECT_TRUE(as_text(*beside).ends_with("beside\n")) << as_text(*beside);  // after its own chatter
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_FALSE(end->status.ok());
  EXPECT_EQ(end->status.reason, "exit-status");
  EXPECT_EQ(end->status.message, "7");
}

TEST(OpenSshServer, tells_us_that_it_does_not_find_a_program) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("/nonexistent/program");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.message, "127");
}

TEST(OpenSshServer, tells_us_the_signal_that_a_program_died_of) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("kill -TERM $$");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.code, Code::aborted);
  EXPECT_EQ(end->status.message, "TERM");
}

TEST(OpenSshServer, runs_a_subsystem_and_refuses_one_that_it_does_not_have) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("echo", OpenForm::session_subsystem);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
  const Result<Channel> none = client.open("nothing", OpenForm::session_subsystem);
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(Errc::no_such_service)) << none.error().message();
}

TEST(OpenSshServer, gives_our_headers_to_the_program_as_its_environment) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel =
      client.open("echo $COLOUR", OpenForm::session_exec, {{"COLOUR", "deep blue"}});
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "deep blue\n");
}

TEST(OpenSshServer, keeps_our_half_close) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("wc -c; sleep 0; echo after");
  SK_ASSERT_OK(channel);
  SK_ASSERT_OK(channel->write("123456", kPatience));
  SK_ASSERT_OK(channel->close_write());
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "6\nafter\n");
}

TEST(OpenSshServer, serves_ten_of_our_channels_at_once) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  std::vector<Channel> channels;
  for (int i = 0; i < 10; ++i) {  // MaxSessions is 10
    Result<Channel> channel = client.open("cat");
    SK_ASSERT_OK(channel);
    channels.push_back(std::move(*channel));
  }
  std::vector<std::thread> threads;
  std::vector<std::string> problems(channels.size());
  for (std::size_t i = 0; i < channels.size(); ++i)
    threads.emplace_back([&, i] { problems[i] = echo_problem(channels[i], 1 << 20); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) EXPECT_EQ(problem, "");
}

// ---------------------------------------------------------------- forwardings

/// A TCP server on 127.0.0.1 that gives one visitor's bytes back after its end of input.
class HoldServer {
 public:
  HoldServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HoldServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const noexcept { return port_; }

 private:
  void serve() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    Bytes held;
    Bytes buffer(64 * 1024);
    for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
      append(held, ByteView(buffer).first(static_cast<std::size_t>(n)));
    for (ByteView rest = held; !rest.empty();) {
      const ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      rest = rest.subspan(static_cast<std::size_t>(n));
    }
    ::close(fd);
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(OpenSshServer, forwards_our_channel_to_a_tcp_port_with_both_half_closes) {
  SK_NEEDS_SSHD(sshd);
  HoldServer target;
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel =
      client.open("127.0.0.1:" + std::to_string(target.port()), OpenForm::direct_tcpip);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST(OpenSshServer, says_that_nobody_listens_where_we_want_to_be_forwarded_to) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  const Result<Channel> tcp =
      client.open("127.0.0.1:" + std::to_string(free_port()), OpenForm::direct_tcpip);
  EXPECT_TRUE(!tcp && tcp.error().is(Errc::refused));
  const Result<Channel> path =
      client.open(sshd.folder().file("none"), OpenForm::direct_streamlocal);
  EXPECT_TRUE(!path && path.error().is(Errc::refused));
}

TEST(OpenSshServer, cannot_be_asked_for_a_channel_of_our_own_kind) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  const Result<Channel> channel = client.open("echo", OpenForm::channel);
  EXPECT_TRUE(!channel && channel.error().is(Errc::usage));
}

TEST(OpenSshServer, that_dies_ends_our_channel_with_a_lost_connection) {
  SK_NEEDS("sshd", "openssh-server");
  Sshd sshd;
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("kill -KILL $PPID; cat");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  ASSERT_FALSE(end);
  EXPECT_TRUE(end.error().is(Errc::connection_lost)) << end.error().message();
}

// ---------------------------------------------------------------- an ssh-agent's keys

TEST_P(OpenSshServerKey, takes_a_key_that_an_ssh_agent_holds_for_us) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh-agent", "openssh-client");
  Sshd sshd("", crypto::KeyType::ed25519, GetParam());
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

TEST(OpenSshServer, that_wants_two_keys_gets_ours_and_the_agent_s) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh-agent", "openssh-client");
  Sshd sshd("AuthenticationMethods publickey,publickey\n");
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
  EXPECT_NE(sshd.errors().find("Partial publickey"), std::string::npos);
}

TEST(OpenSshServer, is_reached_with_a_key_that_the_agent_may_use_for_it_only) {
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
