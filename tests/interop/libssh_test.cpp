// libssh, both of its halves, linked into this test: its client logs in to our Peer, and our Peer
// logs in to a server made of it. Its rekeys are asked for on both sides. Its way to answer in a
// loop is deprecated in favour of callbacks, and stays.
#define SSH_SUPPRESS_DEPRECATED

#include "login.hpp"
#include "loopback.hpp"
#include "matrix.hpp"

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

constexpr std::size_t kPiece = 32 * 1024;
constexpr int kPatienceMs = static_cast<int>(std::chrono::milliseconds(kPatience).count());

struct FreeSession {
  void operator()(ssh_session s) const {
    ssh_disconnect(s);
    ssh_free(s);
  }
};
struct FreeKey {
  void operator()(ssh_key k) const { ssh_key_free(k); }
};
struct FreeChannel {
  void operator()(ssh_channel c) const { ssh_channel_free(c); }
};
struct FreeBind {
  void operator()(ssh_bind b) const { ssh_bind_free(b); }
};
using SessionPointer = std::unique_ptr<ssh_session_struct, FreeSession>;
using KeyPointer = std::unique_ptr<ssh_key_struct, FreeKey>;
using ChannelPointer = std::unique_ptr<ssh_channel_struct, FreeChannel>;
using BindPointer = std::unique_ptr<ssh_bind_struct, FreeBind>;

KeyPointer key_from(const std::string& text) {
  ssh_key key = nullptr;
  EXPECT_EQ(ssh_pki_import_privkey_base64(text.c_str(), nullptr, nullptr, nullptr, &key), SSH_OK);
  return KeyPointer(key);
}

// ---------------------------------------------------------------- its client

struct LibsshClient {
  explicit LibsshClient(const OurServer& server) : session(ssh_new()) {
    const std::string port = std::to_string(server.port());
    const std::uint64_t rekey = kRekeyBytes;
    const int no = 0;
    set(SSH_OPTIONS_PROCESS_CONFIG, &no);
    set(SSH_OPTIONS_HOST, "127.0.0.1");
    set(SSH_OPTIONS_PORT_STR, port.c_str());
    set(SSH_OPTIONS_USER, kUser);
    set(SSH_OPTIONS_SSH_DIR, server.folder().path().c_str());
    set(SSH_OPTIONS_REKEY_DATA, &rekey);
  }
  void set(ssh_options_e option, const void* value) {
    EXPECT_EQ(ssh_options_set(session.get(), option, value), SSH_OK)
        << ssh_get_error(session.get());
  }
  /// Empty when it is in, else a sentence.
  std::string log_in(const OurServer& server, Login login = Login::key) {
    if (ssh_connect(session.get()) != SSH_OK) return words("connecting");
    ssh_key key = nullptr;
    if (ssh_get_server_publickey(session.get(), &key) != SSH_OK) return words("the host key");
    const KeyPointer shown(key);
    char* base64 = nullptr;
    ssh_pki_export_pubkey_base64(key, &base64);
    const std::string text = base64 ? base64 : "";
    ssh_string_free_char(base64);
    if (server.host_key().text().find(" " + text) == std::string::npos)
      return "the host key is not ours";
    if (ssh_userauth_none(session.get(), nullptr) == SSH_AUTH_SUCCESS) return "let in as nobody";
    return authenticate(server, login) == SSH_AUTH_SUCCESS ? "" : words("logging in");
  }
  int authenticate(const OurServer& server, Login login) {
    if (login == Login::password) return ssh_userauth_password(session.get(), nullptr, kPassword);
    if (login == Login::interactive) return answer_prompts();
    if (login == Login::agent) return ssh_userauth_agent(session.get(), nullptr);
    const KeyPointer user = key_from(text_of(server.user_key()));
    if (login == Login::certificate) {
      ssh_key certificate = nullptr;
      const std::string file = server.user_key_file() + "-cert.pub";
      EXPECT_EQ(ssh_pki_import_cert_file(file.c_str(), &certificate), SSH_OK);
      EXPECT_EQ(ssh_pki_copy_cert_to_privkey(certificate, user.get()), SSH_OK);
      ssh_key_free(certificate);
    }
    return ssh_userauth_publickey(session.get(), nullptr, user.get());
  }
  int answer_prompts() {
    int state = ssh_userauth_kbdint(session.get(), nullptr, nullptr);
    while (state == SSH_AUTH_INFO) {
      const int prompts = ssh_userauth_kbdint_getnprompts(session.get());
      for (int i = 0; i < prompts; ++i)
        ssh_userauth_kbdint_setanswer(session.get(), static_cast<unsigned>(i), kPassword);
      state = ssh_userauth_kbdint(session.get(), nullptr, nullptr);
    }
    return state;
  }
  std::string words(const std::string& doing) {
    return doing + ": " + ssh_get_error(session.get());
  }

