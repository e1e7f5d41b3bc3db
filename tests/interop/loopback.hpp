// Plain sockets on this machine, for what is forwarded: where a forwarded connection ends, and who
// comes through a forwarded port.
#pragma once

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace streamkit::testing {

/// A server on 127.0.0.1, or at a path, that gives one visitor's bytes back after its end of input.
class HoldServer {
 public:
  HoldServer();
  explicit HoldServer(const std::string& path);
  ~HoldServer();
  HoldServer(const HoldServer&) = delete;
  HoldServer& operator=(const HoldServer&) = delete;
  std::uint16_t port() const noexcept { return port_; }

 private:
  void serve();

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// Connects as soon as somebody listens there; -1: the time is over.
int wait_for_port(std::uint16_t port);
int wait_for_path(const std::string& path);

/// Sends `size` bytes of the pattern, ends its side, reads to the other side's end, and closes the
/// socket. Empty when the same bytes came back, else a sentence.
std::string socket_echo_problem(int fd, std::uint64_t size);
/// The same with all of them at once. Empty when all of them went well.
std::string all_echo_problems(const std::vector<int>& sockets, std::uint64_t size);

}  // namespace streamkit::testing
