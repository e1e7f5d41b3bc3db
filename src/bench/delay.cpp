// One channel over a long way: a proxy that holds every byte for 50 ms in each direction.
#include "gateway_load.hpp"
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <array>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <thread>

namespace streamkit::bench {
namespace {

constexpr auto kOneWay = std::chrono::milliseconds(50);
constexpr std::uint64_t kDelayedBytes = 1ull << 30;
constexpr std::uint64_t kWindow = 16 << 20;
constexpr std::uint64_t kStep = 256 * 1024;
constexpr std::size_t kMaxHeld = 64 << 20;  // more than any window; a direction

// One direction: one thread reads and stamps, the other writes when the time has come.
class Delay {
 public:
  Delay(const Fd& from, const Fd& to)
      : reader_([this, &from] { read(from); }), writer_([this, &to] { write(to); }) {}
  ~Delay() {
    reader_.join();
    writer_.join();
  }

 private:
  struct Piece {
    TimePoint due;
    Bytes bytes;  // empty: the end
  };

  void read(const Fd& from) {
    Bytes buffer(kChunk);
    while (true) {
      std::size_t n = 0;
      try {
        n = read_some(from, buffer);
      } catch (const std::exception&) {
        // A reset is an end here.
      }
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return held_ < kMaxHeld; });
      pieces_.push_back({io::now() + kOneWay, to_bytes(ByteView(buffer).first(n))});
      held_ += n;
      changed_.notify_all();
      if (n == 0) return;
    }
  }

  void write(const Fd& to) {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !pieces_.empty(); });
      const Piece piece = std::move(pieces_.front());
      pieces_.pop_front();
      held_ -= piece.bytes.size();
      changed_.notify_all();
      lock.unlock();
      std::this_thread::sleep_until(piece.due);
      try {
        piece.bytes.empty() ? end_write(to) : write_all(to, piece.bytes);
      } catch (const std::exception&) {
        // Nobody is there any more; what still comes is dropped.
      }
      if (piece.bytes.empty()) return;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> pieces_;
  std::size_t held_ = 0;
  std::thread reader_, writer_;
};

// The third process: one connection, delayed both ways, until both directions have ended.
void serve_proxy(Control& other, std::uint16_t target) {
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd from = accept_tcp(listener);
  const Fd to = connect_tcp(target);
  const Delay there(from, to), back(to, from);
}

Outcome measure_delayed(const Task& task, Control& other) {
  other.say({0});
  const double target = other.hear();
  Other proxy(task);
  proxy.control().say({target});
  Outcome outcome;
  {
    Client client(task, proxy.control());  // whose port it connects to
    Channel channel = client.open("sink");
    const std::uint64_t chunks = scaled(kDelayedBytes / kChunk, task);
    const Bytes chunk(kChunk);
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < chunks; ++i) channel.write(chunk).value();
    channel.close_write().value();
    if (other.hear() != static_cast<double>(chunks * kChunk))
      fail("the receiver counted something else than was sent");
    outcome.value = static_cast<double>(chunks * kChunk) / watch.elapsed() / 1e6;
    other.say({0});
  }
  proxy.finish();
  return outcome;
}

void serve_delayed(const Task& task, Control& other) {
  const double target = other.hear();
  if (target != 0) return serve_proxy(other, static_cast<std::uint16_t>(target));
  Server server(task);
  server.start(task, other);
  Channel channel = server.accept();
  Bytes buffer(kChunk);
  std::uint64_t got = 0;
  while (const Result<std::size_t> n = channel.read(buffer)) got += *n;
  other.say({static_cast<double>(got)});
  server.wait_for_end(other);
}

// ---------------------------------------------------------------- the limit

// Plain TCP that keeps a window of 16 MiB under way: the receiver sends a byte back for each step
// of it.
Outcome measure_window(const Task& task, Control& other) {
  const std::uint64_t steps = scaled(kDelayedBytes / kStep, task, 2);
  other.say({0});
  const double target = other.hear();
  Other proxy(task);
  proxy.control().say({target});
  Outcome outcome;
  {
    const Fd socket = connect_tcp(static_cast<std::uint16_t>(proxy.control().hear()));
    const Bytes step(kStep);
    std::uint64_t under_way = 0;
    const auto wait_for_one = [&] {
      std::byte back;
      if (!read_all(socket, {&back, 1})) fail("the receiver ended too early");
      --under_way;
    };
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (under_way == kWindow / kStep) wait_for_one();
      write_all(socket, step);
      ++under_way;
    }
    while (under_way > 0) wait_for_one();
    outcome.value = static_cast<double>(steps * kStep) / watch.elapsed() / 1e6;
    end_write(socket);
  }
  proxy.finish();
  return outcome;
}

void serve_window(const Task&, Control& other) {
  const double target = other.hear();
  if (target != 0) return serve_proxy(other, static_cast<std::uint16_t>(target));
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd socket = accept_tcp(listener);
  Bytes step(kStep);
  while (read_all(socket, step)) write_all(socket, ByteView(step).first(1));
}

}  // namespace

Rows delay_rows() {
  return {{{"delay-100ms", "ours", "default", "MB/s"}, measure_delayed, serve_delayed},
          {{"delay-100ms", "limit", "window", "MB/s"}, measure_window, serve_window}};
}

}  // namespace streamkit::bench