  /// A session with one of its requests, or nothing and a failure.
  template <class Request>
  ChannelPointer start(Request request) {
    ChannelPointer channel(ssh_channel_new(session.get()));
    EXPECT_EQ(ssh_channel_open_session(channel.get()), SSH_OK) << words("opening");
    EXPECT_EQ(request(channel.get()), SSH_OK) << words("its request");
    return channel;
  }
  ChannelPointer run(const char* command) {
    return start([&](ssh_channel c) { return ssh_channel_request_exec(c, command); });
  }

  SessionPointer session;
};

/// Sends as the window allows and reads what is there, in turns. Empty when all came back.
std::string libssh_echo_problem(ssh_session session, ssh_channel channel, std::uint64_t size) {
  const auto deadline = Clock::now() + kPatience;
  std::uint64_t sent = 0;
  PatternCheck check;
  Bytes buffer(kPiece);
  const auto words = [&](const char* doing) {
    return std::string(doing) + " after " + std::to_string(sent) + " sent and " +
           std::to_string(check.received()) + " received: " + ssh_get_error(session);
  };
  bool is_over = false;
  while (!is_over) {
    if (Clock::now() > deadline) return words("the time is over");
    bool any = false;
    const std::uint32_t window = ssh_channel_window_size(channel);
    if (sent < size && window > 0) {
      const ByteView piece =
          Pattern::at(sent, std::min<std::uint64_t>({size - sent, window, kPiece}));
      const int n =
          ssh_channel_write(channel, piece.data(), static_cast<std::uint32_t>(piece.size()));
      if (n < 0) return words("writing");
      sent += static_cast<std::uint64_t>(n);
      if (sent == size && ssh_channel_send_eof(channel) != SSH_OK) return words("ending");
      any = n > 0;
    }
    const int n = ssh_channel_read_nonblocking(channel, buffer.data(), kPiece, 0);
    if (n == SSH_ERROR) return words("reading");
    if (n > 0) check.take(ByteView(buffer).first(static_cast<std::size_t>(n)));
    if (n <= 0 && ssh_channel_is_eof(channel)) is_over = true;
    if (n <= 0 && !any && !is_over) ssh_channel_poll_timeout(channel, 50, 0);
  }
  return check.problem(size);
}

/// What the channel still has to say.
std::string rest_of(ssh_channel channel, bool is_error = false) {
  std::string all(4096, 0);
  std::size_t size = 0;
  while (size < all.size()) {
    const int n = ssh_channel_read_timeout(channel, all.data() + size,
                                           static_cast<std::uint32_t>(all.size() - size), is_error,
                                           kPatienceMs);
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  all.resize(size);
  return all;
}

class LibsshClientCell : public ::testing::TestWithParam<std::string> {
 protected:
  /// A transfer to our echo and back. Where it is because libssh does not offer the value, says so.
  void expect_echo(OurServer& server, std::uint64_t size) {
    LibsshClient client(server);
    const std::string problem = client.log_in(server);
    const std::string lack =
        not_offered(server.log().wait_for({"turned away ", "connected: "}), "client", GetParam());
    if (!problem.empty() && !lack.empty()) return not_supported(lack);
    ASSERT_EQ(problem, "");
    ChannelPointer channel = client.run("echo");
    EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), size), "");
    EXPECT_EQ(ssh_channel_get_exit_status(channel.get()), 0);
    channel.reset();
    client.session.reset();
    EXPECT_GE(server.log().exchanges(), server.exchanges_for(size));
  }
  void expect_echo_with(const ssh::Algorithms& algorithms) {
    OurServer server({.algorithms = algorithms, .rekey_after_bytes = kOften});
    expect_echo(server, 1 << 20);
  }
};

class LibsshClientKex : public LibsshClientCell {};
TEST_P(LibsshClientKex, agrees_with_us_and_rekeys) {
  cell("Libssh", "client", "kex", GetParam());
  expect_echo_with(only(&ssh::Algorithms::kex, GetParam()));
}

