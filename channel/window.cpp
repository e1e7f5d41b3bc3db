// Receive windows: spending, giving back in parts, growing by measured round trips, one budget a
// link.
#include "window.hpp"

#include <algorithm>

namespace streamkit::channel {

void RoundTrip::saw(Duration at_most) noexcept {
  if (at_most <= Duration::zero()) return;
  seen_ = seen_ == Duration::zero() ? at_most : std::min(seen_, at_most);
}

// ---- the budget of a link

std::uint32_t ReceiveBudget::admit(std::uint32_t initial) noexcept {
  // A quarter of what is left: the last channels before the limit get less, rather than nothing.
  const std::size_t least = std::min<std::size_t>(initial, least_);
  const std::size_t size = std::clamp<std::size_t>(left_of(limit_ / 2) / 4, least, initial);
  granted_ += size;
  ++windows_;
  return static_cast<std::uint32_t>(size);
}

std::size_t ReceiveBudget::take(std::size_t want) noexcept {
  const std::size_t n = std::min(want, left_of(limit_));
  granted_ += n;
  return n;
}

void ReceiveBudget::note_size(std::size_t before, std::size_t after) noexcept {
  large_ += after > least_ ? 1 : 0;
  large_ -= before > least_ ? 1 : 0;
}

// ---- one window

void ReceiveWindow::set_size(std::uint32_t size, ReceiveBudget& budget) noexcept {
  budget.note_size(size_, size);
  size_ = size;
}

void ReceiveWindow::open(std::uint32_t size, TimePoint now, ReceiveBudget& budget) noexcept {
  set_size(size, budget);
  left_ = size;
  freed_ = 0;
  adjusted_ = now;
  open_ = true;
}

bool ReceiveWindow::spend(std::size_t n, TimePoint now, RoundTrip& rtt) noexcept {
  if (n > left_) return false;
  left_ -= static_cast<std::uint32_t>(n);
  if (probing_ && n > until_probe_) {
    // The first byte that only the adjustment allowed: it cannot be younger than one round trip.
    probing_ = false;
    rtt.saw(now - probed_);
  } else if (probing_) {
    until_probe_ -= static_cast<std::uint32_t>(n);
  }
  return true;
}

std::uint32_t ReceiveWindow::adjustment(TimePoint now, const RoundTrip& rtt, WindowLimits limits,
                                        ReceiveBudget& budget) noexcept {
  if (!open_ || freed_ == 0 || freed_ < worth_telling()) return 0;
  if (budget.is_full()) {
    shrink(limits, budget);
  } else {
    grow(now, rtt, limits, budget);
  }
  const std::uint32_t bytes = freed_;
  if (bytes == 0) return 0;
  if (!probing_) {
    probing_ = true;
    probed_ = now;
    until_probe_ = left_;
  }
  left_ += bytes;
  freed_ = 0;
  adjusted_ = now;
  return bytes;
}

/// What was freed is told in eighths of a window, and of a large one sooner, so that what nobody has
/// heard of yet hardly takes from what can be under way; a small window is told of by halves, or
/// there would be an adjustment for every message.
std::uint32_t ReceiveWindow::worth_telling() const noexcept {
  return std::max(std::min(size_ / 8, kMostTold), std::min(size_ / 2, kLeastTold));
}

void ReceiveWindow::grow(TimePoint now, const RoundTrip& rtt, WindowLimits limits,
                         ReceiveBudget& budget) noexcept {
  const Duration round_trip = rtt.value();
  if (size_ >= limits.most || round_trip == Duration::zero()) return;
  // At this pace, is the whole window drained within four round trips?
  const double parts = static_cast<double>(size_) / static_cast<double>(freed_);
  if (std::chrono::duration<double>(now - adjusted_) * parts >= 4 * round_trip) return;
  const auto more =
      static_cast<std::uint32_t>(budget.take(std::min<std::size_t>(size_, limits.most - size_)));
  set_size(size_ + more, budget);
  freed_ += more;
}

void ReceiveWindow::shrink(WindowLimits limits, ReceiveBudget& budget) noexcept {
  const std::size_t fair = std::max<std::size_t>(limits.least, budget.fair_share());
  if (size_ <= fair) return;
  const auto less = static_cast<std::uint32_t>(std::min<std::size_t>(freed_, size_ - fair));
  set_size(size_ - less, budget);
  freed_ -= less;
  budget.give(less);
}

void ReceiveWindow::retire(ReceiveBudget& budget) noexcept {
  if (!open_) return;
  open_ = false;
  budget.give(size_);
  budget.leave();
  set_size(0, budget);
  left_ = freed_ = 0;
}

}  // namespace streamkit::channel
