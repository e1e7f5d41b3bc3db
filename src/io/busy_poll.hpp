// BusyPoll: how long a driver looks for events before it sleeps. No clock and no I/O.
//
// Sleeping and being woken cost some 25 us each, more than all the rest of a small round trip. So,
// unless somebody chose a time, a driver whose turns move little looks for the answer for about as
// long as a neighbour needs for it, if that helped the last few times; now and then it tries. Who
// streams in bulk, who waits for long and who has to share the processor sleeps at once.
#pragma once

#include <streamkit/base/time.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

namespace streamkit::io {

class BusyPoll {
 public:
  static constexpr std::chrono::microseconds kLook{100};
  static constexpr std::size_t kLittle = 4096;               ///< bytes that a turn moves
  static constexpr unsigned kOften = 32, kSeldom = 8192;     ///< one turn in so many is a trial
  static constexpr unsigned kMostHopes = 4, kMissCosts = 2;  ///< a hit is worth one

  /// `by_itself`: whether it decides when nobody has chosen; else it sleeps at once then.
  explicit BusyPoll(bool by_itself) noexcept
      : default_(by_itself ? kByItself : Duration::zero()), chosen_(default_) {}

  /// Any thread. Nothing: by itself.
  void choose(std::optional<Duration> duration) noexcept {
    chosen_.store(duration.value_or(default_));
  }
  /// On the Context: a stream has read or written so many bytes.
  void moved(std::size_t bytes) noexcept {
    moved_.store(moved_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }

  // ---- the driver, before and after it has looked
  /// How long to look now. Zero or less: not at all.
  Duration next() noexcept {
    const Duration chosen = chosen_.load(std::memory_order_relaxed);
    if (chosen != kByItself) return chosen;
    if (moved_.exchange(0, std::memory_order_relaxed) > kLittle) hopes_ = turns_ = 0;
    return hopes_ > 0 || ++turns_ % trial_ == 0 ? kLook : Duration::zero();
  }
  /// What came of it, and by how much it took longer than it should have.
  void looked(bool found, Duration late) noexcept {
    if (late > kLook) {  // others are busy on this processor: whoever sleeps is woken before them
      hopes_ = turns_ = 0;
      trial_ = std::min(trial_ * 4, kSeldom);
    } else if (found) {
      hopes_ = std::min(hopes_ + 1, kMostHopes);
      trial_ = kOften;
    } else {
      hopes_ -= std::min(hopes_, kMissCosts);
    }
  }

 private:
  static constexpr Duration kByItself{-1};

  const Duration default_;
  std::atomic<Duration> chosen_;
  std::atomic<std::size_t> moved_{0};  // since next()
  unsigned hopes_ = 0, turns_ = 0, trial_ = kOften;
};

/// Whether the cgroup that is named in `groups_file` (as /proc/self/cgroup), or one above it, may
/// use the processor for a part of the time only. cgroup v2, mounted at `root`.
bool has_quota(const std::string& groups_file, const std::string& root);
/// Whether this process may use several processors, for as long as it likes.
bool has_processors_to_spare();

}  // namespace streamkit::io