class LibsshClientCipher : public LibsshClientCell {};
TEST_P(LibsshClientCipher, gets_every_byte_back_from_our_echo_through_many_rekeys) {
  cell("Libssh", "client", "cipher", GetParam());
  OurServer server({.algorithms = only(&ssh::Algorithms::ciphers, GetParam())});
  expect_echo(server, transfer_bytes());
}

class LibsshClientMac : public LibsshClientCell {};
TEST_P(LibsshClientMac, is_agreed_on_and_holds_through_rekeys) {
  cell("Libssh", "client", "MAC", GetParam());
  expect_echo_with(ctr_with(GetParam()));
}

class LibsshClientHostKey : public LibsshClientCell {};
TEST_P(LibsshClientHostKey, verifies_our_host_key_and_every_rekey_with_it) {
  cell("Libssh", "client", "host key", GetParam());
  OurServer server({.algorithms = only(&ssh::Algorithms::host_keys, GetParam()),
                    .host_key = key_type_of(GetParam()),
                    .rekey_after_bytes = kOften});
  expect_echo(server, 1 << 20);
}

class LibsshClientAuth : public LibsshClientCell {};
TEST_P(LibsshClientAuth, logs_in) {
  cell("Libssh", "client", "login", GetParam());
  SK_NEEDS("ssh-agent", "openssh-client");
  const Login login = login_of(GetParam());
  const Authority authority;
  const OurServer server({.user_key = key_type_of(GetParam()), .change = [&](PeerOptions& options) {
                            let_in_by(login, options, authority);
                          }});
  const std::unique_ptr<SshAgent> agent = equip(login, server, authority);
  LibsshClient client(server);
  if (agent) client.set(SSH_OPTIONS_IDENTITY_AGENT, agent->socket().c_str());
  EXPECT_EQ(client.log_in(server, login), "");
}

#define SK_ROW(Column, values)                                                        \
  INSTANTIATE_TEST_SUITE_P(Libssh, LibsshClient##Column, ::testing::ValuesIn(values), \
                           [](const auto& about) { return value_name(about.param); })
SK_ROW(Kex, kex_values());
SK_ROW(Cipher, cipher_values());
SK_ROW(Mac, mac_values());
SK_ROW(HostKey, host_key_values());
SK_ROW(Auth, auth_values());
#undef SK_ROW

TEST(LibsshClient, gets_every_byte_back_while_keys_are_exchanged_again_and_again) {
  cell("Libssh", "client", "policy", "rekey under load");
  OurServer server({.rekey_after_bytes = kOften});
  LibsshClient client(server);
  ASSERT_EQ(client.log_in(server), "");
  ChannelPointer channel = client.run("echo");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 1 << 20), "");
  channel.reset();
  client.session.reset();
  EXPECT_GE(server.log().exchanges(), server.exchanges_for(1 << 20));
}

TEST(LibsshClient, is_let_in_by_our_defaults) {
  cell("Libssh", "client", "policy", "our defaults");
  const OurServer server;
  LibsshClient client(server);
  EXPECT_EQ(client.log_in(server), "");
}

/// Logged in to our peer as usual.
#define SK_LOGGED_IN(server, client) \
  LibsshClient client(server);       \
  ASSERT_EQ(client.log_in(server), "")

TEST(LibsshClient, is_refused_with_a_key_that_we_do_not_know) {
  cell("Libssh", "client", "login", "unknown key refused");
  OurServer server;
  EXPECT_TRUE(server.peer().reconfigure(
      [](PeerOptions& o) { o.trust.authorized_keys = {new_key().public_key()}; }));
  LibsshClient client(server);
  EXPECT_TRUE(client.log_in(server).starts_with("logging in: "));
}

TEST(LibsshClient, sees_that_our_host_key_is_not_the_one_it_knows) {
  cell("Libssh", "client", "host key", "wrong key refused");
  OurServer server;
  server.pretend_host_key(new_key().public_key());
  LibsshClient client(server);
  EXPECT_EQ(client.log_in(server), "the host key is not ours");
}

TEST(LibsshClient, opens_a_service_as_a_subsystem) {
  cell("Libssh", "client", "service", "subsystem");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel =
      client.start([](ssh_channel c) { return ssh_channel_request_subsystem(c, "echo"); });
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 1 << 20), "");
}

