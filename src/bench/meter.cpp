#include "meter.hpp"

#include <streamkit/io/context.hpp>

#include <algorithm>
#include <sys/resource.h>

namespace streamkit::bench {

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto in_seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

double seconds() {
  return std::chrono::duration<double>(io::now().time_since_epoch()).count();
}

double Samples::percentile(double part) {
  if (ns_.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(ns_.size() - 1));
  std::nth_element(ns_.begin(), ns_.begin() + static_cast<std::ptrdiff_t>(at), ns_.end());
  return static_cast<double>(ns_[at]) / 1e3;
}

Outcome skipped(std::string why) {
  Outcome outcome;
  outcome.skipped = std::move(why);
  return outcome;
}

Outcome throughput(std::uint64_t bytes, double elapsed, double cpu) {
  Outcome outcome;
  outcome.value = static_cast<double>(bytes) / elapsed / 1e6;
  outcome.cpu_s_per_gb = cpu / (static_cast<double>(bytes) / 1e9);
  return outcome;
}

Outcome round_trips(Samples& samples) {
  Outcome outcome;
  outcome.p50_us = samples.percentile(0.5);
  outcome.p99_us = samples.percentile(0.99);
  outcome.value = *outcome.p50_us;
  return outcome;
}

}  // namespace streamkit::bench
