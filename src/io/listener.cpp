// Listeners: TCP (every address of a name, both families for no name) and unix sockets with their
// files.
#include "os_error.hpp"
#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <vector>

namespace streamkit::io {
namespace {

/// So many connections are accepted before other work of the loop gets its turn.
constexpr int kAcceptsPerTurn = 32;
/// How long accepting rests when descriptors or memory run out.
constexpr std::chrono::milliseconds kAcceptPause{100};

// --- the file of a unix socket ---

// Which file we made, so that only that one is removed.
struct SocketFile {
  std::string path;  // absolute: the program may change its folder
  dev_t device = 0;
  ino_t inode = 0;

  void note(const std::string& made) {
    std::error_code ec;
    path = std::filesystem::absolute(made, ec).string();
    struct stat status{};
    if (ec || ::lstat(path.c_str(), &status) != 0) return path.clear();
    device = status.st_dev;
    inode = status.st_ino;
  }
  void remove() {
    struct stat status{};
    if (!path.empty() && ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
        status.st_dev == device && status.st_ino == inode)
      ::unlink(path.c_str());
    path.clear();
  }
};

enum class Behind { nothing, listener, other_file };

// Who is behind an existing file: a socket file that refuses a connection was left by a program
// that ended without removing it.
Behind look_behind(const std::string& path, const SocketAddress& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return Behind::nothing;
  if (!S_ISSOCK(status.st_mode)) return Behind::other_file;
  const Descriptor probe = open_socket(AF_UNIX);
  if (probe && ::connect(probe.number(), address.get(), address.size) != 0 && errno == ECONNREFUSED)
    return Behind::nothing;
  return Behind::listener;
}

// --- binding ---

Error listen_error(int number, const Address& at) {
  std::string_view advice;
  if (number == EADDRINUSE) advice = "choose another port, or 0 for any free one";
  if (number == EADDRNOTAVAIL) advice = "this machine has no such address";
  if (number == EACCES && at.kind == Address::Kind::tcp)
    advice = "choose a port from 1024 up, or run with the right to use this one";
  if (number == EACCES && at.kind == Address::Kind::unix_path)
    advice = "choose a folder that you may write to";
  if (number == ENOENT) advice = "make the folder first";
  return os_error(number, fmt::format("cannot listen on {}", at.text()), advice);
}

// Answers errno, 0 for success.
int bind_and_listen(Descriptor& fd, const SocketAddress& address, int backlog) {
  if (!fd) return errno;
  if (::bind(fd.number(), address.get(), address.size) != 0) return errno;
  return ::listen(fd.number(), backlog) == 0 ? 0 : errno;
}

int listen_tcp(Descriptor& fd, const SocketAddress& address, int backlog, bool both_families) {
  fd = open_socket(address.family());
  if (!fd) return errno;
  const int on = 1, only_ipv6 = both_families ? 0 : 1;
  ::setsockopt(fd.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set_low_latency(fd.number());
  if (address.family() == AF_INET6)
    ::setsockopt(fd.number(), IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof only_ipv6);
  return bind_and_listen(fd, address, backlog);
}

Result<Descriptor> listen_everywhere(const Address& at, int backlog) {
  Descriptor fd;
  int number = listen_tcp(fd, any_address(AF_INET6, at.port), backlog, true);
  if (number == EAFNOSUPPORT || number == EADDRNOTAVAIL)
    number = listen_tcp(fd, any_address(AF_INET, at.port), backlog, false);
  if (number != 0) return listen_error(number, at);
  return fd;
}

Result<std::vector<SocketAddress>> resolve_now(const Address& at) {
  if (const auto checked = check_host(at.host); !checked) return checked.error();
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure =
      ::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &wanted, &found);
  if (failure != 0)
    return Error(os_code(EADDRNOTAVAIL),
                 fmt::format("cannot listen on {}: {}; name an address of this machine", at.text(),
                             ::gai_strerror(failure)));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* i = found; i; i = i->ai_next)
    addresses.push_back(copy_of(i->ai_addr, i->ai_addrlen));
  ::freeaddrinfo(found);
  return addresses;
}

void set_port(SocketAddress& address, std::uint16_t port) {
  if (address.family() == AF_INET6)
    reinterpret_cast<sockaddr_in6*>(address.get())->sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in*>(address.get())->sin_port = htons(port);
}

// A name may stand for several addresses ("localhost" for 127.0.0.1 and ::1) and clients may come
// by any of them, so each gets a socket. One that this machine does not have is left out.
Result<std::vector<Descriptor>> listen_on_name(const Address& at, int backlog) {
  auto addresses = resolve_now(at);
  if (!addresses) return addresses.error();
  std::vector<Descriptor> listening;
  int first_failure = 0;
  std::uint16_t port = at.port;
  for (SocketAddress& address : *addresses) {
    set_port(address, port);
    Descriptor fd;
    const int number = listen_tcp(fd, address, backlog, false);
    if (number == 0) {
      port = local_end(fd.number()).port();
      listening.push_back(std::move(fd));
    } else if (number == EADDRINUSE && at.port != 0) {
      return listen_error(number, at);
    } else if (first_failure == 0) {
      first_failure = number;
    }
  }
  if (listening.empty()) return listen_error(first_failure ? first_failure : EADDRNOTAVAIL, at);
  return listening;
}

Result<Descriptor> listen_unix(const Address& at, int backlog, SocketFile& file) {
  const auto address = unix_socket_address(at.path);
  if (!address) return address.error();
  Descriptor fd = open_socket(AF_UNIX);
  int number = bind_and_listen(fd, *address, backlog);
  if (number == EADDRINUSE) {
    const Behind behind = look_behind(at.path, *address);
    if (behind == Behind::listener)
      return os_error(number, fmt::format("cannot listen on {}", at.path),
                      "a program listens there; end it or choose another path");
    if (behind == Behind::other_file)
      return Error(
          os_code(EEXIST),
          fmt::format("cannot listen on {}: the file exists and is no socket; remove it or "
                      "choose another path",
                      at.path));
    ::unlink(at.path.c_str());
    fd = open_socket(AF_UNIX);
    number = bind_and_listen(fd, *address, backlog);
  }
  if (number != 0) return listen_error(number, at);
  file.note(at.path);
  return fd;
}

// --- accepting ---

class Accepting final : public std::enable_shared_from_this<Accepting>, Waiting {
 public:
  Accepting(std::shared_ptr<Loop> loop, Listener::OnAccept on_accept, SocketFile file)
      : loop_(std::move(loop)), on_accept_(std::move(on_accept)), file_(std::move(file)) {}
  ~Accepting() { close(); }