TEST(LibsshClient, gets_the_shell_that_we_made) {
  cell("Libssh", "client", "service", "shell");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel =
      client.start([](ssh_channel c) { return ssh_channel_request_shell(c); });
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 1 << 20), "");
}

TEST(LibsshClient, gets_its_bytes_back_after_it_has_closed_its_side) {
  cell("Libssh", "client", "service", "half-close");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel = client.run("hold");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 1 << 20), "");
}

TEST(LibsshClient, is_told_that_there_is_no_such_service) {
  cell("Libssh", "client", "service", "refusal");
  OurServer server;
  server.peer().on_open("*", [](Incoming incoming) { incoming.refuse(Code::not_found, "none"); });
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_session(channel.get()), SSH_OK);
  EXPECT_EQ(ssh_channel_request_exec(channel.get(), "nothing"), SSH_ERROR);
}

TEST(LibsshClient, reaches_a_service_by_direct_tcpip) {
  cell("Libssh", "client", "service", "direct-tcpip");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_forward(channel.get(), "echo", 1, "127.0.0.1", 0), SSH_OK)
      << client.words("opening");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 8 << 20), "");
}

TEST(LibsshClient, does_not_ask_us_for_a_path) {
  cell("Libssh", "client", "service", "direct-streamlocal");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  EXPECT_EQ(ssh_channel_open_forward_unix(channel.get(), "/hold", "127.0.0.1", 0), SSH_ERROR);
  EXPECT_EQ(client.words("opening"), "opening: We're not connected to an OpenSSH server!");
  not_supported("asks OpenSSH's server only");
}

TEST(LibsshClient, hears_headers_the_error_lane_and_the_code) {
  cell("Libssh", "client", "service", "environment, error lane, exit status");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel = client.start([](ssh_channel c) {
    return ssh_channel_request_env(c, "CODE", "9") == SSH_OK ? ssh_channel_request_exec(c, "say")
                                                             : SSH_ERROR;
  });
  EXPECT_EQ(rest_of(channel.get()), "CODE=9\n");
  EXPECT_EQ(rest_of(channel.get(), true), "a word beside\n");
  EXPECT_EQ(ssh_channel_get_exit_status(channel.get()), 9);
}

TEST(LibsshClient, passes_the_words_after_the_service_as_arguments) {
  cell("Libssh", "client", "service", "exec with arguments");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  const ChannelPointer channel = client.run("say two words");
  EXPECT_EQ(rest_of(channel.get()), "args=two words\n");
}

TEST(LibsshClient, runs_a_hundred_channels_over_one_connection) {
  cell("Libssh", "client", "service", "100 channels");
  const OurServer server;
  SK_LOGGED_IN(server, client);
  std::vector<ChannelPointer> channels;
  for (int i = 0; i < 100; ++i) channels.push_back(client.run("hold"));
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const std::string word = std::to_string(i);
    ssh_channel_write(channels[i].get(), word.data(), static_cast<std::uint32_t>(word.size()));
    ssh_channel_send_eof(channels[i].get());
  }
  for (std::size_t i = 0; i < channels.size(); ++i)
    EXPECT_EQ(rest_of(channels[i].get()), std::to_string(i));
}

TEST(LibsshClient, publishes_a_port_of_its_own_on_our_peer) {
  cell("Libssh", "client", "service", "tcpip-forward");
  OurServer server;
  SK_LOGGED_IN(server, client);
  int port = 0;
  ASSERT_EQ(ssh_channel_listen_forward(client.session.get(), "127.0.0.1", 7000, &port), SSH_OK)
      << client.words("listening");
  const std::optional<ForwardRequest> granted = server.wait_for_forward();
  ASSERT_TRUE(granted);
  std::string problem = "no channel";
  std::thread visitor([&] {
    if (Result<Channel> channel = server.open_forwarded(*granted))
      problem = echo_problem(*channel, 64 << 10);
  });
  const ChannelPointer channel(
      ssh_channel_accept_forward(client.session.get(), kPatienceMs, &port));
  EXPECT_TRUE(channel) << client.words("accepting");
  Bytes held, buffer(kPiece);
  while (channel) {
    const int n = ssh_channel_read_timeout(channel.get(), buffer.data(), kPiece, 0, kPatienceMs);
    if (n <= 0) break;
    append(held, ByteView(buffer).first(static_cast<std::size_t>(n)));
  }
  if (channel) {
    ssh_channel_write(channel.get(), held.data(), static_cast<std::uint32_t>(held.size()));
    ssh_channel_close(channel.get());
    ssh_blocking_flush(client.session.get(), kPatienceMs);
  }
  visitor.join();
  EXPECT_EQ(problem, "");
}

