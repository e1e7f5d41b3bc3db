// libssh, both of its halves, linked into this test: its client logs in to our Peer, and our Peer
// logs in to a server made of it. Its rekeys are asked for on both sides. Its way to answer in a
// loop is deprecated in favour of callbacks, and stays.
#define SSH_SUPPRESS_DEPRECATED

#include "our_server.hpp"

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
  LibsshClient(const OurServer& server, const Suite& suite, const char* kex = nullptr)
      : session(ssh_new()) {
    const std::string port = std::to_string(server.port());
    const std::uint64_t rekey = kRekeyBytes;
    const int no = 0;
    set(SSH_OPTIONS_PROCESS_CONFIG, &no);
    set(SSH_OPTIONS_HOST, "127.0.0.1");
    set(SSH_OPTIONS_PORT_STR, port.c_str());
    set(SSH_OPTIONS_USER, kUser);
    set(SSH_OPTIONS_SSH_DIR, server.folder().path().c_str());
    set(SSH_OPTIONS_REKEY_DATA, &rekey);
    if (kex) set(SSH_OPTIONS_KEY_EXCHANGE, kex);
    for (const auto option : {SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C})
      set(option, suite.cipher);
    if (*suite.mac)
      for (const auto option : {SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C}) set(option, suite.mac);
  }
  void set(ssh_options_e option, const void* value) {
    EXPECT_EQ(ssh_options_set(session.get(), option, value), SSH_OK)
        << ssh_get_error(session.get());
  }
  /// Empty when it is in, else a sentence.
  std::string log_in(const OurServer& server) {
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
    const KeyPointer user = key_from(text_of(server.user_key()));
    if (ssh_userauth_publickey(session.get(), nullptr, user.get()) != SSH_AUTH_SUCCESS)
      return words("logging in");
    return {};
  }
  std::string words(const std::string& doing) {
    return doing + ": " + ssh_get_error(session.get());
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

class LibsshClientCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(LibsshClientCipher, gets_every_byte_back_from_our_echo_through_many_rekeys) {
  OurServer server;
  LibsshClient client(server, GetParam());
  ASSERT_EQ(client.log_in(server), "");
  EXPECT_STREQ(ssh_get_cipher_out(client.session.get()), GetParam().cipher);
  ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_session(channel.get()), SSH_OK) << client.words("opening");
  ASSERT_EQ(ssh_channel_request_subsystem(channel.get(), "echo"), SSH_OK) << client.words("echo");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), transfer_bytes()), "");
  EXPECT_EQ(ssh_channel_get_exit_status(channel.get()), 0);
  channel.reset();
  client.session.reset();
  EXPECT_GE(server.log().exchanges(), exchanges_for(transfer_bytes()));
}

INSTANTIATE_TEST_SUITE_P(Libssh, LibsshClientCipher, ::testing::ValuesIn(all_suites()), suite_name);

class LibsshClientKex : public ::testing::TestWithParam<const char*> {};

TEST_P(LibsshClientKex, agrees_with_us_and_rekeys) {
  const OurServer server({.algorithms = with_kex(GetParam()), .rekey_after_bytes = 64 << 10});
  LibsshClient client(server, all_suites()[0], GetParam());
  ASSERT_EQ(client.log_in(server), "");
  EXPECT_STREQ(ssh_get_kex_algo(client.session.get()), GetParam());
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_session(channel.get()), SSH_OK) << client.words("opening");
  ASSERT_EQ(ssh_channel_request_exec(channel.get(), "echo"), SSH_OK) << client.words("echo");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 1 << 20), "");
}

