// Frames of every size through a proxy that delivers single bytes, over the whole stack.
#include "support/peer_pair.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace streamkit::testing {
namespace {

// Passes a unix socket on to another: towards the server one byte a write, back as it comes.
class SingleByteProxy {
 public:
  SingleByteProxy(const std::string& listen_path, const std::string& to_path) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un at = address(listen_path);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(listener_, 1) != 0)
      throw std::runtime_error("proxy: listen");
    thread_ = std::thread([this, to_path] { run(to_path); });
  }
  ~SingleByteProxy() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint64_t single_bytes() const { return single_; }

 private:
  static sockaddr_un address(const std::string& path) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::snprintf(a.sun_path, sizeof a.sun_path, "%s", path.c_str());
    return a;
  }

  static bool write_all(int fd, const std::byte* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
      if (n <= 0) return false;
      data += n, size -= static_cast<std::size_t>(n);
    }
    return true;
  }

  void run(const std::string& to_path) {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un to = address(to_path);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      std::thread back([&] {
        std::array<std::byte, 65536> buffer;
        for (ssize_t n; (n = ::read(server, buffer.data(), buffer.size())) > 0;)
          if (!write_all(client, buffer.data(), static_cast<std::size_t>(n))) break;
        ::shutdown(client, SHUT_WR);
      });
      std::array<std::byte, 65536> buffer;
      for (ssize_t n; (n = ::read(client, buffer.data(), buffer.size())) > 0;) {
        bool good = true;
        for (ssize_t i = 0; good && i < n; ++i) good = write_all(server, &buffer[static_cast<std::size_t>(i)], 1);
        if (!good) break;
        single_ += static_cast<std::uint64_t>(n);
      }
      ::shutdown(server, SHUT_WR);
      back.join();
    }
    ::close(server);
    ::close(client);
  }

  int listener_ = -1;
  std::atomic<std::uint64_t> single_{0};
  std::thread thread_;
};

TEST(SingleBytes, frames_of_every_size_arrive_intact) {
  TemporaryFolder folder;
  const crypto::PrivateKey server_key = new_key(), client_key = new_key();
  Peer server = Peer::make(options_for("s", server_key, client_key.public_key())).value();
  SK_ASSERT_OK(server.bind(Endpoint("unix://" + folder.file("real"))));
  const SingleByteProxy proxy(folder.file("proxy"), folder.file("real"));
  Awaited<Result<Channel>> came;
  server.async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
  std::uint64_t frames_bytes = 0;
  {
    Peer client = Peer::make(options_for("c", client_key, server_key.public_key())).value();
    SK_ASSERT_OK(client.connect(Endpoint("unix://" + folder.file("proxy")), kPatience));
    Channel out = client.open("s", "frames", {}, kPatience).value();
    std::optional<Result<Channel>> in = came.next();
    ASSERT_TRUE(in && *in);
    const std::vector<std::size_t> sizes = {0, 1, 4, 255, 32767, 32768, 32769, 1 << 20, 8 << 20};
    std::thread writer([&] {
      for (const std::size_t size : sizes) SK_EXPECT_OK(out.write_frame(pattern_bytes(size, static_cast<std::uint32_t>(size)), 5min));
    });
    for (const std::size_t size : sizes) {
      const Result<Bytes> frame = (*in)->read_frame(5min);
      EXPECT_TRUE(frame && *frame == pattern_bytes(size, static_cast<std::uint32_t>(size))) << size;
      frames_bytes += size;
    }
    writer.join();
  }
  EXPECT_GE(proxy.single_bytes(), frames_bytes);
}

}  // namespace
}  // namespace streamkit::testing
