// The second process of a measurement, and the socket over which the two tell each other numbers.
#pragma once

#include "bench.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <sys/types.h>
#include <vector>

namespace streamkit::bench {

/// Says something is wrong with the measurement itself; run() makes an Error of it.
[[noreturn]] void fail(const std::string& what);
/// The same with errno's words.
[[noreturn]] void fail_errno(const std::string& what);

/// A descriptor that is closed with its owner.
class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }
  int get() const noexcept { return fd_; }
  int release() noexcept {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1) noexcept;

 private:
  int fd_;
};

/// A folder that goes with its owner.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A program (from the PATH, unless its first word is a path), ended with its owner.
class Program {
 public:
  /// With `output`, its standard output goes there.
  explicit Program(std::vector<std::string> words, const Fd& output = Fd());
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  /// Waits for its end; true for a good one.
  bool wait();

 private:
  pid_t pid_ = -1;
};

/// What a program says; fails unless it ends well.
std::string output_of(std::vector<std::string> words);

/// Messages of a few numbers, in order. Waits at most kPatience for one.
class Control {
 public:
  explicit Control(Fd fd);
  void say(std::initializer_list<double> numbers);
  /// Exactly `count` numbers; fails when the other side has ended.
  std::vector<double> hear(std::size_t count);
  double hear() { return hear(1)[0]; }

 private:
  Fd fd_;
};

/// The words by which another run of this program is told of `task`, behind --run or --serve.
void append_arguments(std::vector<std::string>& words, const Task& task);

/// This program once more, doing the other side of `task`. Killed when it is dropped unfinished.
class Other {
 public:
  explicit Other(const Task& task);
  ~Other();
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  Control& control() noexcept { return control_; }
  /// Waits for its end and fails unless that was a good one.
  void finish();

 private:
  static Fd start(const Task& task, pid_t& pid);
  pid_t pid_ = -1;
  Control control_;
};

}  // namespace streamkit::bench
