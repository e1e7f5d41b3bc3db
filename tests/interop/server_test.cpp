// Our Peer logs in to other implementations' servers: every key exchange, cipher, MAC, type of host
// key and way to log in, and what their programs and forwardings give us. Our side offers one value
// of the column that a test is about; the other side offers what it has.
#include "loopback.hpp"
#include "other_server.hpp"
#include "row_cell.hpp"

namespace streamkit::testing {
namespace {

class ServerCell : public RowCell<OtherServer> {
 protected:
  ServerCell() : RowCell("server") {}

  /// A transfer through `cat` and back with key exchanges under way. Where the other side does not
  /// offer the value, says so.
  void expect_echo(RunningServer& server, OurClient::Setup setup, std::uint64_t size) {
    ASSERT_TRUE(server.is_up()) << server.errors();
    setup.algorithms.allow_non_strict = !who().is_strict;
    if (!who().holds_data_back) setup.rekey_after_bytes = kNeverRekey;
    OurClient client(setup);
    const Result<PeerInfo> info = client.connect();
    if (!info) {
      const std::string lack = not_offered(info.error().message(), "server", value());
      if (!lack.empty()) return not_supported(lack);
    }
    SK_ASSERT_OK(info);
    Result<Channel> channel = client.open("cat");
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, size), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_TRUE(end->status.ok()) << end->status.message;
    EXPECT_GE(client.exchanges(), client.exchanges_for(size));
  }
  /// The same with keys that are exchanged often.
  void expect_echo_with(const ssh::Algorithms& algorithms) {
    RunningServer server(who());
    OurClient::Setup setup = server.client();
    setup.algorithms = algorithms;
    setup.rekey_after_bytes = kOften;
    expect_echo(server, setup, 1 << 20);
  }
};

/// Logged in to a server as usual.
#define SK_LOGGED_IN(server, client)              \
  RunningServer server(who());                    \
  ASSERT_TRUE(server.is_up()) << server.errors(); \
  OurClient client(server.client());              \
  SK_ASSERT_OK(client.connect())

// ---------------------------------------------------------------- algorithms

class ServerKex : public ServerCell {};
TEST_P(ServerKex, agrees_with_us_and_rekeys) {
  SK_BEGIN("kex", value());
  expect_echo_with(only(&ssh::Algorithms::kex, value()));
}

class ServerCipher : public ServerCell {};
TEST_P(ServerCipher, gives_us_back_every_byte_through_many_rekeys) {
  SK_BEGIN("cipher", value());
  RunningServer server(who());
  OurClient::Setup setup = server.client();
  setup.algorithms.ciphers = {value()};
  expect_echo(server, setup, transfer_bytes());
}

class ServerMac : public ServerCell {};
TEST_P(ServerMac, is_agreed_on_and_holds_through_rekeys) {
  SK_BEGIN("MAC", value());
  expect_echo_with(ctr_with(value()));
}

class ServerHostKey : public ServerCell {};
TEST_P(ServerHostKey, shows_us_its_host_key_and_signs_every_rekey_with_it) {
  SK_BEGIN("host key", value());
  RunningServer server(who(), {.host_key = new_key(key_type_of(value()))});
  OurClient::Setup setup = server.client();
  setup.algorithms.host_keys = {value()};
  setup.rekey_after_bytes = kOften;
  expect_echo(server, setup, 1 << 20);
}

class ServerAuth : public ServerCell {};
TEST_P(ServerAuth, lets_us_in) {
  SK_BEGIN("login", value());
  SK_NEEDS("ssh-agent", "openssh-client");
  const Login login = login_of(value());
  const Authority authority;
  RunningServer server(
      who(),
      {.user_key = new_key(key_type_of(value())), .login = login, .authority = authority.line()});
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  const std::unique_ptr<SshAgent> agent = log_in_by(login, setup, authority);
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  SK_ASSERT_OK(info);
  EXPECT_FALSE(info->native);
}

// ---------------------------------------------------------------- whom we trust

class ServerService : public ServerCell {};

TEST_P(ServerService, is_taken_by_our_defaults_unless_that_is_not_safe) {
  SK_BEGIN("policy", "our defaults");
  RunningServer server(who());
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  setup.algorithms = {};
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  if (who().works_by_default) {
    SK_ASSERT_OK(info);
    return;
  }
  ASSERT_FALSE(info);
  EXPECT_NE(info.error().message().find("lacks strict key exchange"), std::string::npos)
      << info.error().message();
  not_supported("lacks strict key exchange: refused unless allow_non_strict is set");
}

TEST_P(ServerService, that_does_not_know_our_key_is_an_error_that_says_so) {
  SK_BEGIN("login", "unknown key refused");
  RunningServer server(who());
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  setup.key = new_key();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
}

TEST_P(ServerService, with_a_host_key_that_we_do_not_know_is_left_at_once) {
  SK_BEGIN("host key", "wrong key refused");
  RunningServer server(who());
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  setup.host_key_fingerprint = new_key().public_key().fingerprint();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
}

TEST_P(ServerService, gives_us_back_every_byte_while_keys_are_exchanged_again_and_again) {
  SK_BEGIN("policy", "rekey under load");
  RunningServer server(who());
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  setup.rekey_after_bytes = kOften;
  OurClient client(setup);
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  const std::string problem = echo_problem(*channel, 1 << 20);
  if (!who().holds_data_back && problem.find(kNotInKex) != std::string::npos)
    return not_supported(kSendsInKex);
  EXPECT_EQ(problem, "");
  EXPECT_GE(client.exchanges(), client.exchanges_for(1 << 20));
}

// ---------------------------------------------------------------- what it serves

TEST_P(ServerService, runs_a_subsystem_and_refuses_one_that_it_does_not_have) {
  SK_BEGIN("service", "subsystem");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel = client.open("echo", OpenForm::session_subsystem);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST_P(ServerService, gives_our_headers_to_the_program_as_its_environment) {
  SK_BEGIN("service", "environment");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel =
      client.open("echo $COLOUR", OpenForm::session_exec, {{"COLOUR", "deep blue"}});
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "deep blue\n");
}

TEST_P(ServerService, tells_us_a_program_s_exit_code) {
  SK_BEGIN("service", "exit status");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel = client.open("echo out; exit 7");
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "out\n");
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.reason, "exit-status");
  EXPECT_EQ(end->status.message, "7");
}

