// Reactor: what the kernel watches for one Loop (epoll, level-triggered), and how to wake who waits.
//
// A descriptor has a slot; the kernel hands the slot's number back together with the generation of
// its user, so that an event about a descriptor that was closed meanwhile is recognised and dropped.
// Interest is changed lazily: a direction stays registered while its events are wanted again and
// again, so that a busy connection costs no system call but waiting, reading and writing.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <sys/epoll.h>
#include <vector>

namespace streamkit::io {

class WatchedDescriptor;

/// Long past: for waits that do not wait.
inline constexpr TimePoint kAtOnce{};

class Reactor {
 public:
  using Token = std::uint64_t;

  /// Throws std::system_error when the system has no descriptor left.
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // ---- on the Context
  Token enter(WatchedDescriptor& user);
  void leave(Token token) noexcept;
  /// EPOLLIN and EPOLLOUT bits, or 0 for nothing at all. Changes from `before`. False: the kernel
  /// cannot wait for such a descriptor (a regular file), or has no memory left to.
  bool set_interest(int fd, Token token, std::uint32_t before, std::uint32_t wanted) noexcept;
  /// nullptr when its user has left.
  WatchedDescriptor* find(Token token) const noexcept;

  // ---- one thread at a time, off the Context
  /// Waits until something is ready, wake() was called or `until` has come (kNever: for ever; a time
  /// that has passed: not at all). The events are valid until the next call.
  std::span<const epoll_event> wait(TimePoint until) noexcept;

  // ---- any thread
  void wake() noexcept;

 private:
  /// Events that one wait brings; what does not fit comes with the next one.
  static constexpr std::size_t kMaxEvents = 64;

  int wait_for_events(TimePoint until) noexcept;

  struct Slot {
    WatchedDescriptor* user = nullptr;
    std::uint32_t generation = 1;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::array<epoll_event, kMaxEvents> events_;
  int epoll_ = -1, wake_ = -1;
  bool has_fine_wait_ = true;  // epoll_pwait2, Linux 5.11
};

}  // namespace streamkit::io
