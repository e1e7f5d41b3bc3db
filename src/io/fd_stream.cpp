// Streams over descriptors: sockets, pipes and terminals. Each read and write is one system call
// with the caller's own memory; there is no buffer here.
#include "descriptor.hpp"
#include "os_error.hpp"
#include "socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>

namespace streamkit::io {
namespace {

/// Pieces that one system call takes; more are left for the next one.
constexpr std::size_t kMaxPieces = 64;

// Writing to a pipe that nobody reads raises SIGPIPE in the writing thread, and there is no flag
// against it as sockets have. So hold the signal back and take it away again.
class PipeSignalHeld {
 public:
  PipeSignalHeld() {
    sigemptyset(&pipe_signal_);
    sigaddset(&pipe_signal_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal_, &before_);
  }
  ~PipeSignalHeld() {
    const int kept = errno;
    const timespec at_once{};
    if (raised_ && !was_pending_)
      while (sigtimedwait(&pipe_signal_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = kept;
  }
  PipeSignalHeld(const PipeSignalHeld&) = delete;
  PipeSignalHeld& operator=(const PipeSignalHeld&) = delete;
  void was_raised() noexcept { raised_ = true; }

 private:
  sigset_t pipe_signal_;
  sigset_t before_;
  bool was_pending_ = false;
  bool raised_ = false;
};

ssize_t write_to_socket(int fd, iovec* pieces, std::size_t count) {
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t write_to_pipe(int fd, const iovec* pieces, std::size_t count) {
  PipeSignalHeld held;
  const ssize_t n = ::writev(fd, pieces, static_cast<int>(count));
  if (n < 0 && errno == EPIPE) held.was_raised();
  return n;
}

Error transfer_error(int number) {
  if (number == EAGAIN || number == EWOULDBLOCK) return Errc::would_block;
  return os_code(number);
}

bool is_socket(int fd) noexcept {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

// --- the stream ---

// One direction or both of a stream.
struct Side {
  std::shared_ptr<WatchedDescriptor> watched;
  bool socket = false;
  int flags_before = -1;  // to put back: others may share the open file (a terminal, say)
};

class DescriptorStream final : public Stream {
 public:
  DescriptorStream(Side in, Side out, Address remote)
      : in_(std::move(in)), out_(std::move(out)), remote_(std::move(remote)) {}
  ~DescriptorStream() override { end(false); }

  Result<std::size_t> read_some(MutableByteView out) override;
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override;
  void wait_readable(Task task) override;
  void wait_writable(Task task) override;
  Result<void> shutdown_write() override;
  void close(bool reset) override { end(reset); }
  Address local_address() const override;
  Address remote_address() const override { return remote_; }

 private:
  static std::size_t moved(const Side& side, ssize_t n) noexcept {
    side.watched->loop()->busy_poll().moved(static_cast<std::size_t>(n));
    return static_cast<std::size_t>(n);
  }
  bool is_one() const noexcept { return in_.watched == out_.watched; }
  void end(bool reset);
  static void end(Side side);

  Side in_, out_;
  mutable std::optional<Address> local_;  // when somebody has asked
  Address remote_;  // known from the start: a broken connection no longer says who it was
  bool write_ended_ = false;
};

Address DescriptorStream::local_address() const {
  if (!local_ && in_.socket && in_.watched->is_open())
    local_ = local_end(in_.watched->number()).address();
  return local_ ? *local_ : in_.socket ? Address{} : remote_;
}

Result<std::size_t> DescriptorStream::read_some(MutableByteView out) {
  if (!in_.watched->is_open()) return Errc::closed;
  if (out.empty()) return std::size_t{0};
  for (;;) {
    const ssize_t n = ::read(in_.watched->number(), out.data(), out.size());
    if (n > 0) return moved(in_, n);
    if (n == 0) return Errc::eof;
    if (errno != EINTR) return transfer_error(errno);
  }
}

Result<std::size_t> DescriptorStream::write_some(std::span<const ByteView> pieces) {
  if (!out_.watched->is_open() || write_ended_) return Errc::closed;
  std::array<iovec, kMaxPieces> vectors;
  std::size_t count = 0;
  for (const ByteView piece : pieces) {
    if (piece.empty()) continue;
    if (count == kMaxPieces) break;
    vectors[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
  }
  if (count == 0) return std::size_t{0};
  for (;;) {
    const int fd = out_.watched->number();
    const ssize_t n = out_.socket ? write_to_socket(fd, vectors.data(), count)
                                  : write_to_pipe(fd, vectors.data(), count);
    if (n >= 0) return moved(out_, n);
    if (errno != EINTR) return transfer_error(errno);
  }
}

void DescriptorStream::wait_readable(Task task) {
  in_.watched->wait(WatchedDescriptor::reading, std::move(task));
}

void DescriptorStream::wait_writable(Task task) {
  out_.watched->wait(WatchedDescriptor::writing, std::move(task));
}

Result<void> DescriptorStream::shutdown_write() {
  if (!out_.watched->is_open() || write_ended_) return Errc::closed;
  write_ended_ = true;
  if (out_.socket) {
    if (::shutdown(out_.watched->number(), SHUT_WR) != 0)
      return os_error(errno, "cannot end the writing direction");
  } else if (!is_one()) {
    end(out_);
  }
  return {};  // a terminal has no end of its own to close: the other direction still needs it
}

void DescriptorStream::end(bool reset) {
  if (reset && out_.socket && out_.watched->is_open()) {
    const linger at_once{1, 0};
    ::setsockopt(out_.watched->number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  // The dropped tasks may destroy this stream: keep what is still needed.
  const Side in = in_, out = out_;
  end(in);
  end(out);
}

void DescriptorStream::end(Side side) {
  if (!side.watched->is_open()) return;
  if (side.flags_before >= 0) ::fcntl(side.watched->number(), F_SETFL, side.flags_before);
  side.watched->close();
}

// --- making one ---

struct Prepared {
  bool socket = false;
  int flags = 0;
};

Result<Prepared> look_at(int fd) {
  Prepared prepared;
  prepared.flags = ::fcntl(fd, F_GETFL);
  if (prepared.flags < 0) return os_error(errno, fmt::format("cannot use descriptor {}", fd));
  prepared.socket = is_socket(fd);
  int type = 0;
  socklen_t size = sizeof type;
  if (prepared.socket &&
      (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM))
    return Error(Errc::usage, fmt::format("descriptor {} is not a stream socket", fd));
  return prepared;
}

Result<Side> make_side(const std::shared_ptr<Loop>& loop, Descriptor& fd,
                       const Prepared& prepared) {
  Side side;
  side.socket = prepared.socket;
  if (!(prepared.flags & O_NONBLOCK)) {
    if (::fcntl(fd.number(), F_SETFL, prepared.flags | O_NONBLOCK) < 0)
      return os_error(errno, fmt::format("cannot make descriptor {} non-blocking", fd.number()));
    if (!prepared.socket) side.flags_before = prepared.flags;
  }
  if (side.socket) set_low_latency(fd.number());
  side.watched = WatchedDescriptor::watch(loop, fd);
  return side;
}

// Who is at the other end; what is no socket is called by its number.
Address address_of(int fd, bool socket) {
  if (socket) return remote_end(fd).address();
  Address address;
  address.kind = Address::Kind::unix_path;
  address.path = fmt::format("(descriptor {})", fd);
  return address;
}

}  // namespace

std::unique_ptr<Stream> socket_stream(std::shared_ptr<Loop> loop, Descriptor fd,
                                      const SocketAddress& remote) {
  const Side side{WatchedDescriptor::watch(std::move(loop), fd), true, -1};
  return std::make_unique<DescriptorStream>(side, side, remote.address());
}

Result<std::unique_ptr<Stream>> stream_from_fd(Context& context, int fd) {
  return stream_from_fds(context, fd, fd);
}

Result<std::unique_ptr<Stream>> stream_from_fds(Context& context, int read_fd, int write_fd) {
  const std::shared_ptr<Loop>& loop = context.impl().loop;
  // Look at both first: they may be one open file, and its flags are about to change.
  const auto first = look_at(read_fd), second = look_at(write_fd);
  if (!first) return first.error();
  if (!second) return second.error();
  Descriptor in(read_fd), out(read_fd == write_fd ? -1 : write_fd);
  auto reading = make_side(loop, in, *first);
  if (!reading) {
    in.release(), out.release();  // still the caller's
    return reading.error();
  }
  Address remote = address_of(read_fd, first->socket);
  if (!out)
    return std::unique_ptr<Stream>(
        std::make_unique<DescriptorStream>(*reading, *reading, std::move(remote)));
  auto writing = make_side(loop, out, *second);
  if (!writing) {
    out.release();
    if (reading->flags_before >= 0) ::fcntl(read_fd, F_SETFL, reading->flags_before);
    reading->watched->release().release();
    return writing.error();
  }
  return std::unique_ptr<Stream>(std::make_unique<DescriptorStream>(
      std::move(*reading), std::move(*writing), std::move(remote)));
}

}  // namespace streamkit::io
