// Time as an argument. Only src/io reads a clock; every other room is told what time it is.
#pragma once

#include <chrono>

namespace streamkit {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::steady_clock::time_point;

/// "Never", for deadlines.
inline constexpr TimePoint kNever = TimePoint::max();

/// `at + wait`, saturating at kNever.
constexpr TimePoint after(TimePoint at, Duration wait) noexcept {
  return wait > kNever - at ? kNever : at + std::chrono::duration_cast<TimePoint::duration>(wait);
}

}  // namespace streamkit
