// Inside one process: a producer thread and a consumer thread, over Channel::pair() (frames copied, or
// moved: `owned`) and, as the limit, over a ring without locks.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <atomic>
#include <cstring>
#include <iterator>
#include <mutex>
#include <thread>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kMessages64 = 20'000'000, kRingMessages64 = 100'000'000;
constexpr std::uint64_t kSmallBytes = 4ull << 30, kLargeBytes = 16ull << 30,
                        kRingBytes = 64ull << 30;
constexpr std::size_t kRingSize = 1 << 20;

std::size_t message_size(const Task& task) {
  return task.row == "inproc-64" ? 64 : task.row == "inproc-4k" ? 4096 : 65536;
}

std::uint64_t message_count(const Task& task, std::uint64_t of_64, std::uint64_t bytes) {
  const std::size_t size = message_size(task);
  return scaled(size == 64 ? of_64 : bytes / size, task, 10);
}

// M/s for the small ones, GB/s for the others.
Outcome rate(const Task& task, std::uint64_t count, double elapsed) {
  Outcome outcome;
  const double each = static_cast<double>(count) / elapsed;
  outcome.value =
      task.row == "inproc-64" ? each / 1e6 : each * static_cast<double>(message_size(task)) / 1e9;
  return outcome;
}

// ---------------------------------------------------------------- ours

// Frames that go from the consumer back to the producer, to be filled again: what a program does
// that moves buffers and does not want to allocate each of them.
class SpareFrames {
 public:
  void give(Bytes frame) {
    given_.push_back(std::move(frame));
    if (given_.size() < kBatch) return;
    const std::lock_guard lock(mutex_);
    std::move(given_.begin(), given_.end(), std::back_inserter(spares_));
    given_.clear();
  }
  Bytes take(std::size_t size) {
    if (taken_.empty()) {
      const std::lock_guard lock(mutex_);
      taken_.swap(spares_);
    }
    if (taken_.empty()) return Bytes(size);
    Bytes frame = std::move(taken_.back());
    taken_.pop_back();
    return frame;
  }

 private:
  static constexpr std::size_t kBatch = 16;
  std::vector<Bytes> given_;  // the consumer's
  std::vector<Bytes> taken_;  // the producer's
  std::mutex mutex_;
  std::vector<Bytes> spares_;
};

void produce(const Task& task, Channel& channel, std::uint64_t count, SpareFrames& spares) {
  const std::size_t size = message_size(task);
  const Bytes message(size, std::byte{1});
  if (task.variant == "readiness") {
    ReadyWriter writer{channel, message, count};
    auto done = writer.finish.future();
    writer.begin();
    done.get();
  } else if (task.variant == "owned") {
    for (std::uint64_t i = 0; i < count; ++i) {
      Bytes frame = spares.take(size);
      frame.back() = std::byte{1};  // of what moves, only this is looked at
      channel.write_frame(std::move(frame)).value();
    }
  } else {
    for (std::uint64_t i = 0; i < count; ++i) channel.write_frame(message).value();
  }
}

std::uint64_t consume(const Task& task, Channel& channel, SpareFrames& spares) {
  const std::size_t size = message_size(task);
  if (task.variant == "readiness") {
    ReadyReader reader{channel, size};
    auto done = reader.finish.future();
    reader.begin();
    done.get();
    return reader.got;
  }
  std::uint64_t got = 0;
  while (Result<Bytes> frame = channel.read_frame()) {
    if (frame->size() != size || frame->back() != std::byte{1}) break;
    ++got;
    if (task.variant != "owned") continue;
    frame->back() = std::byte{0};
    spares.give(std::move(*frame));
  }
  return got;
}

Outcome measure_pair(const Task& task, Control&) {
  const std::uint64_t count =
      message_count(task, kMessages64, message_size(task) > 4096 ? kLargeBytes : kSmallBytes);
  auto [sender, receiver] = Channel::pair();
  SpareFrames spares;
  const Stopwatch watch;
  std::thread producer([&, channel = std::move(sender)]() mutable {
    produce(task, channel, count, spares);
    channel.close_write().value();
    (void)channel.wait_closed();
  });
  const std::uint64_t got = consume(task, receiver, spares);
  const double elapsed = watch.elapsed();
  (void)receiver.close();
  producer.join();
  if (got != count) fail("the consumer got something else than was sent");
  return rate(task, count, elapsed);
}

