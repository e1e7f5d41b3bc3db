// libssh2, which is a client only, linked into this test. Version 1.10 knows AES in counter mode
// and plain HMACs, no strict key exchange, and RSA with SHA-1 only, which we do not have.
#include "login.hpp"
#include "loopback.hpp"
#include "matrix.hpp"

#include <array>
#include <cstring>
#include <libssh2.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace streamkit::testing {
namespace {

constexpr std::size_t kPiece = 32 * 1024;

/// While it lives, this thread's leaks do not count: version 1.10 forgets parts of key exchanges
/// and of user keys. Our peer runs on another thread.
struct LeaksAllowed {
#if defined(__SANITIZE_ADDRESS__)
  __lsan::ScopedDisabler disabler;
#endif
};

struct FreeSession {
  void operator()(LIBSSH2_SESSION* s) const { libssh2_session_free(s); }
};
struct FreeChannel {
  void operator()(LIBSSH2_CHANNEL* c) const { libssh2_channel_free(c); }
};
using ChannelPointer = std::unique_ptr<LIBSSH2_CHANNEL, FreeChannel>;

class Libssh2Client {
 public:
  Libssh2Client() {
    static const int initialised = libssh2_init(0);
    EXPECT_EQ(initialised, 0);
    session_.reset(libssh2_session_init());
    libssh2_session_set_blocking(session_.get(), 0);
  }
  ~Libssh2Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  LIBSSH2_SESSION* get() const noexcept { return session_.get(); }

  void hang_up() { ::shutdown(fd_, SHUT_RDWR); }

  /// Empty when it is in, else a sentence.
  std::string log_in(const OurServer& server, Login login = Login::key,
                     const std::string& agent = {}) {
    if (!connect_to(server.port())) return "no connection";
    if (wait_for([&] { return libssh2_session_handshake(get(), fd_); }) != 0)
      return words("handshake");
    std::size_t size = 0;
    int type = 0;
    const char* blob = libssh2_session_hostkey(get(), &size, &type);
    if (!blob || std::string_view(blob, size) != as_text(server.host_key().blob()))
      return "the host key is not ours";
    return authenticate(server, login, agent) == 0 ? "" : words("logging in");
  }

  ChannelPointer open_session() {
    return wait_for_channel([&] { return libssh2_channel_open_session(get()); });
  }
  ChannelPointer open_direct(const char* host, int port) {
    return wait_for_channel([&] { return libssh2_channel_direct_tcpip(get(), host, port); });
  }

  /// Calls until it answers something else than "again", or the time is over.
  template <class Call>
  long wait_for(Call call) {
    const auto deadline = Clock::now() + kPatience;
    while (true) {
      const long answer = static_cast<long>(call());
      if (answer != LIBSSH2_ERROR_EAGAIN || Clock::now() > deadline) return answer;
      wait();
    }
  }
  /// For the socket, in the directions that it waits for.
  void wait() {
    const int directions = libssh2_session_block_directions(get());
    pollfd ready{fd_, 0, 0};
    if (directions & LIBSSH2_SESSION_BLOCK_INBOUND) ready.events |= POLLIN;
    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) ready.events |= POLLOUT;
    ::poll(&ready, 1, 1000);
  }
  std::string words(const std::string& doing) const {
    char* message = nullptr;
    libssh2_session_last_error(get(), &message, nullptr, 0);
    return doing + ": " + (message ? message : "");
  }

