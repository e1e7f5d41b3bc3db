#include "timers.hpp"

#include <algorithm>
#include <utility>

namespace streamkit::io {

void Timers::put(std::size_t place, Alarm* alarm) noexcept {
  heap_[place] = alarm;
  alarm->place_ = place;
}

void Timers::sift_up(std::size_t place) noexcept {
  Alarm* const alarm = heap_[place];
  for (; place > 0; place = (place - 1) / 2) {
    Alarm* const above = heap_[(place - 1) / 2];
    if (above->at_ <= alarm->at_) break;
    put(place, above);
  }
  put(place, alarm);
}

void Timers::sift_down(std::size_t place) noexcept {
  Alarm* const alarm = heap_[place];
  for (std::size_t below = 2 * place + 1; below < heap_.size(); below = 2 * place + 1) {
    if (below + 1 < heap_.size() && heap_[below + 1]->at_ < heap_[below]->at_) ++below;
    if (alarm->at_ <= heap_[below]->at_) break;
    put(place, heap_[below]);
    place = below;
  }
  put(place, alarm);
}

void Timers::set(Alarm& alarm, TimePoint at) {
  if (!alarm.is_set()) {
    heap_.push_back(&alarm);
    alarm.place_ = heap_.size() - 1;
  }
  alarm.at_ = at;
  sift_up(alarm.place_);
  sift_down(alarm.place_);
  note_next();
}

void Timers::clear(Alarm& alarm) noexcept {
  const std::size_t place = std::exchange(alarm.place_, Alarm::kNowhere);
  if (place == Alarm::kNowhere) return;
  Alarm* const last = heap_.back();
  heap_.pop_back();
  if (last != &alarm) {
    put(place, last);
    sift_up(place);
    sift_down(last->place_);
  }
  note_next();
}

Alarm* Timers::take_due(TimePoint now) noexcept {
  if (heap_.empty() || heap_.front()->at_ > now) return nullptr;
  Alarm* const due = heap_.front();
  clear(*due);
  return due;
}

}  // namespace streamkit::io
