// Blocking TCP sockets on 127.0.0.1 for tests: visitors and web applications that know nothing of
// us.
#pragma once

#include "free_port.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace streamkit::testing {

class PlainSocket {
 public:
  PlainSocket() = default;
  explicit PlainSocket(int fd) : fd_(fd) {
    // A test that waits for bytes which never come should fail, not hang.
    const timeval patience{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  PlainSocket(PlainSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  PlainSocket& operator=(PlainSocket&& other) noexcept {
    if (this != &other) close(), fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~PlainSocket() { close(); }

  static PlainSocket connect(std::uint16_t port) {
    PlainSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = loopback(port);
    if (::connect(socket.fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) socket.close();
    return socket;
  }
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  std::uint16_t local_port() const {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    return ntohs(at.sin_port);
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void shutdown_write() const { ::shutdown(fd_, SHUT_WR); }

  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Up to 64 KiB; empty at the end or after an error, which ok() tells apart.
  std::string receive() {
    std::string buffer(64 * 1024, '\0');
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    ok_ = n >= 0;
    buffer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return buffer;
  }
  /// Whether the last receive() found bytes or an orderly end.
  bool ok() const { return ok_; }
  std::string receive_all() {
    std::string all;
    for (std::string part = receive(); !part.empty(); part = receive()) all += part;
    return all;
  }
  /// Until `mark` was received, or the end.
  std::string receive_until(std::string_view mark) {
    std::string all;
    while (all.find(mark) == std::string::npos) {
      const std::string part = receive();
      if (part.empty()) break;
      all += part;
    }
    return all;
  }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
  }

 private:
  int fd_ = -1;
  bool ok_ = true;
};

/// A server with a thread for each connection. Stops when it goes.
class PlainServer {
 public:
  using Serve = std::function<void(PlainSocket)>;
  /// Port 0: any.
  explicit PlainServer(Serve serve, std::uint16_t port = 0) : serve_(std::move(serve)) {
    listener_ = PlainSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(listener_.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const timeval forever{0, 0};
    ::setsockopt(listener_.fd(), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    sockaddr_in at = PlainSocket::loopback(port);
    if (::bind(listener_.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener_.fd(), 128) != 0) {
      listener_.close();
      return;
    }
    port_ = listener_.local_port();
    thread_ = std::thread([this] { accept(); });
  }
  ~PlainServer() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    for (auto& one : threads_) one.join();
  }
  PlainServer(const PlainServer&) = delete;
  PlainServer& operator=(const PlainServer&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  void accept() {
    while (!stopping_) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      threads_.emplace_back([this, fd] { serve_(PlainSocket(fd)); });
    }
  }

  Serve serve_;
  PlainSocket listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
  std::vector<std::thread> threads_;
};

struct HttpAnswer {
  int status = 0;  ///< 0: none
  std::string head, body;
};

/// One GET on a connection of its own.
inline HttpAnswer http_get(std::uint16_t port, std::string_view host, std::string_view path = "/") {
  HttpAnswer answer;
  PlainSocket socket = PlainSocket::connect(port);
  if (!socket.is_open()) return answer;
  std::string request = "GET ";
  request.append(path)
      .append(" HTTP/1.1\r\nHost: ")
      .append(host)
      .append("\r\nConnection: close\r\n\r\n");
  socket.send(request);
  const std::string all = socket.receive_all();
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos || all.compare(0, 9, "HTTP/1.1 ") != 0) return answer;
  answer.status = std::stoi(all.substr(9, 3));
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  return answer;
}

/// A web application: answers each request with a greeting, its first line and the Host it saw.
class Origin {
 public:
  explicit Origin(std::string greeting, std::uint16_t port = 0)
      : server_(
            [greeting = std::move(greeting)](PlainSocket socket) {
              const std::string head = socket.receive_until("\r\n\r\n");
              if (head.empty()) return;
              std::string body = greeting + "\n" + head.substr(0, head.find("\r\n")) + "\n";
              const std::size_t at = head.find("Host: ");
              if (at != std::string::npos)
                body += head.substr(at, head.find("\r\n", at) - at) + "\n";
              socket.send(
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: "
                  "close\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
            },
            port) {}
  std::uint16_t port() const { return server_.port(); }

 private:
  PlainServer server_;
};

}  // namespace streamkit::testing