  Result<void> start(Context& context, std::vector<Descriptor> listening);
  void close();

 private:
  // A listening socket and the rest it takes when descriptors run out.
  struct Door {
    std::shared_ptr<WatchedDescriptor> watched;
    std::unique_ptr<Timer> pause;
  };

  void wait(std::size_t door);
  void rest(std::size_t door);
  void accept_some(std::size_t door);
  bool accept_one(std::size_t door, int& number);
  void abandon() override;

  std::shared_ptr<Loop> loop_;
  Listener::OnAccept on_accept_;
  SocketFile file_;
  std::vector<Door> doors_;
  bool calling_ = false;  // inside on_accept_, which must not be destroyed then
  bool closed_ = false;
};

Result<void> Accepting::start(Context& context, std::vector<Descriptor> listening) {
  for (Descriptor& fd : listening) {
    doors_.push_back({WatchedDescriptor::watch(loop_, fd), std::make_unique<Timer>(context)});
  }
  loop_->enlist(*this);
  for (std::size_t door = 0; door < doors_.size(); ++door) wait(door);
  return {};
}

void Accepting::close() {
  if (std::exchange(closed_, true)) return;
  loop_->dismiss(*this);
  for (Door& door : doors_) {
    door.watched->close();
    door.pause->cancel();
  }
  file_.remove();
  if (calling_) return;
  const Listener::OnAccept dropped = std::move(on_accept_);  // may own the listener
}

void Accepting::abandon() {
  const Listener::OnAccept dropped = std::move(on_accept_);
}

void Accepting::wait(std::size_t door) {
  doors_[door].watched->wait(WatchedDescriptor::reading, [weak = weak_from_this(), door] {
    if (const auto self = weak.lock()) self->accept_some(door);
  });
}

void Accepting::rest(std::size_t door) {
  doors_[door].pause->start(after(now(), kAcceptPause), [weak = weak_from_this(), door] {
    if (const auto self = weak.lock()) self->wait(door);
  });
}

void Accepting::accept_some(std::size_t door) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    int number = 0;
    const bool accepted = accept_one(door, number);
    if (closed_) return;
    if (accepted || number == EINTR || number == ECONNABORTED || number == EPROTO) continue;
    if (number == EAGAIN || number == EWOULDBLOCK) break;
    return rest(door);  // EMFILE and its kin: the connection stays in the queue of the system
  }
  wait(door);
}

bool Accepting::accept_one(std::size_t door, int& number) {
  SocketAddress from;
  from.size = sizeof from.storage;
  Descriptor fd(::accept4(doors_[door].watched->number(), from.get(), &from.size,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    number = errno;
    return false;
  }
  do_not_pace(fd.number(), from);
  calling_ = true;
  on_accept_(socket_stream(loop_, std::move(fd), from));
  calling_ = false;
  if (closed_) const Listener::OnAccept dropped = std::move(on_accept_);
  return true;
}

class SocketListener final : public Listener {
 public:
  SocketListener(Address address, std::shared_ptr<Accepting> accepting)
      : address_(std::move(address)), accepting_(std::move(accepting)) {}
  ~SocketListener() override { accepting_->close(); }
  Address address() const override { return address_; }
  void close() override {
    const auto alive = accepting_;  // the callback, which goes now, may own this listener
    alive->close();
  }

 private:
  Address address_;
  std::shared_ptr<Accepting> accepting_;
};

Result<std::vector<Descriptor>> open_doors(const Address& at, int backlog, SocketFile& file) {
  std::vector<Descriptor> doors;
  if (at.kind == Address::Kind::tcp && !at.host.empty()) return listen_on_name(at, backlog);
  Result<Descriptor> door = at.kind == Address::Kind::tcp ? listen_everywhere(at, backlog)
                                                          : listen_unix(at, backlog, file);
  if (!door) return door.error();
  doors.push_back(std::move(*door));
  return doors;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::listen(Context& context, const Address& at,
                                                   OnAccept on_accept, int backlog) {
  SocketFile file;
  auto doors = open_doors(at, backlog, file);
  if (!doors) return doors.error();
  Address bound = local_end(doors->front().number()).address();
  if (at.kind == Address::Kind::unix_path) bound = at;
  const auto accepting =
      std::make_shared<Accepting>(context.impl().loop, std::move(on_accept), std::move(file));
  if (const auto started = accepting->start(context, std::move(*doors)); !started)
    return started.error();
  return std::unique_ptr<Listener>(std::make_unique<SocketListener>(std::move(bound), accepting));
}

}  // namespace streamkit::io
