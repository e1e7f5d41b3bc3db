// Pipe: one direction of a simulated stream. Bytes arrive after a latency, a few at a time if the
// dice say so; it can be ended in order and broken.
#pragma once

#include "dice.hpp"

#include <streamkit/base/time.hpp>

#include <deque>

namespace streamkit::simulation {

class Pipe {
 public:
  Pipe(Duration latency, std::size_t capacity) : latency_(latency), capacity_(capacity) {}

  /// Takes a prefix of at most `most` bytes, 0 when what is under way fills the pipe. After the end
  /// bytes fall into the gap, as they do on a connection whose other side has gone.
  std::size_t write(ByteView bytes, std::size_t most, TimePoint now) {
    if (is_broken_ || is_ended_ || is_abandoned_) return std::min(bytes.size(), most);
    const std::size_t n = std::min({bytes.size(), most, capacity_ - under_way_});
    if (n == 0) return 0;
    under_way_ += n;
    last_arrival_ = std::max(last_arrival_, after(now, latency_));
    segments_.push_back({to_bytes(bytes.first(n)), 0, last_arrival_});
    return n;
  }
  std::size_t read(MutableByteView room, TimePoint now) {
    std::size_t n = 0;
    while (n < room.size() && has_arrived(now)) {
      Segment& s = segments_.front();
      const std::size_t step = std::min(room.size() - n, s.bytes.size() - s.at);
      std::copy_n(s.bytes.begin() + static_cast<std::ptrdiff_t>(s.at), step,
                  room.begin() + static_cast<std::ptrdiff_t>(n));
      n += step, s.at += step;
      if (s.at == s.bytes.size()) segments_.pop_front();
    }
    under_way_ -= n;
    return n;
  }
  bool has_arrived(TimePoint now) const {
    return !segments_.empty() && segments_.front().arrives <= now;
  }
  /// Nothing comes any more, now or later.
  bool is_at_end() const { return segments_.empty() && (is_ended_ || is_broken_); }
  TimePoint next_arrival() const { return segments_.empty() ? kNever : segments_.front().arrives; }
  std::size_t under_way() const { return under_way_; }

  void end() { is_ended_ = true; }
  /// Nobody reads any more.
  void abandon() { is_abandoned_ = true, segments_.clear(), under_way_ = 0; }
  /// What is under way is lost, but for the first `kept` pieces of it.
  void cut(std::size_t kept) {
    is_broken_ = true;
    while (segments_.size() > kept)
      under_way_ -= segments_.back().bytes.size() - segments_.back().at, segments_.pop_back();
  }

 private:
  struct Segment {
    Bytes bytes;
    std::size_t at;
    TimePoint arrives;
  };
  Duration latency_;
  std::size_t capacity_, under_way_ = 0;
  TimePoint last_arrival_{};
  std::deque<Segment> segments_;
  bool is_ended_ = false, is_broken_ = false, is_abandoned_ = false;
};

}  // namespace streamkit::simulation
