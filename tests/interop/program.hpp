// Program: another implementation's program, started without a shell, fed on its standard input and
// read from its standard output at the same time. What it says on standard error is kept. And the
// pattern that the transfers consist of.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace streamkit::testing {

using Clock = std::chrono::steady_clock;

/// No test waits longer than this for any one thing.
inline constexpr auto kPatience = std::chrono::seconds(120);

/// What a transfer moves each way: 64 MiB (4 under GCC's sanitizers), or as many as
/// STREAMKIT_INTEROP_MIB says.
std::uint64_t transfer_bytes();

/// An endless stream of bytes in which every position can be asked for. Its period is a prime, so
/// that no packet, window or buffer size divides it.
class Pattern {
 public:
  /// Up to `most` of the bytes that begin at `position`; never empty unless `most` is 0.
  static ByteView at(std::uint64_t position, std::uint64_t most);
};

/// Compares what arrives with the pattern.
class PatternCheck {
 public:
  void take(ByteView bytes);
  std::uint64_t received() const noexcept { return received_; }
  /// Empty when exactly `size` bytes arrived and all are right, else a sentence.
  std::string problem(std::uint64_t size) const;

 private:
  std::uint64_t received_ = 0;
  std::optional<std::uint64_t> first_wrong_;
};

/// The path of a program, looked up in PATH and the sbin folders; empty when it is not installed.
std::string find_program(const std::string& name);

class Program {
 public:
  /// `environment`: NAME=VALUE, in place of the test's own values of those names.
  explicit Program(std::vector<std::string> words, std::vector<std::string> environment = {});
  ~Program();  ///< kills it, by its id, if it still runs
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  bool is_started() const noexcept { return pid_ > 0; }
  bool is_running() const noexcept;

  /// Sends `size` bytes of the pattern to standard input, ends it, and reads standard output to its
  /// end. Empty when the same bytes came back, else a sentence that also quotes standard error.
  std::string echo_problem(std::uint64_t size);
  /// Sends `input`, ends standard input, and gives all of standard output (1 MiB at most).
  std::string talk(std::string_view input = {});
  /// Waits for these words on standard error.
  bool wait_for_errors(std::string_view words);
  std::string errors();
  /// The exit code, 128 and the signal's number for a signal; nothing when it does not end in time.
  std::optional<int> wait();
  /// SIGTERM, then the exit code.
  std::optional<int> stop();

 private:
  void collect_errors();
  /// Moves bytes both ways until standard output ends. False: the time is over.
  template <class Source, class Sink>
  bool pump(Source source, Sink sink);

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1, pid_fd_ = -1;
  std::optional<int> code_;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string errors_;
  bool errors_over_ = false;
};

/// How often `word` stands in `text`.
std::size_t count_of(std::string_view text, std::string_view word);
/// Whether one of its lines, which end in LF or CR LF, ends with these words.
bool has_line(std::string_view text, std::string_view words);

}  // namespace streamkit::testing
