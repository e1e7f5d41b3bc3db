// What is measured: time, CPU time of a process, percentiles; and the outcome of a row.
#pragma once

#include <streamkit/base/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace streamkit::bench {

/// CPU seconds of this process so far, user and system.
double cpu_seconds();
/// Seconds of a clock that only goes forward.
double seconds();

class Stopwatch {
 public:
  double elapsed() const { return seconds() - at_; }
  double cpu() const { return cpu_seconds() - cpu_; }

 private:
  double at_ = seconds();
  double cpu_ = cpu_seconds();
};

/// Round trips, in nanoseconds.
class Samples {
 public:
  explicit Samples(std::size_t expected) { ns_.reserve(expected); }
  void add(TimePoint from, TimePoint to) { ns_.push_back((to - from).count()); }
  std::size_t count() const noexcept { return ns_.size(); }
  /// Microseconds; `part` is 0..1.
  double percentile(double part);

 private:
  std::vector<std::int64_t> ns_;
};

struct Outcome {
  double value = 0;
  std::optional<double> cpu_s_per_gb, p50_us, p99_us, bulk_mb_s;
  std::string notes;
  std::string skipped;  ///< why there is no value
};

Outcome skipped(std::string why);
/// MB/s and CPU seconds a GB (10^6, 10^9 bytes); `cpu` is both sides'.
Outcome throughput(std::uint64_t bytes, double elapsed, double cpu);
Outcome round_trips(Samples& samples);

}  // namespace streamkit::bench