TEST_P(ServerService, tells_us_the_signal_that_a_program_died_of) {
  SK_BEGIN("service", "exit signal");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel = client.open("kill -TERM $$");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.code, Code::aborted);
  EXPECT_EQ(end->status.message, "TERM");
}

TEST_P(ServerService, gives_us_a_program_s_standard_error) {
  SK_BEGIN("service", "error lane");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel = client.open("echo beside >&2");
  SK_ASSERT_OK(channel);
  std::string all;
  while (true) {
    const Result<Bytes> beside = channel->read_error(kPatience);
    if (!beside) break;
    all += as_text(*beside);
  }
  EXPECT_TRUE(all.ends_with("beside\n")) << all;  // sshd's own chatter comes first
}

TEST_P(ServerService, keeps_our_half_close) {
  SK_BEGIN("service", "half-close");
  SK_LOGGED_IN(server, client);
  Result<Channel> channel = client.open("wc -c; echo after");
  SK_ASSERT_OK(channel);
  SK_ASSERT_OK(channel->write("123456", kPatience));
  SK_ASSERT_OK(channel->close_write());
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "6\nafter\n");
}

TEST_P(ServerService, refuses_what_it_does_not_have) {
  SK_BEGIN("service", "refusal");
  SK_LOGGED_IN(server, client);
  const Result<Channel> none = client.open("nothing", OpenForm::session_subsystem);
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(Errc::no_such_service)) << none.error().message();
}

TEST_P(ServerService, serves_a_hundred_of_our_channels_at_once) {
  SK_BEGIN("service", "100 channels");
  SK_LOGGED_IN(server, client);
  std::vector<Channel> channels;
  for (int i = 0; i < 100; ++i) {
    Result<Channel> channel = client.open("cat");
    SK_ASSERT_OK(channel);
    channels.push_back(std::move(*channel));
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    SK_ASSERT_OK(channels[i].write(std::to_string(i), kPatience));
    SK_ASSERT_OK(channels[i].close_write());
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const Result<std::string> out = read_all(channels[i]);
    SK_ASSERT_OK(out);
    EXPECT_EQ(*out, std::to_string(i));
  }
}

TEST_P(ServerService, forwards_our_channel_to_a_tcp_port_with_both_half_closes) {
  SK_BEGIN("service", "direct-tcpip");
  SK_LOGGED_IN(server, client);
  const HoldServer target;
  Result<Channel> channel =
      client.open("127.0.0.1:" + std::to_string(target.port()), OpenForm::direct_tcpip);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST_P(ServerService, forwards_our_channel_to_a_unix_socket_with_both_half_closes) {
  SK_BEGIN("service", "direct-streamlocal");
  SK_LOGGED_IN(server, client);
  const std::string path = server.folder().file("target");
  const HoldServer target(path);
  Result<Channel> channel = client.open(path, OpenForm::direct_streamlocal);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST_P(ServerService, says_that_nobody_listens_where_we_want_to_be_forwarded_to) {
  SK_BEGIN("service", "refused forwarding");
  SK_LOGGED_IN(server, client);
  const Result<Channel> channel =
      client.open("127.0.0.1:" + std::to_string(free_port()), OpenForm::direct_tcpip);
  ASSERT_FALSE(channel);
  EXPECT_TRUE(channel.error().is(Errc::refused)) << channel.error().message();
}

#define SK_ROW(Name)                                                                              \
  INSTANTIATE_TEST_SUITE_P(Name, ServerKex,                                                       \
                           ::testing::ValuesIn(cells_of(other_server(#Name), kex_values())),      \
                           cell_name<OtherServer>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ServerCipher,                                                    \
                           ::testing::ValuesIn(cells_of(other_server(#Name), cipher_values())),   \
                           cell_name<OtherServer>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ServerMac,                                                       \
                           ::testing::ValuesIn(cells_of(other_server(#Name), mac_values())),      \
                           cell_name<OtherServer>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ServerHostKey,                                                   \
                           ::testing::ValuesIn(cells_of(other_server(#Name), host_key_values())), \
                           cell_name<OtherServer>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ServerAuth,                                                      \
                           ::testing::ValuesIn(cells_of(other_server(#Name), auth_values())),     \
                           cell_name<OtherServer>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ServerService,                                                   \
                           ::testing::ValuesIn(cells_of(other_server(#Name), {""})),              \
                           cell_name<OtherServer>)

SK_ROW(OpenSsh);
SK_ROW(Dropbear);
SK_ROW(TinySsh);
SK_ROW(Go);
SK_ROW(Paramiko);
SK_ROW(AsyncSsh);
SK_ROW(Ssh2);

}  // namespace
}  // namespace streamkit::testing
