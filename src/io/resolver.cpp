#include "resolver.hpp"

#include "own_thread.hpp"
#include "socket.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>

namespace streamkit::io {
namespace {

Resolver::Answer ask(const std::string& host, std::uint16_t port, std::size_t most) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  Resolver::Answer answer;
  if (failed != 0) {
    answer.error = failed == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(failed);
    return answer;
  }
  for (const addrinfo* at = found; at && answer.addresses.size() < most; at = at->ai_next)
    answer.addresses.push_back(copy_of(at->ai_addr, at->ai_addrlen));
  ::freeaddrinfo(found);
  if (answer.addresses.empty()) answer.error = "empty answer";
  return answer;
}

}  // namespace

Resolver::Resolver() : thread_(own_thread("streamkit-names", [this] { run(); })) {}

Resolver::~Resolver() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void Resolver::resolve(std::string host, std::uint16_t port, std::size_t most, Done done) {
  {
    const std::lock_guard lock(mutex_);
    questions_.push_back({std::move(host), port, most, std::move(done)});
  }
  asked_.notify_one();
}

void Resolver::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    asked_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
    if (stopping_) return;
    Question next = std::move(questions_.front());
    questions_.pop_front();
    lock.unlock();
    next.done(ask(next.host, next.port, next.most));
    next = {};
    lock.lock();
  }
}

}  // namespace streamkit::io