INSTANTIATE_TEST_SUITE_P(Libssh, LibsshClientKex,
                         ::testing::Values("curve25519-sha256", "ecdh-sha2-nistp256",
                                           "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
                         [](const auto& about) { return test_name(about.param); });

class LibsshClientKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(LibsshClientKey, verifies_our_host_key_and_logs_in_with_its_user_key) {
  const OurServer server({.host_key = GetParam(), .user_key = GetParam()});
  LibsshClient client(server, all_suites()[0]);
  ASSERT_EQ(client.log_in(server), "");
}

INSTANTIATE_TEST_SUITE_P(Libssh, LibsshClientKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

TEST(LibsshClient, reaches_a_service_by_direct_tcpip) {
  const OurServer server;
  LibsshClient client(server, all_suites()[0]);
  ASSERT_EQ(client.log_in(server), "");
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_forward(channel.get(), "echo", 1, "127.0.0.1", 0), SSH_OK)
      << client.words("opening");
  EXPECT_EQ(libssh_echo_problem(client.session.get(), channel.get(), 8 << 20), "");
}

TEST(LibsshClient, hears_headers_the_error_lane_and_the_code) {
  const OurServer server;
  LibsshClient client(server, all_suites()[0]);
  ASSERT_EQ(client.log_in(server), "");
  const ChannelPointer channel(ssh_channel_new(client.session.get()));
  ASSERT_EQ(ssh_channel_open_session(channel.get()), SSH_OK);
  ASSERT_EQ(ssh_channel_request_env(channel.get(), "CODE", "9"), SSH_OK) << client.words("env");
  ASSERT_EQ(ssh_channel_request_exec(channel.get(), "say"), SSH_OK) << client.words("say");
  std::string lines(64, 0), beside(64, 0);
  lines.resize(static_cast<std::size_t>(
      std::max(0, ssh_channel_read_timeout(channel.get(), lines.data(), 64, 0, kPatienceMs))));
  beside.resize(static_cast<std::size_t>(
      std::max(0, ssh_channel_read_timeout(channel.get(), beside.data(), 64, 1, kPatienceMs))));
  EXPECT_EQ(lines, "CODE=9\n");
  EXPECT_EQ(beside, "a word beside\n");
  EXPECT_EQ(ssh_channel_get_exit_status(channel.get()), 9);
}

// ---------------------------------------------------------------- its server

/// Accepts one connection and serves one channel: a session with a command or subsystem, or a
/// direct-tcpip; it gives back what comes and exits with 5.
class LibsshServer {
 public:
  explicit LibsshServer(const Suite& suite, crypto::KeyType host_key = crypto::KeyType::ed25519,
                        crypto::KeyType user_key = crypto::KeyType::ed25519)
      : host_key_(new_key(host_key)),
        user_key_(new_key(user_key)),
        suite_(suite),
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
    for (const auto option : {SSH_BIND_OPTIONS_CIPHERS_C_S, SSH_BIND_OPTIONS_CIPHERS_S_C})
      set(option, suite_.cipher);
    if (*suite_.mac)
      for (const auto option : {SSH_BIND_OPTIONS_HMAC_C_S, SSH_BIND_OPTIONS_HMAC_S_C})
        set(option, suite_.mac);
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
    ssh_set_auth_methods(session.get(), SSH_AUTH_METHOD_PUBLICKEY);
    const ChannelPointer channel = answer_until_started(session.get());
    if (!channel) return std::string("before a channel: ") + ssh_get_error(session.get());
    return echo(session.get(), channel.get());
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

  ChannelPointer answer_until_started(ssh_session session) const {
    ChannelPointer channel;
    while (ssh_message message = ssh_message_get(session)) {
      const int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
      bool is_started = false;
      if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_PUBLICKEY) {
        answer_key(message);
      } else if (type == SSH_REQUEST_CHANNEL_OPEN) {
        channel.reset(ssh_message_channel_request_open_reply_accept(message));
        is_started = subtype == SSH_CHANNEL_DIRECT_TCPIP;
      } else if (type == SSH_REQUEST_CHANNEL && (subtype == SSH_CHANNEL_REQUEST_EXEC ||
                                                 subtype == SSH_CHANNEL_REQUEST_SUBSYSTEM)) {
        ssh_message_channel_request_reply_success(message);
        is_started = true;
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
    ssh_channel_request_send_exit_status(channel, 5);
    ssh_channel_send_eof(channel);
    ssh_channel_close(channel);
    // Its goodbye must not overtake what it still has to send.
    while (!ssh_channel_is_closed(channel) || ssh_is_connected(session)) {
      ssh_message message = ssh_message_get(session);
      if (!message) break;
      ssh_message_free(message);
    }
    return {};
  }

  crypto::PrivateKey host_key_, user_key_;
  Suite suite_;
  int listener_;
  std::uint16_t port_ = 0;
  std::string problem_;
  std::thread thread_;
};

class LibsshServerCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(LibsshServerCipher, gives_us_back_every_byte_through_many_rekeys) {
  LibsshServer server(GetParam());
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("echo");
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, transfer_bytes()), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_EQ(end->status.message, "5");
    EXPECT_GE(client.exchanges(), exchanges_for(transfer_bytes()));
  }
  EXPECT_EQ(server.join(), "");
}

INSTANTIATE_TEST_SUITE_P(Libssh, LibsshServerCipher, ::testing::ValuesIn(all_suites()), suite_name);

class LibsshServerKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(LibsshServerKey, shows_us_its_host_key_and_takes_our_user_key) {
  LibsshServer server(all_suites()[0], GetParam(), GetParam());
  {
    OurClient client(server.client());
    SK_ASSERT_OK(client.connect());
    Result<Channel> channel = client.open("echo", OpenForm::session_subsystem);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
  }
  EXPECT_EQ(server.join(), "");
}

INSTANTIATE_TEST_SUITE_P(Libssh, LibsshServerKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

TEST(LibsshServer, takes_our_direct_tcpip) {
  LibsshServer server(all_suites()[0]);
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
