// TLS 1.3 by OpenSSL's libssl over one TCP connection: blocking sockets, 256 KiB writes, and the
// read-ahead that its manual recommends for bulk.
#include "measure.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>

namespace streamkit::rivals {
namespace {

constexpr std::size_t kReadAhead = 64 * 1024;
constexpr long kCertificateSeconds = 3600;
constexpr std::uint64_t kFrames64 = 1'000'000, kFrames1k = 1'000'000;

void check(bool ok, const char* doing) {
  if (ok) return;
  std::array<char, 256> words{};
  ERR_error_string_n(ERR_get_error(), words.data(), words.size());
  throw Failure(std::string(doing) + ": " + words.data());
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ContextPointer = std::unique_ptr<SSL_CTX, FreeContext>;

ContextPointer new_context(const SSL_METHOD* method, const std::string& suite) {
  ContextPointer context(SSL_CTX_new(method));
  check(context != nullptr, "a context");
  check(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1, "TLS 1.3");
  check(SSL_CTX_set_ciphersuites(context.get(), suite.c_str()) == 1, "the cipher suite");
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), kReadAhead);
  return context;
}

ContextPointer server_context(const std::string& suite) {
  ContextPointer context = new_context(TLS_server_method(), suite);
  EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  X509* const certificate = X509_new();
  check(key && certificate && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
            X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
            X509_gmtime_adj(X509_getm_notAfter(certificate), kCertificateSeconds) &&
            X509_set_pubkey(certificate, key) && X509_sign(certificate, key, nullptr) > 0 &&
            SSL_CTX_use_certificate(context.get(), certificate) == 1 &&
            SSL_CTX_use_PrivateKey(context.get(), key) == 1,
        "a certificate");
  X509_free(certificate);
  EVP_PKEY_free(key);
  return context;
}

/// One end of a connection, after the handshake.
class Tls {
 public:
  Tls(Socket socket, ContextPointer context, bool is_server)
      : socket_(std::move(socket)), context_(std::move(context)), ssl_(SSL_new(context_.get())) {
    check(ssl_ && SSL_set_fd(ssl_.get(), socket_.fd()) == 1, "a connection");
    check((is_server ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get())) == 1, "the handshake");
  }
  void write(const char* data, std::size_t size) {
    std::size_t written = 0;
    check(SSL_write_ex(ssl_.get(), data, size, &written) == 1, "writing");
  }
  std::size_t read(char* data, std::size_t size) {
    std::size_t n = 0;
    check(SSL_read_ex(ssl_.get(), data, size, &n) == 1, "reading");
    return n;
  }
  void read_all(char* data, std::size_t size) {
    for (std::size_t n; size > 0; data += n, size -= n) n = read(data, size);
  }

 private:
  Socket socket_;
  ContextPointer context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

std::string suite_of(const std::string& variant) {
  if (variant == "aes256-gcm") return "TLS_AES_256_GCM_SHA384";
  if (variant == "chacha20-poly1305") return "TLS_CHACHA20_POLY1305_SHA256";
  return "TLS_AES_128_GCM_SHA256";
}

Tls client(const Task& task, std::uint16_t port) {
  return {Socket::connect(port), new_context(TLS_client_method(), suite_of(task.variant)), false};
}
Tls server(const Task& task, const Listener& listener) {
  return {listener.accept(), server_context(suite_of(task.variant)), true};
}

/// `count` writes of `size` bytes; the reader takes up to `room` a read.
Figure one_way(const Task& task, std::uint64_t count, std::size_t size, std::size_t room,
               bool counts_bytes) {
  const auto stage = new_stage();
  const Listener listener;
  OtherSide receiver([&] {
    Tls tls = server(task, listener);
    const CpuShare share(*stage);
    std::vector<char> buffer(room);
    for (std::uint64_t left = count * size; left > 0;)
      left -= tls.read(buffer.data(), std::min<std::uint64_t>(left, room));
    stage->end();
  });
  Tls tls = client(task, listener.port());
  {
    const CpuShare share(*stage);
    const std::vector<char> frame(size, 'x');
    stage->begin();
    for (std::uint64_t i = 0; i < count; ++i) tls.write(frame.data(), size);
  }
  receiver.wait();
  return counts_bytes ? stage->transfer(count * size) : stage->rate(count);
}

Figure stream(const Task& task) {
  return one_way(task, task.amount(kStreamBytes / kPiece), kPiece, kPiece, true);
}
Figure frames_64(const Task& task) {
  return one_way(task, task.amount(kFrames64), 64, 64, false);
}
Figure frames_1k(const Task& task) {
  return one_way(task, task.amount(kFrames1k), 1024, 1024, false);
}
Figure frames_32k(const Task& task) {
  return one_way(task, task.amount(kStreamBytes / 32768), 32768, 32768, true);
}

Figure ping_pong(const Task& task) {
  const Listener listener;
  OtherSide echo([&] {
    Tls tls = server(task, listener);
    std::array<char, kPingBytes> bytes{};
    const std::uint64_t count = task.amount(kWarmUpPings) + task.amount(kPings);
    for (std::uint64_t i = 0; i < count; ++i) {
      tls.read_all(bytes.data(), bytes.size());
      tls.write(bytes.data(), bytes.size());
    }
  });
  Tls tls = client(task, listener.port());
  std::array<char, kPingBytes> bytes{};
  const Figure figure = ping(task, [&] {
    tls.write(bytes.data(), bytes.size());
    tls.read_all(bytes.data(), bytes.size());
  });
  echo.wait();
  return figure;
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  return runner_main(argc, argv, "tls",
                     {{"stream", "aes128-gcm", "MB/s", stream},
                      {"stream", "aes256-gcm", "MB/s", stream},
                      {"stream", "chacha20-poly1305", "MB/s", stream},
                      {"frames-64", "aes128-gcm", "frames/s", frames_64},
                      {"frames-1k", "aes128-gcm", "frames/s", frames_1k},
                      {"frames-32k", "aes128-gcm", "MB/s", frames_32k},
                      {"ping", "aes128-gcm", "us", ping_pong}});
}