TEST(LibsshClient, has_no_way_to_ask_for_a_type_of_channel) {
  cell("Libssh", "client", "service", "unknown type of channel");
  not_supported("has no call for it");
}

// ---------------------------------------------------------------- its server

/// Accepts one connection and, when all channels that it is to have are open, serves them one after
/// another: a session with a command or the subsystem `echo`, or a direct-tcpip to `anywhere`; it
/// gives back what comes and exits with 5. The command `say` prints its environment, and a word on
/// standard error; `die` ends by a signal.
class LibsshServer {
 public:
  explicit LibsshServer(crypto::KeyType host_key = crypto::KeyType::ed25519,
                        crypto::KeyType user_key = crypto::KeyType::ed25519,
                        std::size_t channels = 1)
      : host_key_(new_key(host_key)),
        user_key_(new_key(user_key)),
        wanted_(channels),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { problem_ = serve(); });
  }
  ~LibsshServer() {
    (void)join();
    ::close(listener_);
  }
  OurClient::Setup client() const {
    return {.port = port_,
            .user = kUser,
            .key = user_key_,
            .host_key_fingerprint = host_key_.public_key().fingerprint()};
  }
  /// What went wrong on its side, when it is done.
  std::string join() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    return problem_;
  }

 private:
  std::string serve() {
    const BindPointer bind(ssh_bind_new());
    const auto set = [&](ssh_bind_options_e option, const void* value) {
      EXPECT_EQ(ssh_bind_options_set(bind.get(), option, value), SSH_OK)
          << ssh_get_error(bind.get());
    };
    const bool no = false;
    set(SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    // The key belongs to the bind from here on.
    set(SSH_BIND_OPTIONS_IMPORT_KEY, key_from(text_of(host_key_)).release());
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return "nobody came";
    const SessionPointer session(ssh_new());
    const long patience = kPatience.count();
    const std::uint64_t rekey = kRekeyBytes;
    if (ssh_bind_accept_fd(bind.get(), session.get(), fd) != SSH_OK)
      return ssh_get_error(bind.get());
    ssh_options_set(session.get(), SSH_OPTIONS_TIMEOUT, &patience);
    ssh_options_set(session.get(), SSH_OPTIONS_REKEY_DATA, &rekey);
    if (ssh_handle_key_exchange(session.get()) != SSH_OK)
      return std::string("key exchange: ") + ssh_get_error(session.get());
    ssh_set_auth_methods(session.get(), SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_PASSWORD |
                                            SSH_AUTH_METHOD_INTERACTIVE);
    std::vector<ChannelPointer> channels;
    for (std::size_t i = 0; i < wanted_; ++i) {
      channels.push_back(answer_until_started(session.get()));
      if (!channels.back()) return std::string("before a channel: ") + ssh_get_error(session.get());
    }
    for (const ChannelPointer& channel : channels)
      if (std::string problem = serve(session.get(), channel.get()); !problem.empty())
        return problem;
    // Its goodbye must not overtake what it still has to send.
    while (!ssh_channel_is_closed(channels.back().get()) || ssh_is_connected(session.get())) {
      ssh_message message = ssh_message_get(session.get());
      if (!message) break;
      ssh_message_free(message);
    }
    return {};
  }

  std::string serve(ssh_session session, ssh_channel channel) const {
    std::string problem = command_ == "say" ? say(channel) : echo(session, channel);
    if (!problem.empty()) return problem;
    if (command_ == "die") {
      ssh_channel_request_send_exit_signal(channel, "TERM", 0, "", "");
    } else {
      ssh_channel_request_send_exit_status(channel, 5);
    }
    ssh_channel_send_eof(channel);
    ssh_channel_close(channel);
    return {};
  }

  /// Prints the environment, and a word on standard error.
  std::string say(ssh_channel channel) const {
    constexpr std::string_view kBeside = "beside\n";
    ssh_channel_write_stderr(channel, kBeside.data(), kBeside.size());
    ssh_channel_write(channel, environment_.data(),
                      static_cast<std::uint32_t>(environment_.size()));
    return {};
  }

  void answer_key(ssh_message message) const {
    const KeyPointer known = key_from(text_of(user_key_));
    if (ssh_key_cmp(ssh_message_auth_pubkey(message), known.get(), SSH_KEY_CMP_PUBLIC) != 0) {
      ssh_message_reply_default(message);
    } else if (ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_NONE) {
      ssh_message_auth_reply_pk_ok_simple(message);
    } else if (ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_VALID) {
      ssh_message_auth_reply_success(message, 0);
    } else {
      ssh_message_reply_default(message);
    }
  }

  /// Asks for the password, and hears it.
  static void answer_interactive(ssh_session session, ssh_message message) {
    if (!ssh_message_auth_kbdint_is_response(message)) {
      const char* prompts[] = {"Password: "};
      char echo[] = {0};
      ssh_message_auth_interactive_request(message, "", "", 1, prompts, echo);
      return;
    }
    const char* given = ssh_userauth_kbdint_getnanswers(session) == 1
                            ? ssh_userauth_kbdint_getanswer(session, 0)
                            : nullptr;
    if (given && std::string_view(given) == kPassword) {
      ssh_message_auth_reply_success(message, 0);
    } else {
      ssh_message_reply_default(message);
    }
  }

  /// Whether a channel may be opened, or the refusal that was sent.
  static bool is_opened(ssh_message message, int subtype, ChannelPointer& channel) {
    if (subtype == SSH_CHANNEL_SESSION || subtype == SSH_CHANNEL_DIRECT_TCPIP) {
      const char* host = ssh_message_channel_request_open_destination(message);
      if (subtype == SSH_CHANNEL_SESSION || std::string_view(host) == "anywhere") {
        channel.reset(ssh_message_channel_request_open_reply_accept(message));
        return true;
      }
    }
    ssh_message_reply_default(message);
    return false;
  }

  /// A command, a subsystem, or a variable of the environment. True: it starts.
  bool is_run(ssh_message message, int subtype) {
    if (subtype == SSH_CHANNEL_REQUEST_ENV) {
      environment_ += std::string(ssh_message_channel_request_env_name(message)) + "=" +
                      ssh_message_channel_request_env_value(message) + "\n";
    } else if (subtype == SSH_CHANNEL_REQUEST_EXEC) {
      command_ = ssh_message_channel_request_command(message);
    } else if (subtype == SSH_CHANNEL_REQUEST_SUBSYSTEM &&
               std::string_view(ssh_message_channel_request_subsystem(message)) == "echo") {
      command_ = "echo";
    } else {
      ssh_message_reply_default(message);
      return false;
    }
    ssh_message_channel_request_reply_success(message);
    return !command_.empty();
  }

  ChannelPointer answer_until_started(ssh_session session) {
    ChannelPointer channel;
    while (ssh_message message = ssh_message_get(session)) {
      const int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
      bool is_started = false;
      if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_PUBLICKEY) {
        answer_key(message);
      } else if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_PASSWORD &&
                 std::string_view(ssh_message_auth_password(message)) == kPassword) {
        ssh_message_auth_reply_success(message, 0);
      } else if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_INTERACTIVE) {
        answer_interactive(session, message);
      } else if (type == SSH_REQUEST_CHANNEL_OPEN) {
        is_started = is_opened(message, subtype, channel) && subtype == SSH_CHANNEL_DIRECT_TCPIP;
      } else if (type == SSH_REQUEST_CHANNEL) {
        is_started = is_run(message, subtype);
      } else if (type == SSH_REQUEST_SERVICE) {
        ssh_message_service_reply_success(message);
      } else {
        ssh_message_reply_default(message);
      }
      ssh_message_free(message);
      if (is_started) return channel;
    }
    return nullptr;
  }

  static std::string echo(ssh_session session, ssh_channel channel) {
    Bytes buffer(kPiece);
    while (true) {
      const int n = ssh_channel_read_timeout(channel, buffer.data(), kPiece, 0, kPatienceMs);
      if (n < 0) return std::string("reading: ") + ssh_get_error(session);
      if (n == 0 && !ssh_channel_is_eof(channel)) return "the time is over";
      if (n == 0) break;
      if (ssh_channel_write(channel, buffer.data(), static_cast<std::uint32_t>(n)) != n)
        return std::string("writing: ") + ssh_get_error(session);
    }
    return {};
  }

  crypto::PrivateKey host_key_, user_key_;
  std::size_t wanted_;
  int listener_;
  std::uint16_t port_ = 0;
  std::string problem_, environment_, command_;
  std::thread thread_;
};

