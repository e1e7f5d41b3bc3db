#include "sockets.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace streamkit::bench {
namespace {

constexpr int kBacklog = 511;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  return at;
}

void set_no_delay(const Fd& socket) {
  const int on = 1;
  if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    fail_errno("TCP_NODELAY");
}

bool must_try_again() {
  if (errno == EINTR || errno == EAGAIN) return true;
  return false;
}

}  // namespace

Fd listen_tcp(std::uint16_t& port) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  if (listener.get() < 0 || ::bind(listener.get(), address, size) != 0 ||
      ::listen(listener.get(), kBacklog) != 0 || ::getsockname(listener.get(), address, &size) != 0)
    fail_errno("listening on 127.0.0.1");
  port = ntohs(at.sin_port);
  return listener;
}

Fd accept_tcp(const Fd& listener) {
  Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.get() < 0) fail_errno("accept");
  set_no_delay(socket);
  return socket;
}

Fd connect_tcp(std::uint16_t port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in at = loopback(port);
  if (socket.get() < 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    fail_errno("connecting to 127.0.0.1:" + std::to_string(port));
  set_no_delay(socket);
  return socket;
}

void set_notsent_lowat(const Fd& socket, int bytes) {
  if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) != 0)
    fail_errno("TCP_NOTSENT_LOWAT");
}

void write_all(const Fd& socket, ByteView bytes, Wait wait) {
  const int flags = MSG_NOSIGNAL | (wait == Wait::spinning ? MSG_DONTWAIT : 0);
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket.get(), bytes.data(), bytes.size(), flags);
    if (n < 0 && must_try_again()) continue;
    if (n < 0) fail_errno("send");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

std::size_t read_some(const Fd& socket, MutableByteView out, Wait wait) {
  const int flags = wait == Wait::spinning ? MSG_DONTWAIT : 0;
  while (true) {
    const ssize_t n = ::recv(socket.get(), out.data(), out.size(), flags);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (!must_try_again()) fail_errno("recv");
  }
}

bool read_all(const Fd& socket, MutableByteView out, Wait wait) {
  while (!out.empty()) {
    const std::size_t n = read_some(socket, out, wait);
    if (n == 0) return false;
    out = out.subspan(n);
  }
  return true;
}

void end_write(const Fd& socket) {
  if (::shutdown(socket.get(), SHUT_WR) != 0) fail_errno("shutdown");
}

}  // namespace streamkit::bench