 private:
  long authenticate(const OurServer& server, Login login, const std::string& agent) {
    if (login == Login::password)
      return wait_for([&] { return libssh2_userauth_password(get(), kUser, kPassword); });
    if (login == Login::interactive)
      return wait_for(
          [&] { return libssh2_userauth_keyboard_interactive(get(), kUser, answer_prompts); });
    if (login == Login::agent) return authenticate_by(agent);
    std::string pub = server.user_key_file() + "-cert.pub";
    if (login == Login::key)
      pub = server.folder().write("user_key.pub", server.user_key().public_key().text() + "\n");
    return wait_for([&] {
      return libssh2_userauth_publickey_fromfile(get(), kUser, pub.c_str(),
                                                 server.user_key_file().c_str(), nullptr);
    });
  }
  static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer_prompts) {
    (void)name, (void)name_len, (void)instruction, (void)instruction_len, (void)prompts;
    (void)abstract;
    for (int i = 0; i < num_prompts; ++i) {
      responses[i].text = ::strdup(kPassword);
      responses[i].length = static_cast<unsigned>(std::strlen(kPassword));
    }
  }
  /// With the first key of the agent.
  long authenticate_by(const std::string& agent_socket) {
    struct FreeAgent {
      void operator()(LIBSSH2_AGENT* a) const {
        libssh2_agent_disconnect(a);
        libssh2_agent_free(a);
      }
    };
    const std::unique_ptr<LIBSSH2_AGENT, FreeAgent> agent(libssh2_agent_init(get()));
    libssh2_agent_set_identity_path(agent.get(), agent_socket.c_str());
    libssh2_agent_publickey* identity = nullptr;
    if (libssh2_agent_connect(agent.get()) != 0 ||
        libssh2_agent_list_identities(agent.get()) != 0 ||
        libssh2_agent_get_identity(agent.get(), &identity, nullptr) != 0)
      return -1;
    return wait_for([&] { return libssh2_agent_userauth(agent.get(), kUser, identity); });
  }

  template <class Call>
  ChannelPointer wait_for_channel(Call call) {
    LIBSSH2_CHANNEL* channel = nullptr;
    wait_for([&] {
      channel = call();
      return channel ? 0 : libssh2_session_last_errno(get());
    });
    return ChannelPointer(channel);
  }
  bool connect_to(std::uint16_t port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  [[maybe_unused]] LeaksAllowed leaks_allowed_;
  int fd_ = -1;
  std::unique_ptr<LIBSSH2_SESSION, FreeSession> session_;
};

std::string libssh2_echo_problem(Libssh2Client& client, LIBSSH2_CHANNEL* channel,
                                 std::uint64_t size) {
  const auto deadline = Clock::now() + kPatience;
  std::uint64_t sent = 0;
  bool is_ended = false;
  PatternCheck check;
  Bytes buffer(kPiece);
  const auto words = [&](const char* doing) {
    return client.words(doing) + ", after " + std::to_string(sent) + " sent and " +
           std::to_string(check.received()) + " received";
  };
  while (Clock::now() < deadline) {
    bool any = false;
    if (sent < size) {
      const ByteView piece = Pattern::at(sent, std::min<std::uint64_t>(size - sent, kPiece));
      const ssize_t n =
          libssh2_channel_write(channel, reinterpret_cast<const char*>(piece.data()), piece.size());
      if (n < 0 && n != LIBSSH2_ERROR_EAGAIN) return words("writing");
      if (n > 0) sent += static_cast<std::uint64_t>(n), any = true;
    } else if (!is_ended) {
      const int r = libssh2_channel_send_eof(channel);
      if (r < 0 && r != LIBSSH2_ERROR_EAGAIN) return words("ending");
      is_ended = r == 0;
    }
    const ssize_t n = libssh2_channel_read(channel, reinterpret_cast<char*>(buffer.data()), kPiece);
    if (n < 0 && n != LIBSSH2_ERROR_EAGAIN) return words("reading");
    if (n > 0) check.take(ByteView(buffer).first(static_cast<std::size_t>(n))), any = true;
    if (n == 0 && libssh2_channel_eof(channel)) return check.problem(size);
    if (!any) client.wait();
  }
  return words("the time is over");
}

