// Sockets on 127.0.0.1 and in the file system, blocking, with patience.
#include "loopback.hpp"

#include "program.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(20);

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

sockaddr_un local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// Other people's programs do not say when they listen, so this asks again and again.
template <class Address>
int wait_for(int family, const Address& address) {
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const timeval patience{kPatience.count(), 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      return fd;
    }
    ::close(fd);
    std::this_thread::sleep_for(kBetweenAttempts);
  }
  return -1;
}

bool send_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

HoldServer::HoldServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  (void)::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  (void)::listen(listener_, 1);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HoldServer::HoldServer(const std::string& path)
    : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = local(path);
  (void)::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  (void)::listen(listener_, 1);
  thread_ = std::thread([this] { serve(); });
}

HoldServer::~HoldServer() {
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

void HoldServer::serve() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  Bytes held;
  Bytes buffer(kPiece);
  for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
    append(held, ByteView(buffer).first(static_cast<std::size_t>(n)));
  send_all(fd, held);
  ::close(fd);
}

int wait_for_port(std::uint16_t port) {
  return wait_for(AF_INET, loopback(port));
}

int wait_for_path(const std::string& path) {
  return wait_for(AF_UNIX, local(path));
}

std::string socket_echo_problem(int fd, std::uint64_t size) {
  if (fd < 0) return "nobody listens";
  std::thread writer([fd, size] {
    for (std::uint64_t sent = 0; sent < size;) {
      const ByteView piece = Pattern::at(sent, size - sent);
      if (!send_all(fd, piece)) break;
      sent += piece.size();
    }
    ::shutdown(fd, SHUT_WR);
  });
  PatternCheck check;
  Bytes buffer(kPiece);
  for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
    check.take(ByteView(buffer).first(static_cast<std::size_t>(n)));
  writer.join();
  ::close(fd);
  return check.problem(size);
}

std::string all_echo_problems(const std::vector<int>& sockets, std::uint64_t size) {
  std::vector<std::string> problems(sockets.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sockets.size(); ++i)
    threads.emplace_back([&, i] { problems[i] = socket_echo_problem(sockets[i], size); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < problems.size(); ++i)
    if (!problems[i].empty()) return "channel " + std::to_string(i) + ": " + problems[i];
  return {};
}

}  // namespace streamkit::testing
