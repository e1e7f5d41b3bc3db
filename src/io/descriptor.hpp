// Descriptors: one that is owned, and one that the reactor watches.
#pragma once

#include "loop.hpp"

#include <streamkit/base/result.hpp>

#include <asio/posix/basic_stream_descriptor.hpp>

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

  /// Takes `fd` over when it succeeds. It must be non-blocking already.
  static Result<std::shared_ptr<WatchedDescriptor>> watch(std::shared_ptr<Loop> loop,
                                                          Descriptor& fd);

  explicit WatchedDescriptor(std::shared_ptr<Loop> loop);
  ~WatchedDescriptor() { close(); }

  bool is_open() const noexcept { return handle_.is_open(); }
  int number() noexcept { return handle_.native_handle(); }
  const std::shared_ptr<Loop>& loop() const noexcept { return loop_; }

  /// Calls `task` once from the loop when `direction` is ready (or broken); replaces an earlier
  /// task.
  void wait(Direction direction, Task task);
  /// Drops the tasks and closes.
  void close();
  /// Drops the tasks and gives the descriptor away.
  Descriptor release();

 private:
  struct Wait {
    Task task;
    bool armed = false;     // the reactor has been asked and has not answered
    bool replaced = false;  // its answer may be about something that an earlier task has dealt with
  };

  void arm(Direction direction);
  void fire(Direction direction);
  bool is_ready(Direction direction);
  void forget_writing();
  void abandon() override;

  std::shared_ptr<Loop> loop_;
  asio::posix::basic_stream_descriptor<Loop::Executor> handle_;
  Wait waits_[2];
  bool writing_registered_ = false;
};

}  // namespace streamkit::io