class LibsshServerCell : public ::testing::TestWithParam<std::string> {
 protected:
  static void expect_echo(LibsshServer& server, const OurClient::Setup& setup, std::uint64_t size) {
    OurClient client(setup);
    const Result<PeerInfo> info = client.connect();
    if (!info) {
      const std::string lack = not_offered(info.error().message(), "server", GetParam());
      if (!lack.empty()) return not_supported(lack);
    }
    SK_ASSERT_OK(info);
    Result<Channel> channel = client.open("echo");
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, size), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_EQ(end->status.message, "5");
    EXPECT_GE(client.exchanges(), client.exchanges_for(size));
    EXPECT_EQ(server.join(), "");
  }
  static void expect_echo_with(const ssh::Algorithms& algorithms) {
    LibsshServer server;
    OurClient::Setup setup = server.client();
    setup.algorithms = algorithms;
    setup.rekey_after_bytes = kOften;
    expect_echo(server, setup, 1 << 20);
  }
};

class LibsshServerKex : public LibsshServerCell {};
TEST_P(LibsshServerKex, agrees_with_us_and_rekeys) {
  cell("Libssh", "server", "kex", GetParam());
  expect_echo_with(only(&ssh::Algorithms::kex, GetParam()));
}

class LibsshServerCipher : public LibsshServerCell {};
TEST_P(LibsshServerCipher, gives_us_back_every_byte_through_many_rekeys) {
  cell("Libssh", "server", "cipher", GetParam());
  LibsshServer server;
  OurClient::Setup setup = server.client();
  setup.algorithms.ciphers = {GetParam()};
  expect_echo(server, setup, transfer_bytes());
}

