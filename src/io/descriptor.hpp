// Descriptors: one that is owned, and one that the reactor watches.
#pragma once

#include "loop.hpp"

#include <unistd.h>
#include <utility>

namespace streamkit::io {

/// Owns an open descriptor or nothing (-1).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) close(), fd_ = other.release();
    return *this;
  }
  ~Descriptor() { close(); }

  explicit operator bool() const noexcept { return fd_ >= 0; }
  int number() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept {
    if (fd_ >= 0) ::close(release());
  }

 private:
  int fd_ = -1;
};

/// A non-blocking descriptor of one Loop that can be waited for. Its two directions hold a task
/// each.
class WatchedDescriptor final : public std::enable_shared_from_this<WatchedDescriptor>, Waiting {
 public:
  enum Direction { reading = 0, writing = 1 };

  /// Takes `fd` over. It must be non-blocking already.
  static std::shared_ptr<WatchedDescriptor> watch(std::shared_ptr<Loop> loop, Descriptor& fd);

  explicit WatchedDescriptor(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}
  ~WatchedDescriptor() { close(); }

  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  int number() const noexcept { return fd_.number(); }
  const std::shared_ptr<Loop>& loop() const noexcept { return loop_; }

  /// Calls `task` once from the loop when `direction` is ready (or broken); replaces an earlier
  /// task.
  void wait(Direction direction, Task task);
  /// Drops the tasks and closes.
  void close();
  /// Drops the tasks and gives the descriptor away.
  Descriptor release();
  /// The reactor's EPOLL bits. Calls the tasks they are for.
  void ready(std::uint32_t events);

 private:
  bool want(std::uint32_t interest) noexcept;
  void call(Direction direction);
  bool is_ready(Direction direction) const;
  void abandon() override;

  std::shared_ptr<Loop> loop_;
  Descriptor fd_;
  Reactor::Token token_ = 0;  // 0: not entered, as nobody has waited yet
  std::uint32_t interest_ = 0;
  Task tasks_[2];
  std::uint64_t since_[2] = {0, 0};  // the Loop's collections() when each was given
};

}  // namespace streamkit::io
