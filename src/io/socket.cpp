// Socket addresses in and out of text, and the Address of the public face.
#include "socket.hpp"

#include <algorithm>
#include <array>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

namespace streamkit::io {
namespace {

std::string numeric_host(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST];
  if (::getnameinfo(address, size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return host;
}

std::string ipv4_host(const void* bytes) {
  char host[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, bytes, host, sizeof host);
}

Address tcp_address(std::string host, std::uint16_t port) {
  Address address;
  address.host = std::move(host);
  address.port = port;
  return address;
}

Address ipv6_address(const sockaddr_in6& v6) {
  const std::uint16_t port = ntohs(v6.sin6_port);
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
    return tcp_address(numeric_host(reinterpret_cast<const sockaddr*>(&v6), sizeof v6), port);
  return tcp_address(ipv4_host(&v6.sin6_addr.s6_addr[12]), port);
}

Address unix_address(const SocketAddress& of) {
  sockaddr_un un{};
  std::memcpy(&un, &of.storage, std::min<std::size_t>(of.size, sizeof un));
  Address address;
  address.kind = Address::Kind::unix_path;
  const std::size_t before_path = offsetof(sockaddr_un, sun_path);
  if (of.size > before_path && un.sun_path[0] != '\0')  // else unnamed or abstract
    address.path.assign(un.sun_path, ::strnlen(un.sun_path, of.size - before_path));
  return address;
}

/// An address as the 16 bytes of IPv6, IPv4 mapped into them.
std::optional<in6_addr> numeric_bytes(const std::string& text) {
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return v6;
  if (::inet_pton(AF_INET, text.c_str(), &v6.s6_addr[12]) != 1) return {};
  v6.s6_addr[10] = v6.s6_addr[11] = 0xff;
  return v6;
}

constexpr unsigned kAddressBits = 128, kIpv4Bits = 32, kSourceBits = 64;

struct Network {
  in6_addr address{};
  unsigned bits = kAddressBits;  // of the address, from the left, that count

  unsigned at(unsigned bit, const in6_addr& in) const {
    return in.s6_addr[bit / 8] >> (7 - bit % 8) & 1u;
  }
  bool has(const in6_addr& other) const {
    for (unsigned i = 0; i < bits; ++i)
      if (at(i, address) != at(i, other)) return false;
    return true;
  }
};

std::optional<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  const auto address = numeric_bytes(host);
  if (!address) return {};
  Network network{*address};
  if (slash == std::string_view::npos) return network;
  const unsigned most = host.find(':') == std::string::npos ? kIpv4Bits : kAddressBits;
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length > most) return {};
  network.bits = kAddressBits - most + length;
  for (unsigned i = network.bits; i < kAddressBits; ++i)
    if (network.at(i, *address)) return {};  // whoever wrote it meant something else
  return network;
}

}  // namespace

Result<bool> is_in_networks(const std::string& host, std::string_view networks) {
  const auto address = numeric_bytes(host);
  bool found = false;
  while (true) {
    const auto comma = networks.find(',');
    const std::optional<Network> network = parse_network(networks.substr(0, comma));
    if (!network)
      return Error(Errc::usage,
                   "a list of networks has one that is none, or has bits beyond its length");
    found = found || (address && network->has(*address));
    if (comma == std::string_view::npos) return found;
    networks.remove_prefix(comma + 1);
  }
}

std::string source_of(const std::string& host) {
  std::optional<in6_addr> address = numeric_bytes(host);
  if (!address) return host;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&*address))
    return ::inet_ntop(AF_INET, &address->s6_addr[12], text.data(), text.size());
  std::fill_n(&address->s6_addr[kSourceBits / 8], (kAddressBits - kSourceBits) / 8, 0);
  return fmt::format("{}/{}", ::inet_ntop(AF_INET6, &*address, text.data(), text.size()),
                     kSourceBits);
}

// --- Address ---

std::string Address::text() const {
  if (kind == Kind::unix_path) return path;
  if (host.empty()) return fmt::format("*:{}", port);
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

bool Address::is_loopback() const noexcept {
  if (kind == Kind::unix_path || host == "localhost") return true;
  const std::optional<SocketAddress> numeric = numeric_address(host, 0);
  return numeric && numeric->is_loopback();
}

// --- SocketAddress ---

std::uint16_t SocketAddress::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(get())->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(get())->sin6_port);
  return 0;
}

Address SocketAddress::address() const {
  if (family() == AF_UNIX) return unix_address(*this);
  if (family() == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    return ipv6_address(v6);
  }
  if (family() != AF_INET) return Address{};
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  return tcp_address(ipv4_host(&v4.sin_addr), ntohs(v4.sin_port));
}

bool SocketAddress::is_loopback() const noexcept {
  if (family() == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(get())->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  if (family() != AF_INET6) return false;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(get())->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET);
}

SocketAddress copy_of(const sockaddr* from, socklen_t size) noexcept {
  SocketAddress copy;
  copy.size = std::min<socklen_t>(size, sizeof copy.storage);
  std::memcpy(&copy.storage, from, copy.size);
  return copy;
}

Result<SocketAddress> unix_socket_address(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path.find('\0') != std::string::npos)
    return Error(Errc::bad_endpoint, "a unix socket needs a path without zero bytes");
  if (path.size() >= sizeof un.sun_path)
    return Error(
        Errc::bad_endpoint,
        fmt::format("the path of a unix socket may have {} bytes and this one has {}; choose "
                    "a shorter one: {}",
                    sizeof un.sun_path - 1, path.size(), path));
  std::memcpy(un.sun_path, path.data(), path.size());
  return copy_of(reinterpret_cast<const sockaddr*>(&un), sizeof un);
}

Result<void> check_host(const std::string& host) {
  if (host.size() > kMaxHost || host.find('\0') != std::string::npos)
    return Error(Errc::bad_endpoint,
                 fmt::format("a host name has at most {} bytes and no zero byte", kMaxHost));
  return {};
}

std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};  // what nearly every one is
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return copy_of(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return {};
  const SocketAddress address = copy_of(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return address;
}

SocketAddress any_address(int family, std::uint16_t port) noexcept {
  if (family == AF_INET6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return copy_of(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  return copy_of(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

SocketAddress local_end(int fd) noexcept {
  SocketAddress end;
  end.size = sizeof end.storage;
  if (::getsockname(fd, end.get(), &end.size) != 0) end = SocketAddress{};
  return end;
}

SocketAddress remote_end(int fd) noexcept {
  SocketAddress end;
  end.size = sizeof end.storage;
  if (::getpeername(fd, end.get(), &end.size) != 0) end = SocketAddress{};
  return end;
}

// --- sockets ---

Descriptor open_socket(int family) noexcept {
  return Descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set_low_latency(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kNotSent, sizeof kNotSent);
}

void do_not_pace(int fd, const SocketAddress& remote) noexcept {
  if (!remote.is_loopback()) return;
  ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kUnpaced.data(), kUnpaced.size());
}

}  // namespace streamkit::io