Outcome measure_pair_ping(const Task& task, Control&) {
  auto [here, there] = Channel::pair();
  std::thread echo([channel = std::move(there)]() mutable {
    Bytes ping(kPingSize);
    while (const Result<std::size_t> n = channel.read(ping))
      if (!channel.write(ByteView(ping).first(*n))) break;
    (void)channel.close();
  });
  const std::uint64_t count = scaled(kPings, task, 10);
  Samples samples(count);
  Bytes ping(kPingSize);
  for (std::uint64_t i = 0; i < count; ++i) {
    const TimePoint from = io::now();
    here.write(ping).value();
    for (MutableByteView rest = ping; !rest.empty();) rest = rest.subspan(here.read(rest).value());
    samples.add(from, io::now());
  }
  (void)here.close();
  echo.join();
  return round_trips(samples);
}

// ---------------------------------------------------------------- the limit

// One producer, one consumer; messages of one size, copied in, read where they lie. Each side looks
// at the other's counter only when its own copy of it says full or empty.
class Ring {
 public:
  explicit Ring(std::size_t message)
      : message_(message), slots_(kRingSize / message), bytes_(kRingSize) {}

  void push(const std::byte* message) {
    while (head_ - tail_seen_ == slots_) tail_seen_ = wait_for_change(tail_, tail_seen_);
    std::memcpy(slot(head_), message, message_);
    published_.store(++head_, std::memory_order_release);
  }
  const std::byte* front() {
    while (taken_ == head_seen_) head_seen_ = wait_for_change(published_, head_seen_);
    return slot(taken_);
  }
  void pop() { tail_.store(++taken_, std::memory_order_release); }

 private:
  std::byte* slot(std::uint64_t number) { return bytes_.data() + number % slots_ * message_; }
  static std::uint64_t wait_for_change(const std::atomic<std::uint64_t>& counter,
                                       std::uint64_t old) {
    for (unsigned spins = 0;; ++spins) {
      const std::uint64_t now = counter.load(std::memory_order_acquire);
      if (now != old) return now;
      if (spins % 1024 == 1023) std::this_thread::yield();
    }
  }

  const std::size_t message_, slots_;
  Bytes bytes_;
  alignas(64) std::atomic<std::uint64_t> published_ = 0;
  alignas(64) std::atomic<std::uint64_t> tail_ = 0;
  alignas(64) std::uint64_t head_ = 0;  // the producer's
  std::uint64_t tail_seen_ = 0;
  alignas(64) std::uint64_t taken_ = 0;  // the consumer's
  std::uint64_t head_seen_ = 0;
};

Outcome measure_ring(const Task& task, Control&) {
  const std::size_t size = message_size(task);
  const std::uint64_t count = message_count(task, kRingMessages64, kRingBytes);
  Ring ring(size);
  const Stopwatch watch;
  std::thread producer([&] {
    const Bytes message(size, std::byte{1});
    for (std::uint64_t i = 0; i < count; ++i) ring.push(message.data());
  });
  std::uint64_t got = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    got += std::to_integer<unsigned>(ring.front()[size - 1]);
    ring.pop();
  }
  const double elapsed = watch.elapsed();
  producer.join();
  if (got != count) fail("the consumer got something else than was sent");
  return rate(task, count, elapsed);
}

Outcome measure_ring_ping(const Task& task, Control&) {
  const std::uint64_t count = scaled(kSpinningPings, task, 10);
  Ring there(kPingSize), back(kPingSize);
  std::thread echo([&] {
    for (std::uint64_t i = 0; i < count; ++i) {
      back.push(there.front());
      there.pop();
    }
  });
  const Bytes ping(kPingSize);
  Samples samples(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const TimePoint from = io::now();
    there.push(ping.data());
    back.front();
    back.pop();
    samples.add(from, io::now());
  }
  echo.join();
  return round_trips(samples);
}

}  // namespace

Rows inproc_rows() {
  Rows rows;
  for (const char* row : {"inproc-64", "inproc-4k", "inproc-64k"}) {
    const char* unit = std::string_view(row) == "inproc-64" ? "M/s" : "GB/s";
    // Small frames by readiness, large ones moved, are how a program gets the most.
    rows.push_back({{row, "ours", "blocking", unit}, measure_pair, nullptr});
    if (std::string_view(row) != "inproc-64k")
      rows.push_back({{row, "ours", "readiness", unit}, measure_pair, nullptr});
    if (std::string_view(row) != "inproc-64")
      rows.push_back({{row, "ours", "owned", unit}, measure_pair, nullptr});
    rows.push_back({{row, "limit", "ring", unit}, measure_ring, nullptr});
  }
  rows.push_back({{"inproc-ping", "ours", "blocking", "us", false}, measure_pair_ping, nullptr});
  rows.push_back({{"inproc-ping", "limit", "ring", "us", false}, measure_ring_ping, nullptr});
  return rows;
}

}  // namespace streamkit::bench
