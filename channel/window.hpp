// Windows (RFC 4254 section 5.2): how much the other side may still send on a channel, when it is
// told that it may send more, how a window grows to fit the path, and what all windows of a link
// may cost. Does not send anything: it says how much a WINDOW_ADJUST should give.
#pragma once

#include <streamkit/base/time.hpp>

#include <cstddef>
#include <cstdint>

namespace streamkit::channel {

/// The time a byte takes there and back, from whoever knows: measured by the driver, or seen in how
/// long after a WINDOW_ADJUST the bytes come that it allowed. Zero: not known.
class RoundTrip {
 public:
  void set(Duration measured) noexcept { measured_ = measured; }
  /// An upper bound; the smallest ever seen is kept.
  void saw(Duration at_most) noexcept;
  Duration value() const noexcept { return measured_ > Duration::zero() ? measured_ : seen_; }

 private:
  Duration measured_{0};
  Duration seen_{0};
};

/// What all windows of one link together may let in: `limit`, and `least` more for each window,
/// which it has in any case. So idle channels, however many, leave room for those that are used.
class ReceiveBudget {
 public:
  ReceiveBudget(std::size_t limit, std::size_t least) noexcept : limit_(limit), least_(least) {}

  /// A new channel's window: `initial` while there is plenty, less as the total nears half of the
  /// limit, the other half of which is for windows that grow; never less than the least.
  std::uint32_t admit(std::uint32_t initial) noexcept;
  /// Up to `want` more bytes for a window that exists; 0 when the total is used up.
  std::size_t take(std::size_t want) noexcept;
  /// Counts bytes that are there already and cannot be refused any more.
  void count(std::size_t bytes) noexcept { granted_ += bytes; }
  void give(std::size_t bytes) noexcept { granted_ -= bytes; }
  void leave() noexcept { --windows_; }
  /// A window had `before` bytes and has `after`.
  void note_size(std::size_t before, std::size_t after) noexcept;

  std::size_t granted() const noexcept { return granted_; }
  bool is_full() const noexcept { return left_of(limit_) == 0; }
  /// What each window that has more than the least may keep when there is not enough for all, and for
  /// one more.
  std::size_t fair_share() const noexcept { return least_ + limit_ / (large_ + 1); }

 private:
  std::size_t left_of(std::size_t limit) const noexcept {
    const std::size_t most = limit + windows_ * least_;
    return most > granted_ ? most - granted_ : 0;
  }

  std::size_t limit_, least_;
  std::size_t granted_ = 0;
  std::size_t windows_ = 0;
  std::size_t large_ = 0;  // of these, with more than the least
};

struct WindowLimits {
  std::uint32_t least;
  std::uint32_t most;
};

/// One channel's receive window. At any time: size = left + unread + freed.
class ReceiveWindow {
 public:
  /// `size` is what the budget has admitted.
  void open(std::uint32_t size, TimePoint now, ReceiveBudget& budget) noexcept;

  std::uint32_t size() const noexcept { return size_; }
  /// Bytes that the other side may still send.
  std::uint32_t left() const noexcept { return left_; }

  /// `n` bytes came. False: more than the window allowed.
  bool spend(std::size_t n, TimePoint now, RoundTrip& rtt) noexcept;
  /// `n` bytes that came were read, or dropped.
  void free(std::size_t n) noexcept { freed_ += static_cast<std::uint32_t>(n); }
  /// What to give back now; 0 until an eighth of the window was freed (a mebibyte of a large one, half
  /// of a small one). A window that is drained within four round trips doubles.
  std::uint32_t adjustment(TimePoint now, const RoundTrip& rtt, WindowLimits limits,
                           ReceiveBudget& budget) noexcept;
  /// Nothing more will be let in: the budget gets all of it back.
  void retire(ReceiveBudget& budget) noexcept;

 private:
  static constexpr std::uint32_t kLeastTold = 32 * 1024, kMostTold = 1024 * 1024;

  std::uint32_t worth_telling() const noexcept;
  void set_size(std::uint32_t size, ReceiveBudget& budget) noexcept;
  void shrink(WindowLimits limits, ReceiveBudget& budget) noexcept;
  void grow(TimePoint now, const RoundTrip& rtt, WindowLimits limits,
            ReceiveBudget& budget) noexcept;

  std::uint32_t size_ = 0;
  std::uint32_t left_ = 0;
  std::uint32_t freed_ = 0;
  std::uint32_t until_probe_ = 0;  ///< bytes that were allowed before the WINDOW_ADJUST we time
  bool probing_ = false;
  bool open_ = false;
  TimePoint probed_{};    ///< when that was
  TimePoint adjusted_{};  ///< when the window was last opened or adjusted
};

}  // namespace streamkit::channel
