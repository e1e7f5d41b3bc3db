// What is counted: a hot path does its operation n times inside counted(), and what it needs for
// that outside.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace streamkit::counts {

struct Path {
  std::string name;
  std::uint64_t operations;  ///< how often `run` is to do it, at least
  bool has_instructions;     ///< one thread, and code that every CPU runs alike
  std::function<void(std::uint64_t operations)> run;
  bool is_available = true;  ///< on this CPU
};
using Paths = std::vector<Path>;

Paths paths_of_packets();
Paths paths_of_channels();
Paths paths_of_peers();

/// Runs `work`. Allocations are counted inside of it only, and callgrind is told to look at the
/// function of this name only (--toggle-collect).
extern "C" void streamkit_counted_region(const std::function<void()>& work);
inline void counted(const std::function<void()>& work) {
  streamkit_counted_region(work);
}

/// Calls of malloc and its like by any thread while counted() ran.
std::uint64_t allocations() noexcept;

/// Ends the program: a path that does not do its work has no numbers.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "hot_paths: %s\n", what);
  std::_Exit(1);
}

}  // namespace streamkit::counts
