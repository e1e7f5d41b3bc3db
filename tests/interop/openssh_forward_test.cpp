// Forwarding through OpenSSH besides what client_test.cpp and server_test.cpp ask of everybody:
// what `ssh -D` and the other forms of -R give at our peer, and what sshd listens on for us.
#include "loopback.hpp"
#include "openssh_words.hpp"
#include "other_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

// ---------------------------------------------------------------- ssh at our peer

/// Asks a SOCKS 5 proxy (RFC 1928) for NAME:PORT; what it answered, 0 for success.
int socks_answer(int fd, const std::string& name, std::uint16_t port) {
  const auto say = [fd](const std::string& text) {
    return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  };
  char answer[10] = {};
  if (!say(std::string("\x05\x01\x00", 3)) || ::recv(fd, answer, 2, MSG_WAITALL) != 2) return -1;
  std::string request("\x05\x01\x00\x03", 4);
  request += static_cast<char>(name.size());
  request += name;
  request += static_cast<char>(port >> 8);
  request += static_cast<char>(port & 255);
  if (!say(request) || ::recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer) return -1;
  return answer[1];
}

TEST(OpenSshForwards, of_every_kind_by_socks_reach_services_by_their_names) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  const std::uint16_t port = free_port();
  Program ssh(
      openssh_words(server, {"-N", "-D", "127.0.0.1:" + std::to_string(port), "127.0.0.1"}));
  const int fd = wait_for_port(port);
  ASSERT_GE(fd, 0) << ssh.errors();
  EXPECT_EQ(socks_answer(fd, "hold", 1), 0) << ssh.errors();
  EXPECT_EQ(socket_echo_problem(fd, 1 << 20), "");
}

TEST(OpenSshForwards, of_a_name_and_port_publish_what_the_client_has) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  const HoldServer target;
  Program ssh(openssh_words(
      server, {"-N", "-R", "shop:7000:127.0.0.1:" + std::to_string(target.port()), "127.0.0.1"}));
  const std::optional<ForwardRequest> granted = server.wait_for_forward(ssh);
  ASSERT_TRUE(granted) << ssh.errors();
  EXPECT_EQ(granted->bind, "shop");
  EXPECT_EQ(granted->port, 7000u);
  EXPECT_FALSE(granted->is_path);
  Result<Channel> channel = server.open_forwarded(*granted);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST(OpenSshForwards, of_a_path_publish_a_socket_of_the_client) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  const std::string path = server.folder().file("target");
  const HoldServer target(path);
  Program ssh(openssh_words(server, {"-N", "-R", "/shop:" + path, "127.0.0.1"}));
  const std::optional<ForwardRequest> granted = server.wait_for_forward(ssh);
  ASSERT_TRUE(granted) << ssh.errors();
  EXPECT_EQ(granted->bind, "/shop");
  EXPECT_TRUE(granted->is_path);
  Result<Channel> channel = server.open_forwarded(*granted);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
}

TEST(OpenSshForwards, are_refused_where_the_application_grants_none) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  server.peer().on_forward({});
  Program ssh(openssh_words(server, {"-N", "-o", "ExitOnForwardFailure=yes", "-R",
                                     "shop:7000:127.0.0.1:1", "127.0.0.1"}));
  EXPECT_EQ(ssh.wait(), 255) << ssh.errors();
}

TEST(OpenSshClient, is_refused_a_terminal) {
  SK_NEEDS("ssh", "openssh-client");
  const OurServer server;
  Program ssh(openssh_words(server, {"-tt", "127.0.0.1", "hold"}));
  EXPECT_EQ(ssh.talk("hello"), "");
  EXPECT_EQ(ssh.wait(), 255);
  EXPECT_NE(ssh.errors().find("PTY allocation request failed"), std::string::npos) << ssh.errors();
}

// ---------------------------------------------------------------- our peer at sshd

bool is_listening(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool connected =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

/// Logged in to an sshd, with the services of OurServer here.
#define SK_AT_SSHD(sshd, client)               \
  SK_NEEDS("sshd", "openssh-server");          \
  RunningServer sshd(other_server("OpenSsh")); \
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();  \
  OurClient client(sshd.client());             \
  SK_ASSERT_OK(client.connect());              \
  serve(client.peer())

TEST(OpenSshServer, listens_on_a_port_for_our_service_until_it_is_told_not_to) {
  SK_AT_SSHD(sshd, client);
  ForwardRequest wanted;
  wanted.bind = "127.0.0.1";
  const Result<std::uint32_t> port =
      client.peer().request_forward(To::anyone(), wanted, "hold", kPatience);
  SK_ASSERT_OK(port);
  ASSERT_GT(*port, 0u);
  const auto number = static_cast<std::uint16_t>(*port);
  EXPECT_EQ(socket_echo_problem(wait_for_port(number), 8 << 20), "");
  EXPECT_EQ(all_echo_problems({wait_for_port(number), wait_for_port(number)}, 64 << 10), "");
  wanted.port = *port;
  wanted.cancel = true;
  SK_ASSERT_OK(client.peer().request_forward(To::anyone(), wanted, {}, kPatience));
  EXPECT_FALSE(is_listening(number));
}

TEST(OpenSshServer, listens_on_the_port_that_we_ask_for) {
  SK_AT_SSHD(sshd, client);
  ForwardRequest wanted;
  wanted.bind = "localhost";
  wanted.port = free_port();
  const Result<std::uint32_t> port =
      client.peer().request_forward(To::anyone(), wanted, "hold", kPatience);
  SK_ASSERT_OK(port);
  EXPECT_EQ(*port, wanted.port);
  EXPECT_EQ(socket_echo_problem(wait_for_port(static_cast<std::uint16_t>(*port)), 1 << 20), "");
}

TEST(OpenSshServer, listens_on_a_path_for_our_service_until_it_is_told_not_to) {
  SK_AT_SSHD(sshd, client);
  ForwardRequest wanted;
  wanted.bind = sshd.folder().file("ours");
  wanted.is_path = true;
  SK_ASSERT_OK(client.peer().request_forward(To::anyone(), wanted, "hold", kPatience));
  EXPECT_EQ(socket_echo_problem(wait_for_path(wanted.bind), 1 << 20), "");
  wanted.cancel = true;
  SK_ASSERT_OK(client.peer().request_forward(To::anyone(), wanted, {}, kPatience));
}

TEST(OpenSshServer, that_will_not_listen_is_an_error_that_says_where) {
  SK_AT_SSHD(sshd, client);
  ForwardRequest wanted;
  wanted.bind = sshd.folder().file("no/such/folder");
  wanted.is_path = true;
  const auto refused = client.peer().request_forward(To::anyone(), wanted, "hold", kPatience);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::refused));
  EXPECT_NE(refused.error().message().find(wanted.bind), std::string::npos)
      << refused.error().message();
}

}  // namespace
}  // namespace streamkit::testing
