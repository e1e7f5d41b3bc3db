// OpenSSH's `ssh` as a client of our Peer: every cipher, key exchange and key type, what its
// command line turns into on our side, half-close, exit codes, and many channels over one
// connection.
#include "our_server.hpp"

#include <streamkit/crypto/kex_method.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

using Words = std::vector<std::string>;

Words ssh_words(const OurServer& server, const Words& more) {
  Words words = {"ssh", "-F", "none", "-v", "-T", "-p", std::to_string(server.port()), "-l", kUser};
  for (const std::string& option :
       {"IdentityFile=" + server.user_key_file(), "UserKnownHostsFile=" + server.known_hosts_file(),
        std::string("GlobalKnownHostsFile=/dev/null"), std::string("IdentitiesOnly=yes"),
        std::string("IdentityAgent=none"), std::string("BatchMode=yes"),
        std::string("StrictHostKeyChecking=yes")}) {
    words.push_back("-o");
    words.push_back(option);
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::size_t exchanges_in(const std::string& debug) {
  return count_of(debug, "SSH2_MSG_NEWKEYS received");
}

// ---------------------------------------------------------------- ciphers

class OpenSshClientCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(OpenSshClientCipher, gets_every_byte_back_from_our_echo_through_many_rekeys) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  const Suite& suite = GetParam();
  Words more = {"-c", suite.cipher, "-o", "RekeyLimit=1M", "127.0.0.1", "echo"};
  if (*suite.mac) more.insert(more.begin(), {"-m", suite.mac});
  Program ssh(ssh_words(server, more));
  EXPECT_EQ(ssh.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(ssh.wait(), 0);
  const std::string debug = ssh.errors();
  const std::string agreed = std::string("kex: client->server cipher: ") + suite.cipher +
                             " MAC: " + (*suite.mac ? suite.mac : "<implicit>");
  EXPECT_NE(debug.find(agreed), std::string::npos) << debug.substr(0, 4000);
  EXPECT_GE(exchanges_in(debug), exchanges_for(transfer_bytes()));
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshClientCipher, ::testing::ValuesIn(all_suites()),
                         suite_name);

TEST(OpenSshClient, rekeys_alone_when_we_do_not_ask_for_it) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server({.rekey_after_bytes = 1ull << 40});
  Program ssh(ssh_words(server, {"-o", "RekeyLimit=1M", "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_GE(exchanges_in(ssh.errors()), exchanges_for(transfer_bytes()));
}

TEST(OpenSshClient, follows_when_only_we_rekey) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(ssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_GE(exchanges_in(ssh.errors()), exchanges_for(transfer_bytes()));
}

// ---------------------------------------------------------------- key exchanges and keys

class OpenSshClientKex : public ::testing::TestWithParam<std::string_view> {};

TEST_P(OpenSshClientKex, agrees_with_us_and_rekeys) {
  SK_NEEDS("ssh", "openssh-client");
  const std::string kex(GetParam());
  Program known({"ssh", "-Q", "kex"});
  if (count_of("\n" + known.talk(), "\n" + kex + "\n") == 0)
    GTEST_SKIP() << "this ssh does not know " << kex;
  const OurServer server({.algorithms = with_kex(kex), .rekey_after_bytes = 64 << 10});
  Program ssh(ssh_words(server, {"-o", "KexAlgorithms=" + kex, "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(1 << 20), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_TRUE(has_line(ssh.errors(), "kex: algorithm: " + kex)) << ssh.errors();
  EXPECT_GE(exchanges_in(ssh.errors()), 2u);
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshClientKex, ::testing::ValuesIn(crypto::kex_names()),
                         kex_name);

struct NamedKey {
  crypto::KeyType type;
  const char* algorithm;
};
const NamedKey kKeys[] = {{crypto::KeyType::ed25519, "ssh-ed25519"},
                          {crypto::KeyType::ecdsa_p256, "ecdsa-sha2-nistp256"},
                          {crypto::KeyType::ecdsa_p384, "ecdsa-sha2-nistp384"},
                          {crypto::KeyType::ecdsa_p521, "ecdsa-sha2-nistp521"},
                          {crypto::KeyType::rsa, "rsa-sha2-512"},
                          {crypto::KeyType::rsa, "rsa-sha2-256"}};
std::string key_name(const ::testing::TestParamInfo<NamedKey>& info) {
  return test_name(info.param.algorithm);
}

class OpenSshClientKey : public ::testing::TestWithParam<NamedKey> {};

TEST_P(OpenSshClientKey, verifies_our_host_key_and_every_rekey_with_it) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server({.host_key = GetParam().type, .rekey_after_bytes = 64 << 10});
  const std::string algorithm = GetParam().algorithm;
  Program ssh(ssh_words(server, {"-o", "HostKeyAlgorithms=" + algorithm, "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(1 << 20), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_TRUE(has_line(ssh.errors(), "kex: host key algorithm: " + algorithm)) << ssh.errors();
}

TEST_P(OpenSshClientKey, logs_in_with_its_user_key) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server({.user_key = GetParam().type});
  const std::string algorithm = GetParam().algorithm;
  Program ssh(
      ssh_words(server, {"-o", "PubkeyAcceptedAlgorithms=" + algorithm, "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.talk("hello"), "hello");
  EXPECT_EQ(ssh.wait(), 0) << ssh.errors();
}

INSTANTIATE_TEST_SUITE_P(OpenSsh, OpenSshClientKey, ::testing::ValuesIn(kKeys), key_name);

TEST(OpenSshClient, is_refused_with_a_key_that_we_do_not_know) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  server.folder().write("user_key", text_of(new_key()));
  Program ssh(ssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.talk("secret"), "");
  EXPECT_EQ(ssh.wait(), 255);
  EXPECT_NE(ssh.errors().find("Permission denied (publickey)"), std::string::npos) << ssh.errors();
}

TEST(OpenSshClient, turns_away_when_our_host_key_is_not_the_one_it_knows) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  server.folder().write(
      "known_hosts", KnownHosts::line("127.0.0.1", server.port(), new_key().public_key()) + "\n");
  Program ssh(ssh_words(server, {"127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.talk(), "");
  EXPECT_EQ(ssh.wait(), 255);
  EXPECT_TRUE(server.peer().peers().empty());
}

// ---------------------------------------------------------------- what its command line means to
// us

TEST(OpenSshClient, gets_its_bytes_back_after_it_has_closed_its_side) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(ssh_words(server, {"127.0.0.1", "hold"}));
  EXPECT_EQ(ssh.echo_problem(1 << 20), "");
  EXPECT_EQ(ssh.wait(), 0);
}

TEST(OpenSshClient, exits_with_the_code_that_the_channel_closed_with) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  for (const int code : {0, 1, 7, 16}) {
    Program ssh(ssh_words(server, {"127.0.0.1", "echo code " + std::to_string(code)}));
    EXPECT_EQ(ssh.talk("x"), "x");
    EXPECT_EQ(ssh.wait(), code);
  }
}

TEST(OpenSshClient, shows_the_error_lane_on_standard_error) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Words words = ssh_words(server, {"127.0.0.1", "say"});
  words.erase(words.begin() + 3);  // -v
  Program ssh(words);
  EXPECT_EQ(ssh.talk(), "");
  EXPECT_EQ(ssh.wait(), 0);
  EXPECT_EQ(ssh.errors(), "a word beside\n");
}

TEST(OpenSshClient, opens_a_service_as_a_subsystem_with_its_environment_as_headers) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(ssh_words(server, {"-o", "SetEnv=CODE=3 \"COLOUR=deep blue\"", "-o", "SendEnv=LC_ALL",
                                 "-s", "127.0.0.1", "say"}));
  EXPECT_EQ(ssh.talk(), "CODE=3\nCOLOUR=deep blue\n");
  EXPECT_EQ(ssh.wait(), 3);
}

TEST(OpenSshClient, passes_the_words_after_the_service_as_arguments) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(ssh_words(server, {"127.0.0.1", "say", "two", "words"}));
  EXPECT_EQ(ssh.talk(), "args=two words\n");
  EXPECT_EQ(ssh.wait(), 0);
}

TEST(OpenSshClient, is_told_that_there_is_no_such_service) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  server.peer().on_open(
      "*", [](Incoming incoming) { incoming.refuse(Code::not_found, "no service of this name"); });
  Program ssh(ssh_words(server, {"127.0.0.1", "nothing"}));
  EXPECT_EQ(ssh.talk(), "");
  EXPECT_NE(ssh.wait(), 0);
  EXPECT_NE(ssh.errors().find("exec request failed"), std::string::npos) << ssh.errors();
}

TEST(OpenSshClient, reaches_a_service_by_standard_input_forwarding) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(ssh_words(server, {"-W", "echo:1", "127.0.0.1"}));
  EXPECT_EQ(ssh.echo_problem(8 << 20), "");
  EXPECT_EQ(ssh.wait(), 0);
}

/// Connects to a unix socket, sends a megabyte, ends its side and reads to the end.
std::string echo_problem_at(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return "cannot connect to " + path;
  }
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  constexpr std::uint64_t kSize = 1 << 20;
  std::thread writer([fd] {
    for (std::uint64_t sent = 0; sent < kSize;) {
      const ByteView piece = Pattern::at(sent, kSize - sent);
      const ssize_t n = ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::uint64_t>(n);
    }
    ::shutdown(fd, SHUT_WR);
  });
  PatternCheck check;
  Bytes buffer(64 * 1024);
  for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
    check.take(ByteView(buffer).first(static_cast<std::size_t>(n)));
  writer.join();
  ::close(fd);
  return check.problem(kSize);
}

TEST(OpenSshClient, forwards_a_local_socket_to_a_service_by_its_name_and_by_its_path) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  const std::string by_name = server.folder().file("n"), by_path = server.folder().file("p");
  Program ssh(ssh_words(server, {"-N", "-o", "ExitOnForwardFailure=yes", "-L", by_name + ":hold:1",
                                 "-L", by_path + ":/hold", "127.0.0.1"}));
  ASSERT_TRUE(ssh.wait_for_errors("Entering interactive session")) << ssh.errors();
  EXPECT_EQ(echo_problem_at(by_name), "");
  EXPECT_EQ(echo_problem_at(by_path), "");
}

TEST(OpenSshClient, runs_a_hundred_channels_over_one_connection) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  const std::string socket = "ControlPath=" + server.folder().file("m");
  Program master(ssh_words(server, {"-N", "-M", "-o", socket, "-o", "RekeyLimit=1M", "127.0.0.1"}));
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
  for (const NamedKey& key : kKeys) {
    const OurServer server({.host_key = key.type});
    Program scan({"ssh-keyscan", "-p", std::to_string(server.port()), "127.0.0.1"});
    const std::string line =
        "[127.0.0.1]:" + std::to_string(server.port()) + " " + server.host_key().text() + "\n";
    EXPECT_NE(scan.talk().find(line), std::string::npos) << scan.errors();
    EXPECT_EQ(scan.wait(), 0);
  }
}

}  // namespace
}  // namespace streamkit::testing