/// What the channel still has to say.
std::string rest_of(Libssh2Client& client, LIBSSH2_CHANNEL* channel, int stream = 0) {
  std::string all;
  std::array<char, 4096> buffer{};
  while (true) {
    const long n = client.wait_for(
        [&] { return libssh2_channel_read_ex(channel, stream, buffer.data(), buffer.size()); });
    if (n <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

int exit_status(Libssh2Client& client, LIBSSH2_CHANNEL* channel) {
  client.wait_for([&] { return libssh2_channel_close(channel); });
  client.wait_for([&] { return libssh2_channel_wait_closed(channel); });
  return libssh2_channel_get_exit_status(channel);
}

class Libssh2Cell : public ::testing::TestWithParam<std::string> {
 protected:
  /// A transfer to our echo and back. Where it is because libssh2 does not offer the value, says
  /// so.
  static void expect_echo(OurServer& server, std::uint64_t size) {
    Libssh2Client client;
    const std::string problem = client.log_in(server);
    const std::string lack =
        not_offered(server.log().wait_for({"turned away ", "connected: "}), "client", GetParam());
    if (!problem.empty() && !lack.empty()) return not_supported(lack);
    ASSERT_EQ(problem, "");
    const ChannelPointer channel = client.open_session();
    ASSERT_TRUE(channel) << client.words("opening");
    ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "echo"); }), 0)
        << client.words("echo");
    EXPECT_EQ(libssh2_echo_problem(client, channel.get(), size), "");
    client.hang_up();
    EXPECT_GE(server.log().exchanges(), server.exchanges_for(size));
  }
  static void expect_echo_with(const ssh::Algorithms& algorithms) {
    OurServer server({.algorithms = algorithms, .rekey_after_bytes = kOften});
    expect_echo(server, 1 << 20);
  }
};

class Libssh2ClientKex : public Libssh2Cell {};
TEST_P(Libssh2ClientKex, agrees_with_us_and_rekeys) {
  cell("Libssh2", "client", "kex", GetParam());
  expect_echo_with(only(&ssh::Algorithms::kex, GetParam()));
}

class Libssh2ClientCipher : public Libssh2Cell {};
TEST_P(Libssh2ClientCipher, gets_every_byte_back_from_our_echo_through_our_rekeys) {
  cell("Libssh2", "client", "cipher", GetParam());
  OurServer server({.algorithms = only(&ssh::Algorithms::ciphers, GetParam())});
  expect_echo(server, transfer_bytes());
}

class Libssh2ClientMac : public Libssh2Cell {};
TEST_P(Libssh2ClientMac, is_agreed_on_and_holds_through_rekeys) {
  cell("Libssh2", "client", "MAC", GetParam());
  expect_echo_with(ctr_with(GetParam()));
}

class Libssh2ClientHostKey : public Libssh2Cell {};
TEST_P(Libssh2ClientHostKey, verifies_our_host_key_and_every_rekey_with_it) {
  cell("Libssh2", "client", "host key", GetParam());
  OurServer server({.algorithms = only(&ssh::Algorithms::host_keys, GetParam()),
                    .host_key = key_type_of(GetParam()),
                    .rekey_after_bytes = kOften});
  expect_echo(server, 1 << 20);
}

class Libssh2ClientAuth : public Libssh2Cell {};
TEST_P(Libssh2ClientAuth, logs_in) {
  cell("Libssh2", "client", "login", GetParam());
  if (GetParam() == "rsa-sha2") return not_supported("signs with SHA-1 only");
  SK_NEEDS("ssh-agent", "openssh-client");
  const Login login = login_of(GetParam());
  const Authority authority;
  // It has certificates of ECDSA keys.
  const auto type =
      login == Login::certificate ? crypto::KeyType::ecdsa_p256 : key_type_of(GetParam());
  const OurServer server({.user_key = type, .change = [&](PeerOptions& options) {
                            let_in_by(login, options, authority);
                          }});
  const std::unique_ptr<SshAgent> agent = equip(login, server, authority);
  Libssh2Client client;
  EXPECT_EQ(client.log_in(server, login, agent ? agent->socket() : ""), "");
}

