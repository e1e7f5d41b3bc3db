#include "http_pool.hpp"

#include <algorithm>
#include <array>

namespace streamkit::tunnel {

void UpstreamPool::put(std::string key, std::unique_ptr<io::Stream> stream) {
  if (limits_.per_key == 0 || limits_.total == 0) return;
  make_room(key);
  const std::uint64_t id = ++last_id_;
  stream->wait_readable([this, id, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) drop_id(id);
  });
  entries_.push_back({id, std::move(key), std::move(stream), io::now()});
  start_timer();
}

void UpstreamPool::make_room(std::string_view key) {
  const auto mine = [&](const Entry& entry) { return entry.key == key; };
  if (static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), mine)) >=
      limits_.per_key)
    entries_.erase(std::find_if(entries_.begin(), entries_.end(), mine));
  if (entries_.size() >= limits_.total) entries_.pop_front();
}

std::unique_ptr<io::Stream> UpstreamPool::take(std::string_view key, Duration max_age) {
  const TimePoint now = io::now();
  for (auto at = entries_.end(); at != entries_.begin();) {
    --at;
    if (at->key != key) continue;
    if (now - at->since >= std::min(max_age, limits_.idle)) return nullptr;  // the rest is older
    std::unique_ptr<io::Stream> stream = std::move(at->stream);
    at = entries_.erase(at);
    std::array<std::byte, 1> probe;
    const Result<std::size_t> got = stream->read_some(probe);
    if (!got && got.error().is(Errc::would_block)) return stream;
  }
  return nullptr;
}

void UpstreamPool::drop(std::string_view key) {
  entries_.remove_if([&](const Entry& entry) { return entry.key == key; });
}

void UpstreamPool::drop_id(std::uint64_t id) {
  entries_.remove_if([&](const Entry& entry) { return entry.id == id; });
}

void UpstreamPool::expire() {
  timer_running_ = false;
  const TimePoint now = io::now();
  while (!entries_.empty() && now - entries_.front().since >= limits_.idle) entries_.pop_front();
  start_timer();
}

// One timer for all, set for the oldest; entries that leave earlier only make it fire for nothing.
void UpstreamPool::start_timer() {
  if (timer_running_ || entries_.empty()) return;
  timer_running_ = true;
  timer_.start(after(entries_.front().since, limits_.idle), [this] { expire(); });
}

}  // namespace streamkit::tunnel
