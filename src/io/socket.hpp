// Socket addresses and the few socket calls that streams, listeners and connects share.
#pragma once

#include "descriptor.hpp"

#include <streamkit/io/stream.hpp>

#include <optional>
#include <span>
#include <string_view>
#include <sys/socket.h>

namespace streamkit::io {

/// Longest host name or numeric address that is looked at (RFC 1035 section 2.3.4 has 255 octets).
inline constexpr std::size_t kMaxHost = 255;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  bool is_loopback() const noexcept;
  /// 0 for a unix socket.
  std::uint16_t port() const noexcept;
  /// An IPv4 address inside IPv6 is shown as IPv4.
  Address address() const;
};

SocketAddress copy_of(const sockaddr* from, socklen_t size) noexcept;
/// Errc::bad_endpoint when the path is empty, too long for a socket or holds a zero byte.
Result<SocketAddress> unix_socket_address(const std::string& path);
/// Errc::bad_endpoint for a host that cannot be one.
Result<void> check_host(const std::string& host);
/// nullopt when `host` is not a numeric address.
std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);
/// Every interface: IPv6 with IPv4 inside.
SocketAddress any_address(int family, std::uint16_t port) noexcept;

SocketAddress local_end(int fd) noexcept;
SocketAddress remote_end(int fd) noexcept;

/// A non-blocking, close-on-exec stream socket; nothing (and errno) when there is none to have.
Descriptor open_socket(int family) noexcept;
/// Small writes go out at once, and the kernel keeps little that it has not sent, so that what is
/// written next is not far behind. What a listener accepts inherits it. No effect on anything but
/// TCP.
void set_low_latency(int fd) noexcept;
/// Bytes that the kernel takes beyond what it has sent.
inline constexpr int kNotSent = 128 * 1024;
/// Between two programs of one machine there is no network to be careful with; where the system's
/// congestion control paces what it sends (BBR), that costs a quarter of the processor's time in
/// bulk: a timer for every few packets. So loopback asks for the one that every Linux has and allows.
void do_not_pace(int fd, const SocketAddress& remote) noexcept;
inline constexpr std::string_view kUnpaced = "reno";

/// A stream over a socket that is connected to `remote`.
std::unique_ptr<Stream> socket_stream(std::shared_ptr<Loop> loop, Descriptor fd,
                                      const SocketAddress& remote);

}  // namespace streamkit::io
