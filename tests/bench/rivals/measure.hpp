// What the runners of the rivals share: their command line, their one line of JSON, the second
// process, clocks and CPU time of both sides, percentiles, memory, and sockets on 127.0.0.1.
//
// A runner measures one row once. Whatever goes wrong is thrown: Skip when the rival cannot be
// measured here, which is a result like any other, and Failure when it should have worked.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace streamkit::rivals {

/// The whole amount of a `stream` row.
inline constexpr std::uint64_t kStreamBytes = 4ull << 30;
/// What a writer of a stream hands over at once, and what a reader has room for.
inline constexpr std::size_t kPiece = 256 * 1024;
/// Round trips of a `ping` row, and those before them that are not counted.
inline constexpr std::uint64_t kPings = 20'000, kWarmUpPings = 500;
inline constexpr std::size_t kPingBytes = 64;
/// No row takes longer than this; a runner that hangs is ended by it, and its children with it.
inline constexpr unsigned kRowSeconds = 900;

struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Throws a Failure with these words, and errno's, unless `ok`.
void require(bool ok, const char* doing);

/// What one run is asked for.
struct Task {
  std::string row, variant;
  double scale = 1;

  /// `whole` at this scale, but not less than `least`.
  std::uint64_t amount(std::uint64_t whole, std::uint64_t least = 1) const;
};

/// What one run found. The value's unit is that of its row.
struct Figure {
  double value = 0;
  std::optional<double> cpu_s_per_gb = {}, p50_us = {}, p99_us = {};
  std::vector<std::pair<std::string, double>> more = {};
  std::string notes = {};
};

struct Row {
  std::string row, variant, unit;
  std::function<Figure(const Task&)> run;
};

/// The main() of every runner: `RUNNER ROW [--variant V] [--scale F] [--congestion NAME]` and
/// `RUNNER --list`. Exit code 0 with one line of JSON, 1 after a failure, 2 for wrong use.
int runner_main(int argc, char** argv, const std::string& subject, const std::vector<Row>& rows);

// ---------------------------------------------------------------- time, CPU, memory

std::uint64_t now_ns();
/// User and system time of this process, all threads.
std::uint64_t cpu_ns();
/// The proportional set of a process in KiB; 0 means this one.
double memory_kib(pid_t pid = 0);

/// Round trips or latencies, in nanoseconds.
class Samples {
 public:
  void add(std::uint64_t ns) { all_.push_back(ns); }
  /// In microseconds, by nearest rank.
  double percentile(double percent);

 private:
  std::vector<std::uint64_t> all_;
};

/// Runs `round_trip` kWarmUpPings times and then as often as the task wants; value = p50.
Figure ping(const Task& task, const std::function<void()>& round_trip);

// ---------------------------------------------------------------- two processes

/// Memory that both processes see. The sender notes the beginning, the receiver the end, and both
/// what CPU they took in between.
struct Stage {
  std::atomic<std::uint64_t> begin_ns = 0, end_ns = 0, cpu_ns = 0;
  std::atomic<std::uint64_t> moved_bytes = 0;  ///< what an endless transfer has moved so far

  void begin() { begin_ns = now_ns(); }
  void end() { end_ns = now_ns(); }
  double seconds() const { return static_cast<double>(end_ns - begin_ns) * 1e-9; }
  /// MB/s and CPU seconds a GB of a transfer of `bytes`.
  Figure transfer(std::uint64_t bytes) const;
  /// `count` of something a second.
  Figure rate(std::uint64_t count) const;
};

/// Adds the CPU time of this process, from here to the end of the scope, to the stage.
class CpuShare {
 public:
  explicit CpuShare(Stage& stage) : stage_(stage), begin_(cpu_ns()) {}
  ~CpuShare() { stage_.cpu_ns += cpu_ns() - begin_; }
  CpuShare(const CpuShare&) = delete;
  CpuShare& operator=(const CpuShare&) = delete;

 private:
  Stage& stage_;
  std::uint64_t begin_;
};

struct Unmap {
  void operator()(Stage* stage) const;
};
std::unique_ptr<Stage, Unmap> new_stage();

/// The second process: forked, killed with this one. Make it before any library has started a
/// thread.
class OtherSide {
 public:
  explicit OtherSide(const std::function<void()>& work);
  ~OtherSide();  ///< kills it if nobody waited for it
  OtherSide(const OtherSide&) = delete;
  OtherSide& operator=(const OtherSide&) = delete;
  pid_t pid() const { return pid_; }
  /// Until it is done. Throws when it failed.
  void wait();

 private:
  pid_t pid_ = -1;
};

// ---------------------------------------------------------------- sockets on 127.0.0.1

/// A blocking TCP socket with TCP_NODELAY, or the end of a pipe.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  /// One attempt; closed when nobody listens there.
  static Socket try_connect(std::uint16_t port);
  static Socket connect(std::uint16_t port);
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  /// Gives the descriptor away.
  int release() { return std::exchange(fd_, -1); }
  void send_all(const void* data, std::size_t size) const;
  /// 0 at the end.
  std::size_t receive(void* data, std::size_t size) const;
  /// False when the end came first.
  bool receive_all(void* data, std::size_t size) const;
  void end_writing() const;

 private:
  int fd_;
};

class Listener {
 public:
  Listener();
  std::uint16_t port() const { return port_; }
  Socket accept() const;

 private:
  Socket socket_;
  std::uint16_t port_ = 0;
};

/// Sends `bytes` in pieces, and reads the same number and forgets them.
void send_bytes(const Socket& socket, std::uint64_t bytes);
void discard_bytes(const Socket& socket, std::uint64_t bytes);
/// Gives back whatever comes, until the end.
void echo(const Socket& socket);
/// Sends 64 bytes and waits until they are back.
void round_trip(const Socket& socket);

}  // namespace streamkit::rivals
