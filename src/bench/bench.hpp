// The benchmark: one row at a time, for one subject, in two processes of this program.
//
//   ours    through the public headers of the library only
//   limit   the least that any protocol with the same cipher can do: sockets and libcrypto, nothing
//   else tcp     the same work in clear text
//
// How much is measured stands beside each row (kStreamBytes and its like).
#pragma once

#include <streamkit/base/result.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::bench {

/// What to measure. The second process is told the same.
struct Task {
  std::string row;
  std::string subject = "ours";
  std::string variant;               ///< empty: the row's first one for the subject
  double scale = 1;                  ///< of the amount of work; above 0, at most kMaxScale
  std::size_t idle_channels = 0;     ///< held open beside the row's own; ours only
  std::size_t idle_connections = 0;  ///< the same
};

inline constexpr double kMaxScale = 100;
inline constexpr std::size_t kMaxIdleChannels = 200'000;
inline constexpr std::size_t kMaxIdleConnections = 4'000;  ///< a loopback address has 28,000 ports

/// What can be measured.
struct Entry {
  std::string_view row, subject, variant, unit;
  bool higher_is_better = true;
};
std::vector<Entry> entries();

/// Runs one task, both sides, and gives one line of JSON: the value, or why it was skipped. An
/// unknown row, subject or variant is Errc::usage. Not thread-safe: the process belongs to the
/// measurement.
Result<std::string> run(Task task);

/// The same in a process of its own (and a network of its own, unless `congestion` is empty), so
/// that no row feels what was measured before it.
Result<std::string> run_apart(const Task& task, const std::string& congestion);

/// The second process's part, which run() starts as `streamkit bench --serve ...`; `control` is the
/// socket between the two.
Result<void> serve(const Task& task, int control);

/// Puts this process into a network namespace of its own, with a loopback device and that
/// congestion control. The machine's own setting stays as it is. Before any thread is started.
Result<void> enter_network(const std::string& congestion);

/// What it ran on, as one JSON object: CPU, cores, kernel, congestion control, libraries.
std::string machine_json();

}  // namespace streamkit::bench
