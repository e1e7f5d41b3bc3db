// Scheduler: which of the channels that wait to send goes next. Rounds of turns (deficit round
// robin): in every round each waiting channel may send a quantum, sooner the lower its priority
// number, and who just came goes before who was served in the round before. So a bulk channel costs
// a small one at most one quantum of delay, whatever their priorities.
#pragma once

#include <cstdint>
#include <vector>

namespace streamkit::channel {

inline constexpr std::int64_t kQuantum = 32 * 1024;

/// A channel's part of the bookkeeping.
struct Turn {
  std::int64_t deficit = 0;        ///< bytes that may still be sent in this turn; negative: a debt
  std::uint64_t served_round = 0;  ///< the last round in which it had its turn
  bool waiting = false;
};

class Scheduler {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  /// The channel whose turn it is. Not when empty. It keeps the turn until pass() or leave().
  std::uint32_t next() noexcept;

  /// Has something to send, and may. No effect when it waits already.
  void join(std::uint32_t channel, std::uint32_t priority, Turn& turn);
  /// Has nothing more to send, or must not.
  void leave(std::uint32_t channel, Turn& turn);
  /// Ends the turn of next(); it waits on, for the next round.
  void pass(Turn& turn);

 private:
  struct Entry {
    std::uint64_t round;
    std::uint32_t priority;
    bool served;  ///< had a turn in the round before
    std::uint64_t ticket;
    std::uint32_t channel;
  };
  static bool later(const Entry& a, const Entry& b) noexcept;
  void push(Entry entry);

  std::vector<Entry> heap_;
  std::uint64_t round_ = 1;
  std::uint64_t tickets_ = 0;
};

}  // namespace streamkit::channel
