// What OpenSSH's `ssh` and its tools do besides what client_test.cpp asks of every client: rekeys
// that one side alone asks for, a shared connection, several variables, ssh-keyscan.
#include "matrix.hpp"
#include "openssh_words.hpp"

#include <sys/stat.h>

namespace streamkit::testing {
namespace {

std::size_t exchanges_in(const std::string& debug) {
  return count_of(debug, "SSH2_MSG_NEWKEYS received");
}

// ---------------------------------------------------------------- what is agreed on

TEST(OpenSshClient, agrees_with_us_on_the_first_key_exchange_of_ours_that_it_has) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(openssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.talk("hello"), "hello");
  EXPECT_TRUE(has_line(ssh.errors(), "kex: algorithm: " + best_kex_with_openssh())) << ssh.errors();
}

TEST(OpenSshClient, is_asked_for_a_key_and_a_password_where_we_want_both) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server({.change = [](PeerOptions& options) {
    options.trust.authentication_methods = {"publickey", "password"};
    options.trust.password = [](const std::string& name, std::string_view given) {
      return name == kUser && given == kPassword;
    };
  }});
  for (const char* const word : {"wrong", kPassword}) {
    const std::string askpass =
        server.folder().write("askpass", std::string("#!/bin/sh\necho '") + word + "'\n");
    ASSERT_EQ(::chmod(askpass.c_str(), 0700), 0);
    Program ssh(
        openssh_words(server, {"-o", "NumberOfPasswordPrompts=1", "127.0.0.1", "echo"}, "no"),
        {"SSH_ASKPASS=" + askpass, "SSH_ASKPASS_REQUIRE=force"});
    const bool right = word == std::string_view(kPassword);
    EXPECT_EQ(ssh.talk("hello"), right ? "hello" : "");
    EXPECT_EQ(ssh.wait(), right ? 0 : 255) << ssh.errors();
    EXPECT_NE(ssh.errors().find("using \"publickey\" with partial success"), std::string::npos)
        << ssh.errors();
  }
  // Without its key it is not even asked for the password.
  server.folder().write("user_key", text_of(new_key()));
  Program ssh(openssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.talk("hello"), "");
  EXPECT_EQ(ssh.wait(), 255);
  EXPECT_NE(ssh.errors().find("Permission denied (publickey)"), std::string::npos) << ssh.errors();
}

// ---------------------------------------------------------------- rekeys

TEST(OpenSshClient, rekeys_alone_when_we_do_not_ask_for_it) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server({.rekey_after_bytes = 1ull << 40});
  Program ssh(openssh_words(server, {"-o", "RekeyLimit=1M", "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_GE(exchanges_in(ssh.errors()), exchanges_for(transfer_bytes(), kRekeyBytes));
}

TEST(OpenSshClient, follows_when_only_we_rekey) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(openssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_GE(exchanges_in(ssh.errors()), exchanges_for(transfer_bytes(), kRekeyBytes));
}

// ---------------------------------------------------------------- its command line

TEST(OpenSshClient, opens_a_service_as_a_subsystem_with_its_environment_as_headers) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(openssh_words(server, {"-o", "SetEnv=CODE=3 \"COLOUR=deep blue\"", "-o",
                                     "SendEnv=LC_ALL", "-s", "127.0.0.1", "say"}));
  EXPECT_EQ(ssh.talk(), "CODE=3\nCOLOUR=deep blue\n");
  EXPECT_EQ(ssh.wait(), 3);
}

TEST(OpenSshClient, runs_a_hundred_sessions_over_one_connection) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  const std::string socket = "ControlPath=" + server.folder().file("m");
  Program master(
      openssh_words(server, {"-N", "-M", "-o", socket, "-o", "RekeyLimit=1M", "127.0.0.1"}));
  ASSERT_TRUE(master.wait_for_errors("Entering interactive session")) << master.errors();
  std::vector<std::string> problems(100);
  std::vector<std::thread> threads;
  for (std::string& problem : problems) {
    threads.emplace_back([&server, &socket, &problem] {
      Program ssh({"ssh", "-F", "none", "-T", "-o", "ControlMaster=no", "-o", socket, "-l", kUser,
                   "-p", std::to_string(server.port()), "127.0.0.1", "hold"});
      problem = ssh.echo_problem(64 << 10);
      if (ssh.wait() != 0) problem += " and it did not exit with 0";
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) EXPECT_EQ(problem, "");
  EXPECT_EQ(server.peer().peers().size(), 1u);
}

// ---------------------------------------------------------------- tools

TEST(OpenSshTools, ssh_keyscan_prints_our_host_key) {
  SK_NEEDS("ssh-keyscan", "openssh-client");
  for (const crypto::KeyType type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::ecdsa_p384,
        crypto::KeyType::ecdsa_p521, crypto::KeyType::rsa}) {
    const OurServer server({.host_key = type});
    Program scan({"ssh-keyscan", "-p", std::to_string(server.port()), "127.0.0.1"});
    const std::string line =
        "[127.0.0.1]:" + std::to_string(server.port()) + " " + server.host_key().text() + "\n";
    EXPECT_NE(scan.talk().find(line), std::string::npos) << scan.errors();
    EXPECT_EQ(scan.wait(), 0);
  }
}

}  // namespace
}  // namespace streamkit::testing