class LibsshServerMac : public LibsshServerCell {};
TEST_P(LibsshServerMac, is_agreed_on_and_holds_through_rekeys) {
  cell("Libssh", "server", "MAC", GetParam());
  expect_echo_with(ctr_with(GetParam()));
}

class LibsshServerHostKey : public LibsshServerCell {};
TEST_P(LibsshServerHostKey, shows_us_its_host_key_and_signs_every_rekey_with_it) {
  cell("Libssh", "server", "host key", GetParam());
  LibsshServer server(key_type_of(GetParam()));
  OurClient::Setup setup = server.client();
  setup.algorithms.host_keys = {GetParam()};
  setup.rekey_after_bytes = kOften;
  expect_echo(server, setup, 1 << 20);
}

class LibsshServerAuth : public LibsshServerCell {};
TEST_P(LibsshServerAuth, lets_us_in) {
  cell("Libssh", "server", "login", GetParam());
  if (GetParam() == "certificate") return not_supported("does not judge certificates");
  SK_NEEDS("ssh-agent", "openssh-client");
  LibsshServer server(crypto::KeyType::ed25519, key_type_of(GetParam()));
  OurClient::Setup setup = server.client();
  const std::unique_ptr<SshAgent> agent = log_in_by(login_of(GetParam()), setup, Authority());
  {
    OurClient client(setup);
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("echo", OpenForm::session_subsystem);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 1 << 10), "");
  }
  EXPECT_EQ(server.join(), "");
}

#define SK_ROW(Column, values)                                                        \
  INSTANTIATE_TEST_SUITE_P(Libssh, LibsshServer##Column, ::testing::ValuesIn(values), \
                           [](const auto& about) { return value_name(about.param); })
SK_ROW(Kex, kex_values());
SK_ROW(Cipher, cipher_values());
SK_ROW(Mac, mac_values());
SK_ROW(HostKey, host_key_values());
SK_ROW(Auth, auth_values());
#undef SK_ROW

TEST(LibsshServer, that_does_not_know_our_key_is_an_error_that_says_so) {
  cell("Libssh", "server", "login", "unknown key refused");
  LibsshServer server;
  OurClient::Setup setup = server.client();
  setup.key = new_key();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
}

TEST(LibsshServer, is_taken_by_our_defaults) {
  cell("Libssh", "server", "policy", "our defaults");
  LibsshServer server;
  OurClient client(server.client());
  SK_ASSERT_OK(client.connect());
}

TEST(LibsshServer, with_a_host_key_that_we_do_not_know_is_left_at_once) {
  cell("Libssh", "server", "host key", "wrong key refused");
  LibsshServer server;
  OurClient::Setup setup = server.client();
  setup.host_key_fingerprint = new_key().public_key().fingerprint();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
}