#define SK_ROW(Column, values)                                                          \
  INSTANTIATE_TEST_SUITE_P(Libssh2, Libssh2Client##Column, ::testing::ValuesIn(values), \
                           [](const auto& about) { return value_name(about.param); })
SK_ROW(Kex, kex_values());
SK_ROW(Cipher, cipher_values());
SK_ROW(Mac, mac_values());
SK_ROW(HostKey, host_key_values());
SK_ROW(Auth, auth_values());
#undef SK_ROW

TEST(Libssh2Client, gets_every_byte_back_while_keys_are_exchanged_again_and_again) {
  cell("Libssh2", "client", "policy", "rekey under load");
  OurServer server({.rekey_after_bytes = kOften});
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server), "");
  const ChannelPointer channel = client.open_session();
  ASSERT_TRUE(channel) << client.words("opening");
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "echo"); }), 0);
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
  client.hang_up();
  EXPECT_GE(server.log().exchanges(), server.exchanges_for(1 << 20));
}

TEST(Libssh2Client, is_let_in_by_our_defaults) {
  cell("Libssh2", "client", "policy", "our defaults");
  const OurServer server;
  Libssh2Client client;
  EXPECT_EQ(client.log_in(server), "");
}

/// Logged in to our peer as usual, and a session there.
#define SK_LOGGED_IN(server, client) \
  Libssh2Client client;              \
  ASSERT_EQ(client.log_in(server), "")
#define SK_SESSION(client, channel)                     \
  const ChannelPointer channel = client.open_session(); \
  ASSERT_TRUE(channel) << client.words("opening")

TEST(Libssh2Client, is_refused_with_a_key_that_we_do_not_know) {
  cell("Libssh2", "client", "login", "unknown key refused");
  OurServer server;
  EXPECT_TRUE(server.peer().reconfigure(
      [](PeerOptions& o) { o.trust.authorized_keys = {new_key().public_key()}; }));
  Libssh2Client client;
  EXPECT_TRUE(client.log_in(server).starts_with("logging in: "));
}

TEST(Libssh2Client, sees_that_our_host_key_is_not_the_one_it_knows) {
  cell("Libssh2", "client", "host key", "wrong key refused");
  OurServer server;
  server.pretend_host_key(new_key().public_key());
  Libssh2Client client;
  EXPECT_EQ(client.log_in(server), "the host key is not ours");
}

TEST(Libssh2Client, opens_a_service_as_a_subsystem) {
  cell("Libssh2", "client", "service", "subsystem");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_subsystem(channel.get(), "echo"); }), 0);
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
}

TEST(Libssh2Client, gets_the_shell_that_we_made) {
  cell("Libssh2", "client", "service", "shell");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_shell(channel.get()); }), 0);
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
}

TEST(Libssh2Client, gets_its_bytes_back_after_it_has_closed_its_side) {
  cell("Libssh2", "client", "service", "half-close");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "hold"); }), 0);
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
}

TEST(Libssh2Client, is_told_that_there_is_no_such_service) {
  cell("Libssh2", "client", "service", "refusal");
  OurServer server;
  server.peer().on_open("*", [](Incoming incoming) { incoming.refuse(Code::not_found, "none"); });
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  EXPECT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "nothing"); }),
            LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED);
}

TEST(Libssh2Client, reaches_a_service_by_direct_tcpip) {
  cell("Libssh2", "client", "service", "direct-tcpip");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel = client.open_direct("echo", 1);
  ASSERT_TRUE(channel) << client.words("opening");
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
}

TEST(Libssh2Client, has_no_channels_to_unix_sockets) {
  cell("Libssh2", "client", "service", "direct-streamlocal");
  not_supported("has no channels of that kind before version 1.11");
}

