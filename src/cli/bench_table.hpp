// Many measurements: rounds that take turns, what their medians are, and how that looks.
#pragma once

#include <bench/bench.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace streamkit::cli {

struct BenchPlan {
  std::vector<std::string> rows;      ///< empty: all
  std::vector<std::string> subjects;  ///< empty: all
  unsigned rounds = 5;
  bench::Task task;  ///< scale, and what is idle beside every row
  std::string congestion;
  bool json = false;
};

inline constexpr unsigned kMaxRounds = 100;

/// Measures all of it: progress on stderr, the table (or one JSON object) on stdout. False when a
/// measurement failed.
Result<bool> run_plan(const BenchPlan& plan);

}  // namespace streamkit::cli
