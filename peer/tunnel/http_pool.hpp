// UpstreamPool: upstreams that finished a response and may serve another request.
//
// An idle upstream has nothing to say. One that becomes readable, be it for its end or for bytes
// that nobody asked for, is dropped.
#pragma once

#include <streamkit/base/time.hpp>
#include <streamkit/io/context.hpp>
#include <streamkit/io/stream.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace streamkit::tunnel {

/// Use it on its Context only.
class UpstreamPool {
 public:
  struct Limits {
    std::size_t per_key;
    std::size_t total;
    Duration idle;
  };
  UpstreamPool(io::Context& context, Limits limits) : timer_(context), limits_(limits) {}

  void put(std::string key, std::unique_ptr<io::Stream> stream);
  /// The one of `key` that was used last, if that was less than `max_age` ago; else nullptr.
  std::unique_ptr<io::Stream> take(std::string_view key, Duration max_age);
  void drop(std::string_view key);
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t id;
    std::string key;
    std::unique_ptr<io::Stream> stream;
    TimePoint since;
  };
  void drop_id(std::uint64_t id);
  void make_room(std::string_view key);
  void expire();
  void start_timer();

  std::list<Entry> entries_;  // the oldest first
  std::uint64_t last_id_ = 0;
  io::Timer timer_;
  bool timer_running_ = false;
  Limits limits_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for tasks that outlive us
};

}  // namespace streamkit::tunnel
