// Other implementations' clients log in to our Peer: every key exchange, cipher, MAC, type of host
// key and way to log in, and what PROTOCOL.md says that stock software gets. Our side offers one
// value of the column that a test is about; the other side offers what it has.
#include "loopback.hpp"
#include "other_client.hpp"
#include "row_cell.hpp"

#include <algorithm>

namespace streamkit::testing {
namespace {

class ClientCell : public RowCell<OtherClient> {
 protected:
  ClientCell() : RowCell("client") {}

  /// Our side with these algorithms, and with those that lack strict key exchange let in.
  OurServer::Setup usual(ssh::Algorithms algorithms = {}) const {
    algorithms.allow_non_strict = !who().is_strict;
    OurServer::Setup setup;
    setup.algorithms = std::move(algorithms);
    if (!who().holds_data_back) setup.rekey_after_bytes = kNeverRekey;
    return setup;
  }
  /// A transfer to our echo and back with key exchanges under way. Where it failed because the
  /// other side does not offer the value, says so.
  void expect_echo(OurServer& server, std::uint64_t size) {
    Program program(who().words(server, {.what = "echo"}), who().environment(server));
    const std::string problem = program.echo_problem(size);
    const std::optional<int> code = program.wait();
    if (problem.empty() && code == 0) {
      EXPECT_GE(server.log().exchanges(), server.exchanges_for(size));
      return;
    }
    const std::string lack =
        not_offered(server.log().wait_for({"turned away ", "connected: "}), "client", value());
    if (!lack.empty()) return not_supported(lack);
    ADD_FAILURE() << problem << "\nit exited with " << code.value_or(-1) << " and said:\n"
                  << program.errors() << "\nand we said:\n"
                  << server.log().text();
  }
  /// The same with keys that are exchanged often.
  void expect_echo_with(const ssh::Algorithms& algorithms) {
    OurServer::Setup setup = usual(algorithms);
    if (who().holds_data_back) setup.rekey_after_bytes = kOften;
    OurServer server(setup);
    expect_echo(server, 1 << 20);
  }
};

// ---------------------------------------------------------------- algorithms

class ClientKex : public ClientCell {};
TEST_P(ClientKex, agrees_with_us_and_rekeys) {
  SK_BEGIN("kex", value());
  expect_echo_with(only(&ssh::Algorithms::kex, value()));
}

class ClientCipher : public ClientCell {};
TEST_P(ClientCipher, gets_every_byte_back_from_our_echo_through_many_rekeys) {
  SK_BEGIN("cipher", value());
  OurServer server(usual(only(&ssh::Algorithms::ciphers, value())));
  expect_echo(server, transfer_bytes());
}

class ClientMac : public ClientCell {};
TEST_P(ClientMac, is_agreed_on_and_holds_through_rekeys) {
  SK_BEGIN("MAC", value());
  expect_echo_with(ctr_with(value()));
}

class ClientHostKey : public ClientCell {};
TEST_P(ClientHostKey, verifies_our_host_key_and_every_rekey_with_it) {
  SK_BEGIN("host key", value());
  OurServer::Setup setup = usual(only(&ssh::Algorithms::host_keys, value()));
  setup.host_key = key_type_of(value());
  if (who().holds_data_back) setup.rekey_after_bytes = kOften;
  OurServer server(setup);
  expect_echo(server, 1 << 20);
}

class ClientAuth : public ClientCell {};
TEST_P(ClientAuth, logs_in) {
  SK_BEGIN("login", value());
  SK_NEEDS("ssh-agent", "openssh-client");
  const Login login = login_of(value());
  const Authority authority;
  OurServer::Setup setup = usual();
  setup.user_key = key_type_of(value());
  setup.change = [&](PeerOptions& options) { let_in_by(login, options, authority); };
  OurServer server(setup);
  const std::unique_ptr<SshAgent> agent = equip(login, server, authority);
  const Words words = who().words(server, {.what = "echo", .login = login});
  Words environment = who().environment(server);
  if (agent) environment.push_back("SSH_AUTH_SOCK=" + agent->socket());
  Program program(words, environment);
  EXPECT_EQ(program.talk("hello"), "hello");
  EXPECT_EQ(program.wait(), 0) << program.errors() << server.log().text();
}

// ---------------------------------------------------------------- what stock software gets

class ClientService : public ClientCell {
 protected:
  /// Its command line for this ask, and its environment.
  Program start(const OurServer& server, const Ask& ask) {
    return Program(who().words(server, ask), who().environment(server));
  }
};

TEST_P(ClientService, runs_a_service_as_a_command_with_arguments) {
  SK_BEGIN("service", "exec with arguments");
  const OurServer server(usual());
  Program program = start(server, {.what = "say two words"});
  EXPECT_EQ(program.talk(), "args=two words\n");
  EXPECT_EQ(program.wait(), 0) << program.errors();
}

TEST_P(ClientService, opens_a_service_as_a_subsystem) {
  SK_BEGIN("service", "subsystem");
  const OurServer server(usual());
  Program program = start(server, {.form = Ask::Form::subsystem, .what = "echo"});
  EXPECT_EQ(program.echo_problem(1 << 20), "");
  EXPECT_EQ(program.wait(), 0) << program.errors();
}

TEST_P(ClientService, gets_the_shell_that_we_made) {
  SK_BEGIN("service", "shell");
  const OurServer server(usual());
  Program program = start(server, {.form = Ask::Form::shell});
  EXPECT_EQ(program.talk("hello"), "hello");
  EXPECT_EQ(program.wait(), 0) << program.errors();
}

TEST_P(ClientService, sends_its_environment_as_headers) {
  SK_BEGIN("service", "environment");
  const OurServer server(usual());
  Program program = start(server, {.what = "say", .environment = {"CODE=3"}});
  EXPECT_EQ(program.talk(), "CODE=3\n");
  EXPECT_EQ(program.wait(), 3) << program.errors();
}

TEST_P(ClientService, exits_with_the_code_that_the_channel_closed_with) {
  SK_BEGIN("service", "exit status");
  const OurServer server(usual());
  for (const int code : {0, 7}) {
    Program program = start(server, {.what = "echo code " + std::to_string(code)});
    EXPECT_EQ(program.talk("x"), "x");
    EXPECT_EQ(program.wait(), code) << program.errors();
  }
}

TEST_P(ClientService, shows_the_error_lane_on_standard_error) {
  SK_BEGIN("service", "error lane");
  const OurServer server(usual());
  Program program = start(server, {.what = "say"});
  EXPECT_EQ(program.talk(), "");
  EXPECT_EQ(program.wait(), 0);
  if (who().is_talkative) {
    EXPECT_NE(program.errors().find("a word beside\n"), std::string::npos) << program.errors();
  } else {
    EXPECT_EQ(program.errors(), "a word beside\n");
  }
}

TEST_P(ClientService, gets_its_bytes_back_after_it_has_closed_its_side) {
  SK_BEGIN("service", "half-close");
  const OurServer server(usual());
  Program program = start(server, {.what = "hold"});
  EXPECT_EQ(program.echo_problem(1 << 20), "");
  EXPECT_EQ(program.wait(), 0) << program.errors();
}

TEST_P(ClientService, is_told_that_there_is_no_such_service) {
  SK_BEGIN("service", "refusal");
  OurServer server(usual());
  server.peer().on_open(
      "*", [](Incoming incoming) { incoming.refuse(Code::not_found, "no service of this name"); });
  Program program = start(server, {.what = "nothing"});
  EXPECT_EQ(program.talk(), "");
  const std::optional<int> code = program.wait();
  EXPECT_TRUE(code && *code != 0) << program.errors();
}

TEST_P(ClientService, reaches_a_service_by_its_name_as_a_host) {
  SK_BEGIN("service", "direct-tcpip");
  const OurServer server(usual());
  Program program = start(server, {.form = Ask::Form::direct_tcpip, .what = "echo"});
  EXPECT_EQ(program.echo_problem(8 << 20), "");
  (void)program.wait();
}

TEST_P(ClientService, reaches_a_service_by_its_path) {
  SK_BEGIN("service", "direct-streamlocal");
  const OurServer server(usual());
  const std::string path = server.folder().file("socket");
  Program program = start(server, {.form = Ask::Form::local_path, .what = "hold", .path = path});
  EXPECT_EQ(socket_echo_problem(wait_for_path(path), 1 << 20), "") << program.errors();
}

TEST_P(ClientService, runs_a_hundred_channels_over_one_connection) {
  SK_BEGIN("service", "100 channels");
  OurServer server(usual());
  const std::uint16_t port = free_port();
  Program program = start(server, {.form = Ask::Form::local_port, .what = "hold", .port = port});
  std::vector<int> sockets;
  while (sockets.size() < 100) {
    sockets.push_back(wait_for_port(port));
    ASSERT_GE(sockets.back(), 0) << program.errors();
  }
  // All of them are open before the first one ends.
  EXPECT_EQ(all_echo_problems(sockets, 64 << 10), "") << program.errors();
  EXPECT_EQ(server.peer().peers().size(), 1u);
}

TEST_P(ClientService, publishes_a_port_of_its_own_on_our_peer) {
  SK_BEGIN("service", "tcpip-forward");
  OurServer server(usual());
  const HoldServer target;
  Program program =
      start(server, {.form = Ask::Form::remote_port, .port = 7000, .target = target.port()});
  const std::optional<ForwardRequest> granted = server.wait_for_forward(program);
  ASSERT_TRUE(granted) << program.errors() << server.log().text();
  EXPECT_EQ(granted->port, 7000u);
  Result<Channel> channel = server.open_forwarded(*granted);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST_P(ClientService, is_refused_a_channel_of_a_type_that_nobody_knows) {
  SK_BEGIN("service", "unknown type of channel");
  const OurServer server(usual());
  Program program = start(server, {.form = Ask::Form::open_type, .what = "nonsense@example.com"});
  EXPECT_EQ(program.talk(), "refused 3\n") << program.errors();
  EXPECT_EQ(program.wait(), 0) << program.errors();
}

TEST_P(ClientService, gets_every_byte_back_while_keys_are_exchanged_again_and_again) {
  SK_BEGIN("policy", "rekey under load");
  OurServer::Setup setup = usual();
  setup.rekey_after_bytes = kOften;
  OurServer server(setup);
  Program program = start(server, {.what = "echo"});
  const std::string problem = program.echo_problem(1 << 20);
  (void)program.wait();
  if (!problem.empty() && !who().holds_data_back &&
      server.log().text().find(kNotInKex) != std::string::npos)
    return not_supported(kSendsInKex);
  EXPECT_EQ(problem, "");
  EXPECT_GE(server.log().exchanges(), server.exchanges_for(1 << 20));
}

// ---------------------------------------------------------------- whom we trust

TEST_P(ClientService, is_let_in_by_our_defaults_unless_that_is_not_safe) {
  SK_BEGIN("policy", "our defaults");
  OurServer server;
  Program program = start(server, {.what = "echo"});
  if (who().works_by_default) {
    EXPECT_EQ(program.talk("hello"), "hello");
    EXPECT_EQ(program.wait(), 0) << program.errors();
    return;
  }
  EXPECT_EQ(program.talk("hello"), "");
  const std::string said = server.log().wait_for({"turned away ", "connected: "});
  EXPECT_NE(said.find("lacks strict key exchange"), std::string::npos) << said;
  not_supported("lacks strict key exchange: refused unless allow_non_strict is set");
}

TEST_P(ClientService, is_refused_with_a_key_that_we_do_not_know) {
  SK_BEGIN("login", "unknown key refused");
  const OurServer server(usual());
  server.folder().write("user_key", text_of(new_key()));
  Program program = start(server, {.what = "echo"});
  EXPECT_EQ(program.talk("secret"), "");
  const std::optional<int> code = program.wait();
  EXPECT_TRUE(code && *code != 0) << program.errors();
}

TEST_P(ClientService, turns_away_when_our_host_key_is_not_the_one_it_knows) {
  SK_BEGIN("host key", "wrong key refused");
  OurServer server(usual());
  server.pretend_host_key(new_key().public_key());
  Program program = start(server, {.what = "echo"});
  EXPECT_EQ(program.talk("secret"), "");
  const std::optional<int> code = program.wait();
  EXPECT_TRUE(code && *code != 0) << program.errors();
  EXPECT_TRUE(server.peer().peers().empty());
}

#define SK_ROW(Name)                                                                              \
  INSTANTIATE_TEST_SUITE_P(Name, ClientKex,                                                       \
                           ::testing::ValuesIn(cells_of(other_client(#Name), kex_values())),      \
                           cell_name<OtherClient>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ClientCipher,                                                    \
                           ::testing::ValuesIn(cells_of(other_client(#Name), cipher_values())),   \
                           cell_name<OtherClient>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ClientMac,                                                       \
                           ::testing::ValuesIn(cells_of(other_client(#Name), mac_values())),      \
                           cell_name<OtherClient>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ClientHostKey,                                                   \
                           ::testing::ValuesIn(cells_of(other_client(#Name), host_key_values())), \
                           cell_name<OtherClient>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ClientAuth,                                                      \
                           ::testing::ValuesIn(cells_of(other_client(#Name), auth_values())),     \
                           cell_name<OtherClient>);                                               \
  INSTANTIATE_TEST_SUITE_P(Name, ClientService,                                                   \
                           ::testing::ValuesIn(cells_of(other_client(#Name), {""})),              \
                           cell_name<OtherClient>)

SK_ROW(OpenSsh);
SK_ROW(Dropbear);
SK_ROW(Putty);
SK_ROW(Go);
SK_ROW(Paramiko);
SK_ROW(AsyncSsh);
SK_ROW(Ssh2);

}  // namespace
}  // namespace streamkit::testing
