// FakeAgent: an ssh-agent on a unix socket that answers as a test wants, also wrongly.
#pragma once

#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/key.hpp>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace streamkit::testing {

class FakeAgent {
 public:
  /// What is sent back for a request (both without lengths in front): bytes as they are on the
  /// wire. Empty: nothing is said; nothing: it hangs up.
  using Answers = std::function<std::optional<Bytes>(ByteView request)>;

  FakeAgent(std::string path, Answers answers)
      : path_(std::move(path)),
        answers_(std::move(answers)),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 8) != 0)
      throw std::runtime_error("no socket at " + path_);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeAgent() {
    ::shutdown(listener_, SHUT_RDWR);
    {
      const std::lock_guard lock(mutex_);
      if (visitor_ >= 0) ::shutdown(visitor_, SHUT_RDWR);
    }
    thread_.join();
    ::close(listener_);
    ::unlink(path_.c_str());
  }

  /// The requests so far, without lengths.
  std::vector<Bytes> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int visitors() {
    const std::lock_guard lock(mutex_);
    return visitors_;
  }

  static Bytes framed(const Bytes& message) {
    Bytes out;
    wire::Writer(out).string(ByteView(message));
    return out;
  }
  static Bytes list(const std::vector<Bytes>& blobs) {
    Bytes out;
    wire::Writer to(out);
    to.u8(12).u32(static_cast<std::uint32_t>(blobs.size()));
    for (const Bytes& blob : blobs) to.string(ByteView(blob)).string("a comment");
    return out;
  }
  /// As an agent that holds these keys, and knows no extensions, answers.
  static std::optional<Bytes> honest(const std::vector<crypto::PrivateKey>& keys,
                                     ByteView request) {
    wire::Reader in(request);
    const std::uint8_t number = in.u8();
    if (number == 11) {
      std::vector<Bytes> blobs;
      for (const crypto::PrivateKey& key : keys) blobs.push_back(to_bytes(key.public_key().blob()));
      return framed(list(blobs));
    }
    const ByteView blob = in.string(), data = in.string();
    const std::uint32_t flags = in.u32();
    for (const crypto::PrivateKey& key : keys) {
      const ByteView own = key.public_key().blob();
      if (number != 13 || !in.end() ||
          !std::equal(own.begin(), own.end(), blob.begin(), blob.end()))
        continue;
      const auto& names = crypto::signature_algorithms(key.public_key().type());
      const std::string_view name = flags == 2   ? "rsa-sha2-256"
                                    : flags == 4 ? "rsa-sha2-512"
                                                 : names.front();
      Bytes out;
      wire::Writer(out).u8(14).string(ByteView(key.sign(name, data).value()));
      return framed(out);
    }
    return framed(Bytes{std::byte{5}});
  }

 private:
  void serve() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      {
        const std::lock_guard lock(mutex_);
        visitor_ = fd;
        ++visitors_;
      }
      while (answer_one(fd)) {
      }
      const std::lock_guard lock(mutex_);
      visitor_ = -1;
      ::close(fd);
    }
  }
  bool answer_one(int fd) {
    Bytes length(4);
    if (::recv(fd, length.data(), 4, MSG_WAITALL) != 4) return false;
    Bytes request(wire::load_u32(length.data()));
    if (::recv(fd, request.data(), request.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(request.size()))
      return false;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const std::optional<Bytes> answer = answers_(request);
    if (!answer) return false;
    return answer->empty() || ::send(fd, answer->data(), answer->size(), MSG_NOSIGNAL) ==
                                  static_cast<ssize_t>(answer->size());
  }

  const std::string path_;
  const Answers answers_;
  const int listener_;
  std::mutex mutex_;
  std::vector<Bytes> requests_;
  int visitor_ = -1, visitors_ = 0;
  std::thread thread_;
};

}  // namespace streamkit::testing
