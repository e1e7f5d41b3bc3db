// A port for a listener that comes later, or comes again.
#pragma once

#include <atomic>
#include <cstdint>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {

/// A port of 127.0.0.1 that nobody listens on. It stays free: systems lend only those from 32768 on
/// to connections and to listeners that do not mind, and another process begins at others.
inline std::uint16_t free_port() {
  static std::atomic<int> last = ::getpid() * 16;
  for (;;) {
    const auto port = static_cast<std::uint16_t>(20'000 + ++last % 12'000);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free = ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    if (is_free) return port;
  }
}

}  // namespace streamkit::testing