TEST(Libssh2Client, hears_headers_the_error_lane_and_the_code) {
  cell("Libssh2", "client", "service", "environment, error lane, exit status");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_setenv(channel.get(), "CODE", "9"); }), 0);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "say"); }), 0);
  EXPECT_EQ(rest_of(client, channel.get()), "CODE=9\n");
  EXPECT_EQ(rest_of(client, channel.get(), SSH_EXTENDED_DATA_STDERR), "a word beside\n");
  EXPECT_EQ(exit_status(client, channel.get()), 9);
}

TEST(Libssh2Client, passes_the_words_after_the_service_as_arguments) {
  cell("Libssh2", "client", "service", "exec with arguments");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  SK_SESSION(client, channel);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "say two words"); }),
            0);
  EXPECT_EQ(rest_of(client, channel.get()), "args=two words\n");
}

TEST(Libssh2Client, runs_a_hundred_channels_over_one_connection) {
  cell("Libssh2", "client", "service", "100 channels");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  std::vector<ChannelPointer> channels;
  for (std::size_t i = 0; i < 100; ++i) {
    channels.push_back(client.open_session());
    LIBSSH2_CHANNEL* const channel = channels.back().get();
    ASSERT_TRUE(channel) << client.words("opening");
    ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel, "hold"); }), 0);
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    LIBSSH2_CHANNEL* const channel = channels[i].get();
    const std::string word = std::to_string(i);
    client.wait_for([&] { return libssh2_channel_write(channel, word.data(), word.size()); });
    client.wait_for([&] { return libssh2_channel_send_eof(channel); });
  }
  for (std::size_t i = 0; i < channels.size(); ++i)
    EXPECT_EQ(rest_of(client, channels[i].get()), std::to_string(i));
}

TEST(Libssh2Client, publishes_a_port_of_its_own_on_our_peer) {
  cell("Libssh2", "client", "service", "tcpip-forward");
  OurServer server;
  SK_LOGGED_IN(server, client);
  LIBSSH2_LISTENER* listener = nullptr;
  client.wait_for([&] {
    listener = libssh2_channel_forward_listen_ex(client.get(), "127.0.0.1", 7000, nullptr, 1);
    return listener ? 0 : libssh2_session_last_errno(client.get());
  });
  ASSERT_TRUE(listener) << client.words("listening");
  const std::optional<ForwardRequest> granted = server.wait_for_forward();
  ASSERT_TRUE(granted);
  std::string problem = "no channel";
  std::thread visitor([&] {
    if (Result<Channel> channel = server.open_forwarded(*granted))
      problem = echo_problem(*channel, 64 << 10);
  });
  LIBSSH2_CHANNEL* accepted = nullptr;
  client.wait_for([&] {
    accepted = libssh2_channel_forward_accept(listener);
    return accepted ? 0 : libssh2_session_last_errno(client.get());
  });
  const ChannelPointer channel(accepted);
  if (channel) {
    std::string held = rest_of(client, channel.get());
    for (std::string_view rest = held; !rest.empty();) {
      const long n = client.wait_for(
          [&] { return libssh2_channel_write(channel.get(), rest.data(), rest.size()); });
      if (n <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    client.wait_for([&] { return libssh2_channel_close(channel.get()); });
  }
  visitor.join();
  EXPECT_EQ(problem, "");
}

TEST(Libssh2Client, is_refused_a_channel_of_a_type_that_nobody_knows) {
  cell("Libssh2", "client", "service", "unknown type of channel");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  constexpr std::string_view kType = "nonsense@example.com";
  const long answer = client.wait_for([&]() -> long {
    LIBSSH2_CHANNEL* channel =
        libssh2_channel_open_ex(client.get(), kType.data(), kType.size(), 1 << 20, 1 << 15, "", 0);
    return channel ? 0 : libssh2_session_last_errno(client.get());
  });
  EXPECT_EQ(answer, LIBSSH2_ERROR_CHANNEL_FAILURE) << client.words("opening");
}

}  // namespace
}  // namespace streamkit::testing
