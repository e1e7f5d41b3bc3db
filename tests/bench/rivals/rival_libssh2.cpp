// libssh2, which is a client only and knows no AES-GCM in the version of Debian 12: AES-128 in
// counter mode with HMAC-SHA-256, against a server made of libssh.
#include "libssh_ends.hpp"

#include <array>
#include <cstring>
#include <libssh2.h>

namespace streamkit::rivals {
namespace {

const LibsshSuite kSuite{"aes128-ctr", "hmac-sha2-256"};
constexpr const char* kUser = "bench";
constexpr std::size_t kLineLength = 70;

struct FreeSession {
  void operator()(LIBSSH2_SESSION* session) const { libssh2_session_free(session); }
};
struct FreeChannel {
  void operator()(LIBSSH2_CHANNEL* channel) const { libssh2_channel_free(channel); }
};

/// As a file of OpenSSH's form. libssh writes its base64 on one line; libssh2 reads lines of 128 at
/// most.
std::string text_of(const LibsshKey& key) {
  char* text = nullptr;
  if (ssh_pki_export_privkey_base64(key.get(), nullptr, nullptr, nullptr, &text) != SSH_OK)
    throw Failure("a key as text");
  std::string lines;
  std::size_t length = 0;
  for (const char* at = text; *at; ++at) {
    length = *at == '\n' ? 0 : length + 1;
    lines += *at;
    if (length == kLineLength) lines += '\n', length = 0;
  }
  ssh_string_free_char(text);
  return lines + "\n";
}

/// Logged in, blocking, with one session channel.
class Client {
 public:
  Client(Socket socket, const LibsshKeys& keys) : socket_(std::move(socket)) {
    check(libssh2_init(0), "initialising");
    session_.reset(libssh2_session_init());
    for (const int method : {LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC})
      check(libssh2_session_method_pref(session_.get(), method, kSuite.cipher.c_str()), "cipher");
    for (const int method : {LIBSSH2_METHOD_MAC_CS, LIBSSH2_METHOD_MAC_SC})
      check(libssh2_session_method_pref(session_.get(), method, kSuite.mac.c_str()), "MAC");
    check(libssh2_session_method_pref(session_.get(), LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519"),
          "host key");
    check(libssh2_session_handshake(session_.get(), socket_.fd()), "the handshake");
    const std::string key = text_of(keys.user);
    check(libssh2_userauth_publickey_frommemory(session_.get(), kUser, std::strlen(kUser), nullptr,
                                                0, key.data(), key.size(), nullptr),
          "logging in");
    channel_.reset(libssh2_channel_open_session(session_.get()));
    check(channel_ ? 0 : libssh2_session_last_errno(session_.get()), "a channel");
  }
  void write(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = libssh2_channel_write(channel_.get(), data, size);
      check(n > 0 ? 0 : -1, "writing");
      data += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  void read(char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = libssh2_channel_read(channel_.get(), data, size);
      check(n > 0 ? 0 : -1, "reading");
      data += n;
      size -= static_cast<std::size_t>(n);
    }
  }

 private:
  void check(int result, const char* doing) {
    if (result == 0) return;
    char* words = nullptr;
    if (session_) libssh2_session_last_error(session_.get(), &words, nullptr, 0);
    throw Failure(std::string(doing) + ": " + (words ? words : "libssh2 says no more"));
  }

  Socket socket_;
  std::unique_ptr<LIBSSH2_SESSION, FreeSession> session_;
  std::unique_ptr<LIBSSH2_CHANNEL, FreeChannel> channel_;
};

Figure stream(const Task& task) {
  const auto stage = new_stage();
  const LibsshKeys keys;
  const Listener listener;
  const std::uint64_t bytes = task.amount(kStreamBytes);
  OtherSide receiver([&] {
    LibsshServer server(listener.accept(), kSuite, keys);
    std::uint64_t left = bytes;
    server.on_data = [&](ssh_channel, std::size_t, char*, std::uint32_t n) { left -= n; };
    const CpuShare share(*stage);
    server.serve([&] { return left == 0; });
    stage->end();
    if (left > 0) throw Failure("the stream ended early");
  });
  Client client(Socket::connect(listener.port()), keys);
  {
    const CpuShare share(*stage);
    const std::vector<char> piece(kPiece, 'x');
    stage->begin();
    for (std::uint64_t left = bytes; left > 0;) {
      const std::size_t n = std::min<std::uint64_t>(left, piece.size());
      client.write(piece.data(), n);
      left -= n;
    }
  }
  receiver.wait();
  Figure figure = stage->transfer(bytes);
  figure.notes = "to a server made of libssh";
  return figure;
}

Figure ping_pong(const Task& task) {
  const LibsshKeys keys;
  const Listener listener;
  OtherSide other([&] {
    LibsshServer server(listener.accept(), kSuite, keys);
    server.on_data = [](ssh_channel channel, std::size_t, char* data, std::uint32_t n) {
      ssh_channel_write(channel, data, n);
    };
    server.serve();
  });
  Client client(Socket::connect(listener.port()), keys);
  std::array<char, kPingBytes> bytes{};
  Figure figure = ping(task, [&] {
    client.write(bytes.data(), bytes.size());
    client.read(bytes.data(), bytes.size());
  });
  figure.notes = "to a server made of libssh";
  return figure;
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  return runner_main(
      argc, argv, "libssh2",
      {{"stream", "aes128-ctr", "MB/s", stream}, {"ping", "aes128-ctr", "us", ping_pong}});
}
