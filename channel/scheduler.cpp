// A heap ordered by round, priority, freshness and arrival.
#include "scheduler.hpp"

#include <algorithm>
#include <tuple>

namespace streamkit::channel {

bool Scheduler::later(const Entry& a, const Entry& b) noexcept {
  return std::tie(a.round, a.priority, a.served, a.ticket) >
         std::tie(b.round, b.priority, b.served, b.ticket);
}

void Scheduler::push(Entry entry) {
  heap_.push_back(entry);
  std::push_heap(heap_.begin(), heap_.end(), later);
}

std::uint32_t Scheduler::next() noexcept {
  round_ = heap_.front().round;
  return heap_.front().channel;
}

void Scheduler::join(std::uint32_t channel, std::uint32_t priority, Turn& turn) {
  if (turn.waiting) return;
  turn.waiting = true;
  if (heap_.empty()) ++round_;
  // Who had its turn in this round already does not get another one by leaving and coming back.
  const bool served = turn.served_round == round_;
  push({served ? round_ + 1 : round_, priority, served, ++tickets_, channel});
}

void Scheduler::leave(std::uint32_t channel, Turn& turn) {
  if (!turn.waiting) return;
  turn.waiting = false;
  if (heap_.front().channel == channel) {
    turn.served_round = round_;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  } else {
    std::erase_if(heap_, [channel](const Entry& e) { return e.channel == channel; });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }
  turn.deficit = std::min<std::int64_t>(turn.deficit, 0);
}

void Scheduler::pass(Turn& turn) {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Entry entry = heap_.back();
  heap_.pop_back();
  turn.served_round = entry.round;
  push({entry.round + 1, entry.priority, true, ++tickets_, entry.channel});
}

}  // namespace streamkit::channel
