// The load on a gateway: a plain TCP stream, or plain TCP connections, that go in at one port and
// come out at another, whatever lies between.
#pragma once

#include "row.hpp"
#include "sockets.hpp"

#include <functional>

namespace streamkit::bench {

/// Where what went in comes out: a thread that reads and counts, or answers each connection's byte.
class Sink {
 public:
  Sink() : listener_(listen_tcp(port_)) {}
  std::uint16_t port() const noexcept { return port_; }
  const Fd& listener() const noexcept { return listener_; }

 private:
  std::uint16_t port_ = 0;
  Fd listener_;
};

/// One stream through `entry` to the sink. `cpu` tells the CPU seconds of what lies between so far.
Outcome stream_through(const Task& task, std::uint16_t entry, Sink& sink,
                       const std::function<double()>& cpu);
/// Connections one at a time: connect, one byte there and back, close.
Outcome connect_through(const Task& task, std::uint16_t entry, Sink& sink);

}  // namespace streamkit::bench
