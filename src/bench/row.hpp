// A row of the table, and what each file of this folder adds to it.
#pragma once

#include "bench.hpp"
#include "meter.hpp"
#include "process.hpp"

#include <algorithm>

namespace streamkit::bench {

struct Row {
  Entry entry;
  /// The measuring side.
  Outcome (*measure)(const Task& task, Control& other);
  /// The other process's side; null for what one process does alone.
  void (*serve)(const Task& task, Control& other);
};

using Rows = std::vector<Row>;
Rows limit_stream_rows();
Rows limit_ping_rows();
Rows our_stream_rows();
Rows our_ping_rows();
Rows our_channel_rows();
Rows our_beside_rows();
Rows limit_beside_rows();
Rows our_gateway_rows();
Rows limit_gateway_rows();
Rows http_rows();
Rows delay_rows();
Rows connect_rows();
Rows inproc_rows();

/// That part of an amount of work, at least `least`.
inline std::uint64_t scaled(std::uint64_t amount, const Task& task, std::uint64_t least = 1) {
  return std::max(least, static_cast<std::uint64_t>(static_cast<double>(amount) * task.scale));
}

// What is measured, at scale 1.
inline constexpr std::uint64_t kStreamBytes = 4ull << 30;
inline constexpr std::uint64_t kPings = 50'000;
inline constexpr std::uint64_t kSpinningPings = 200'000;
inline constexpr std::size_t kPingSize = 64;
inline constexpr std::size_t kChunk = 256 * 1024;  // one write of an application that streams

}  // namespace streamkit::bench