TEST(LibsshServer, runs_a_subsystem_keeps_our_half_close_and_tells_its_exit_code) {
  cell("Libssh", "server", "service", "subsystem, half-close, exit status");
  LibsshServer server;
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("echo", OpenForm::session_subsystem);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_EQ(end->status.reason, "exit-status");
    EXPECT_EQ(end->status.message, "5");
  }
  EXPECT_EQ(server.join(), "");
}

TEST(LibsshServer, takes_our_headers_and_sends_standard_error) {
  cell("Libssh", "server", "service", "environment, error lane");
  LibsshServer server;
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("say", OpenForm::session_exec, {{"COLOUR", "deep blue"}});
    SK_ASSERT_OK(channel);
    const Result<std::string> out = read_all(*channel);
    SK_ASSERT_OK(out);
    EXPECT_EQ(*out, "COLOUR=deep blue\n");
    const Result<Bytes> beside = channel->read_error(kPatience);
    SK_ASSERT_OK(beside);
    EXPECT_EQ(as_text(*beside), "beside\n");
  }
  EXPECT_EQ(server.join(), "");
}

TEST(LibsshServer, has_a_hundred_of_our_channels_open_at_once) {
  cell("Libssh", "server", "service", "100 channels");
  LibsshServer server(crypto::KeyType::ed25519, crypto::KeyType::ed25519, 100);
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    std::vector<Channel> channels;
    for (int i = 0; i < 100; ++i) {
      Result<Channel> channel = client.open("echo");
      SK_ASSERT_OK(channel);
      SK_ASSERT_OK(channel->write(std::to_string(i), kPatience));
      SK_ASSERT_OK(channel->close_write());
      channels.push_back(std::move(*channel));
    }
    for (std::size_t i = 0; i < channels.size(); ++i) {
      const Result<std::string> out = read_all(channels[i]);
      SK_ASSERT_OK(out);
      EXPECT_EQ(*out, std::to_string(i));
    }
  }
  EXPECT_EQ(server.join(), "");
}

TEST(LibsshServer, tells_us_a_signal) {
  cell("Libssh", "server", "service", "exit signal");
  LibsshServer server;
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("die");
    SK_ASSERT_OK(channel);
    SK_ASSERT_OK(channel->close_write());
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_EQ(end->status.code, Code::aborted);
    EXPECT_EQ(end->status.message, "TERM");
  }
  EXPECT_EQ(server.join(), "");
}

TEST(LibsshServer, refuses_what_it_does_not_have) {
  cell("Libssh", "server", "service", "refusal, refused forwarding");
  LibsshServer server;
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    const Result<Channel> forwarding = client.open("elsewhere:7", OpenForm::direct_tcpip);
    ASSERT_FALSE(forwarding);
    EXPECT_TRUE(forwarding.error().is(Errc::refused)) << forwarding.error().message();
    const Result<Channel> none = client.open("nothing", OpenForm::session_subsystem);
    ASSERT_FALSE(none);
    EXPECT_TRUE(none.error().is(Errc::no_such_service)) << none.error().message();
  }
}

TEST(LibsshServer, knows_no_channels_to_unix_sockets) {
  cell("Libssh", "server", "service", "direct-streamlocal");
  LibsshServer server;
  OurClient client(server.client());
  SK_ASSERT_OK(client.connect());
  EXPECT_FALSE(client.open("/anywhere", OpenForm::direct_streamlocal));
  not_supported("knows no channels of that kind");
}

TEST(LibsshServer, gives_us_back_every_byte_while_keys_are_exchanged_again_and_again) {
  cell("Libssh", "server", "policy", "rekey under load");
  LibsshServer server;
  {
    OurClient::Setup setup = server.client();
    setup.rekey_after_bytes = kOften;
    OurClient client(setup);
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("echo");
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
    EXPECT_GE(client.exchanges(), client.exchanges_for(1 << 20));
  }
  EXPECT_EQ(server.join(), "");
}

TEST(LibsshServer, takes_our_direct_tcpip) {
  cell("Libssh", "server", "service", "direct-tcpip");
  LibsshServer server;
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("anywhere:7", OpenForm::direct_tcpip);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 8 << 20), "");
  }
  EXPECT_EQ(server.join(), "");
}

}  // namespace
}  // namespace streamkit::testing
