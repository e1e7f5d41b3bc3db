// libssh2, which is a client only, linked into this test. It knows AES in counter mode and plain
// HMACs, no strict key exchange, and RSA host keys with SHA-1 only, which we do not have.
#include "our_server.hpp"

#include <array>
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
constexpr const char* kHostKeys =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521";

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
  std::string log_in(const OurServer& server, const Suite& suite, const char* kex = nullptr) {
    for (const int method : {LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC})
      if (libssh2_session_method_pref(get(), method, suite.cipher) != 0) return words("its cipher");
    for (const int method : {LIBSSH2_METHOD_MAC_CS, LIBSSH2_METHOD_MAC_SC})
      if (libssh2_session_method_pref(get(), method, suite.mac) != 0) return words("its MAC");
    libssh2_session_method_pref(get(), LIBSSH2_METHOD_HOSTKEY, kHostKeys);
    if (kex && libssh2_session_method_pref(get(), LIBSSH2_METHOD_KEX, kex) != 0)
      return words("its kex");
    if (!connect_to(server.port())) return "no connection";
    if (wait_for([&] { return libssh2_session_handshake(get(), fd_); }) != 0)
      return words("handshake");
    std::size_t size = 0;
    int type = 0;
    const char* blob = libssh2_session_hostkey(get(), &size, &type);
    if (!blob || std::string_view(blob, size) != as_text(server.host_key().blob()))
      return "the host key is not ours";
    const std::string pub =
        server.folder().write("user_key.pub", server.user_key().public_key().text() + "\n");
    if (wait_for([&] {
          return libssh2_userauth_publickey_fromfile(get(), kUser, pub.c_str(),
                                                     server.user_key_file().c_str(), nullptr);
        }) != 0)
      return words("logging in");
    return {};
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

class Libssh2Cipher : public ::testing::TestWithParam<Suite> {};

TEST_P(Libssh2Cipher, gets_every_byte_back_from_our_echo_through_our_rekeys) {
  OurServer server;
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server, GetParam()), "");
  EXPECT_STREQ(libssh2_session_methods(client.get(), LIBSSH2_METHOD_CRYPT_CS), GetParam().cipher);
  EXPECT_STREQ(libssh2_session_methods(client.get(), LIBSSH2_METHOD_MAC_SC), GetParam().mac);
  const ChannelPointer channel = client.open_session();
  ASSERT_TRUE(channel) << client.words("opening");
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_subsystem(channel.get(), "echo"); }), 0)
      << client.words("echo");
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), transfer_bytes()), "");
  client.hang_up();
  EXPECT_GE(server.log().exchanges(), exchanges_for(transfer_bytes()));
}

const std::vector<Suite> kSuites =
    suites_of({"aes128-ctr", "aes192-ctr", "aes256-ctr"}, {"hmac-sha2-256", "hmac-sha2-512"});
INSTANTIATE_TEST_SUITE_P(Libssh2, Libssh2Cipher, ::testing::ValuesIn(kSuites), suite_name);

class Libssh2Kex : public ::testing::TestWithParam<const char*> {};

TEST_P(Libssh2Kex, agrees_with_us) {
  const OurServer server({.algorithms = with_kex(GetParam())});
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server, kSuites[0], GetParam()), "");
  EXPECT_STREQ(libssh2_session_methods(client.get(), LIBSSH2_METHOD_KEX), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Libssh2, Libssh2Kex,
                         ::testing::Values("curve25519-sha256", "ecdh-sha2-nistp256",
                                           "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
                         [](const auto& about) { return test_name(about.param); });

class Libssh2Key : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(Libssh2Key, verifies_our_host_key_and_logs_in_with_its_user_key) {
  const OurServer server({.host_key = GetParam(), .user_key = GetParam()});
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server, kSuites[0]), "");
}

INSTANTIATE_TEST_SUITE_P(Libssh2, Libssh2Key,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384,
                                           crypto::KeyType::ecdsa_p521),
                         key_type_name);

TEST(Libssh2Client, reaches_a_service_by_direct_tcpip) {
  const OurServer server;
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server, kSuites[0]), "");
  const ChannelPointer channel = client.open_direct("echo", 1);
  ASSERT_TRUE(channel) << client.words("opening");
  EXPECT_EQ(libssh2_echo_problem(client, channel.get(), 1 << 20), "");
}

TEST(Libssh2Client, hears_headers_and_the_code) {
  const OurServer server;
  Libssh2Client client;
  ASSERT_EQ(client.log_in(server, kSuites[0]), "");
  const ChannelPointer channel = client.open_session();
  ASSERT_TRUE(channel) << client.words("opening");
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_setenv(channel.get(), "CODE", "9"); }), 0);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_exec(channel.get(), "say"); }), 0);
  std::string lines(64, 0);
  const long n =
      client.wait_for([&] { return libssh2_channel_read(channel.get(), lines.data(), 64); });
  lines.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::array<char, 8> rest{};
  EXPECT_EQ(client.wait_for(
                [&] { return libssh2_channel_read(channel.get(), rest.data(), rest.size()); }),
            0);
  EXPECT_EQ(lines, "CODE=9\n");
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_close(channel.get()); }), 0);
  ASSERT_EQ(client.wait_for([&] { return libssh2_channel_wait_closed(channel.get()); }), 0);
  EXPECT_EQ(libssh2_channel_get_exit_status(channel.get()), 9);
}

}  // namespace
}  // namespace streamkit::testing
