// Streams: ordered bytes from the operating system, listened for and connected to.
//
// All of it is readiness: try, and when the answer is would_block, ask to be told. Every object
// belongs to the Context it was made on and is used on it only.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/io/context.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamkit::io {

/// Where: a TCP host and port, or a unix socket's path.
struct Address {
  enum class Kind { tcp, unix_path };
  Kind kind = Kind::tcp;
  std::string host;  ///< tcp: name or numeric address; "" binds every interface, IPv4 and IPv6
  std::uint16_t port = 0;  ///< tcp: 0 when binding asks the system for one
  std::string path;        ///< unix_path
  /// "127.0.0.1:80", "[::1]:80", "*:80" without a host, or the path.
  std::string text() const;
  bool is_loopback() const noexcept;  ///< 127.0.0.0/8, ::1, "localhost", or a unix path
};

/// Whether the numeric address `host` lies in one of the comma-separated `networks`: "10.0.0.0/8",
/// "2001:db8::/32", or single addresses. An IPv4 address may be written as a mapped IPv6 one.
/// Errc::usage if anything in the list is not a network (bits beyond its length are zero); false
/// for a `host` that is no address.
Result<bool> is_in_networks(const std::string& host, std::string_view networks);
/// Who counts as one source of connections: an IPv4 address as it is, and of an IPv6 address its network of 64
/// bits, "2001:db8::/64", which is the least that one subscriber has. Anything else as it is.
std::string source_of(const std::string& host);

/// Ordered bytes both ways, non-blocking. Destroying it closes it.
class Stream {
 public:
  virtual ~Stream() = default;
  /// Up to out.size() bytes; Errc::would_block when there are none yet, Errc::eof after the other
  /// side's end, an OS error when it broke.
  virtual Result<std::size_t> read_some(MutableByteView out) = 0;
  /// Writes a prefix of the pieces laid end to end and says how much; Errc::would_block for
  /// nothing.
  virtual Result<std::size_t> write_some(std::span<const ByteView> pieces) = 0;
  /// Calls `task` once, on the Context and never inside this call, when read_some would answer
  /// something else than would_block. One at a time; a new one replaces it. close() drops it.
  /// Rarely it is called for nothing, so try again and wait again.
  virtual void wait_readable(Task task) = 0;
  virtual void wait_writable(Task task) = 0;
  /// Ends our direction; the other stays open. A terminal's other side cannot be told.
  virtual Result<void> shutdown_write() = 0;
  /// Ends both directions and drops the waits. With `reset`, unsent data is discarded and the other
  /// side sees a connection reset where the system has such a thing.
  virtual void close(bool reset = false) = 0;
  /// Ours, and the other side's. Ask for the local one before close() when it is needed after.
  virtual Address local_address() const = 0;
  virtual Address remote_address() const = 0;
};

/// Takes over an open descriptor: a socket, a pipe or a terminal. It is made non-blocking and
/// closed with the stream (a pipe or terminal gets its blocking mode back). After an error it is
/// still the caller's. Writing to a pipe without a reader is an error and raises no SIGPIPE.
Result<std::unique_ptr<Stream>> stream_from_fd(Context& context, int fd);
/// A stream that reads from one descriptor and writes to another, such as 0 and 1.
Result<std::unique_ptr<Stream>> stream_from_fds(Context& context, int read_fd, int write_fd);

/// Two ends of a bounded in-memory pipe, each on its own Context (which may be the same). What one
/// end writes the other reads; at most `capacity` bytes wait in each direction.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_stream_pair(
    Context& a, Context& b, std::size_t capacity = 256 * 1024);

/// Accepts connections until destroyed or closed. TCP_NODELAY is set on each.
class Listener {
 public:
  using OnAccept = Function<void(std::unique_ptr<Stream>)>;
  virtual ~Listener() = default;
  /// The bound address, port 0 resolved.
  virtual Address address() const = 0;
  /// Stops accepting; a unix socket's file is removed if it is still the one we made.
  virtual void close() = 0;

  /// Binds and listens, at once; a name is resolved in this call, and each of its addresses gets a
  /// socket (all with one port). `on_accept` runs on the Context. When descriptors run out it waits
  /// a little (100 ms) and goes on. A unix path that exists is an error unless nothing listens
  /// behind it (then the stale file is replaced). Errors say the address and, for one in use, what
  /// to do.
  static Result<std::unique_ptr<Listener>> listen(Context& context, const Address& at,
                                                  OnAccept on_accept, int backlog = 511);
};

/// A connect under way. Destroying it cancels: the completion is dropped.
class Connect {
 public:
  using Done = Function<void(Result<std::unique_ptr<Stream>>)>;
  virtual ~Connect() = default;
  /// Resolves the name (off the loop), tries each address in turn (at most `per_address` each)
  /// until one answers or `deadline` passes (Errc::timeout). At most 16 addresses. `done` runs
  /// once, on the Context and never inside this call. A refusal is the OS's error with the address
  /// in its message.
  static std::unique_ptr<Connect> start(Context& context, const Address& to, TimePoint deadline,
                                        Done done, Duration per_address = std::chrono::seconds(5));
};

}  // namespace streamkit::io
