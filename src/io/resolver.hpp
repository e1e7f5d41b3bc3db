// Resolver: the system's look-up of names, which blocks, on a thread of its own.
#pragma once

#include <streamkit/base/function.hpp>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace streamkit::io {

struct SocketAddress;

/// One question after another. Destroying it drops what is queued and waits for the one under way.
class Resolver {
 public:
  struct Answer {
    std::vector<SocketAddress> addresses;  ///< in the order of RFC 6724
    std::string error;                     ///< the system's words, when there is none
  };
  /// Called on the resolver's thread.
  using Done = Function<void(Answer)>;

  Resolver();
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  /// At most `most` addresses for stream sockets. Any thread.
  void resolve(std::string host, std::uint16_t port, std::size_t most, Done done);

 private:
  struct Question {
    std::string host;
    std::uint16_t port;
    std::size_t most;
    Done done;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Question> questions_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace streamkit::io
