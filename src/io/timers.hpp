// Timers: the deadlines of one Loop, earliest first.
#pragma once

#include <streamkit/base/time.hpp>

#include <atomic>
#include <cstddef>
#include <vector>

namespace streamkit::io {

/// A deadline in the heap, or none.
class Alarm {
 public:
  Alarm() = default;
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  bool is_set() const noexcept { return place_ != kNowhere; }
  TimePoint at() const noexcept { return at_; }
  /// On the Context: `at()` has come, and the alarm is not set any more.
  virtual void ring() = 0;

 protected:
  ~Alarm() = default;

 private:
  friend class Timers;
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  TimePoint at_ = kNever;
  std::size_t place_ = kNowhere;
};

/// A binary heap whose elements know their place. On the Context, save for next().
class Timers {
 public:
  void set(Alarm& alarm, TimePoint at);
  void clear(Alarm& alarm) noexcept;
  /// The earliest deadline; kNever without any. Any thread.
  TimePoint next() const noexcept { return next_.load(); }
  std::size_t size() const noexcept { return heap_.size(); }
  /// The earliest alarm if it is due, taken out; else nullptr.
  Alarm* take_due(TimePoint now) noexcept;

 private:
  void put(std::size_t place, Alarm* alarm) noexcept;
  void sift_up(std::size_t place) noexcept;
  void sift_down(std::size_t place) noexcept;
  void note_next() noexcept { next_.store(heap_.empty() ? kNever : heap_.front()->at_); }

  std::vector<Alarm*> heap_;
  std::atomic<TimePoint> next_{kNever};
};

}  // namespace streamkit::io
