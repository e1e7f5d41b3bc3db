// A ping channel beside a channel that always has more to send, on one link.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <atomic>
#include <thread>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kPingsBeside = 5'000;
constexpr std::uint64_t kBulkWarmUp = 256 << 20;  // until windows and buffers have grown
constexpr std::uint32_t kPingPriority =
    10;  // of the variant "priority", which is by completions too

// Keeps the bulk channel full until it is told to stop; `written` is what the link has taken.
class Bulk {
 public:
  Bulk(Channel channel, bool by_completions) : channel_(std::move(channel)) {
    if (by_completions) {
      next();
    } else {
      thread_ = std::thread([this] { write(); });
    }
  }
  ~Bulk() { stop(); }
  std::uint64_t written() const { return written_; }
  void stop() {
    if (stopping_.exchange(true)) return;
    if (thread_.joinable()) thread_.join();
    stopped_.get();
  }

 private:
  void write() {
    while (!stopping_ && channel_.write(chunk_)) written_ += chunk_.size();
    finish_.now();
  }
  void next() {
    channel_.async_write(chunk_, [this](Result<void> r) {
      if (r) written_ += chunk_.size();
      if (!r || stopping_) return finish_.now();
      next();
    });
  }

  Channel channel_;
  const Bytes chunk_ = Bytes(kChunk);
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> written_ = 0;
  Finish finish_;
  std::future<void> stopped_ = finish_.future();
  std::thread thread_;
};

Outcome measure_beside(const Task& task, Control& other) {
  if (std::string why = why_not(task); !why.empty()) return skipped(std::move(why));
  Client client(task, other);
  OpenOptions options;
  if (task.variant == "priority") options.priority = kPingPriority;
  Channel pings = client.open("echo", std::move(options));
  const bool by_completions = task.variant != "blocking";
  Bulk bulk(client.open("sink"), by_completions);
  while (bulk.written() < scaled(kBulkWarmUp, task)) std::this_thread::yield();

  const std::uint64_t count = scaled(kPingsBeside, task, 10);
  Samples samples(count);
  const std::uint64_t before = bulk.written();
  const Stopwatch watch;
  if (by_completions) {
    ping_by_completions(pings, 0, count, samples);
  } else {
    Bytes ping(kPingSize);
    for (std::uint64_t i = 0; i < count; ++i) {
      const TimePoint from = io::now();
      pings.write(ping).value();
      for (MutableByteView rest = ping; !rest.empty();)
        rest = rest.subspan(pings.read(rest).value());
      samples.add(from, io::now());
    }
  }
  // A chunk counts when all of it has gone, and few pings may fit between two of them.
  while (bulk.written() == before) std::this_thread::yield();
  const double bulk_mb_s = static_cast<double>(bulk.written() - before) / watch.elapsed() / 1e6;
  bulk.stop();
  other.say({0});
  Outcome outcome = round_trips(samples);
  outcome.bulk_mb_s = bulk_mb_s;
  return outcome;
}

// Reads and drops, or sends back, on the Context, until the channel ends.
struct Reader {
  Channel channel;
  bool answers;
  Bytes buffer;

  static void next(const std::shared_ptr<Reader>& self) {
    self->channel.async_read(self->buffer, [self](Result<std::size_t> n) {
      if (!n) return void(self->channel.close_write());
      if (!self->answers) return next(self);
      self->channel.async_write(ByteView(self->buffer).first(*n), [self](Result<void> r) {
        if (r) next(self);
      });
    });
  }
};

void serve_beside(const Task& task, Control& other) {
  if (!why_not(task).empty()) return;
  Server server(task);
  const auto serve = [&](const char* service, bool answers, std::size_t buffer) {
    server.peer().on_open(service, [=](Incoming incoming) {
      if (Result<Channel> channel = incoming.accept())
        Reader::next(std::make_shared<Reader>(Reader{std::move(*channel), answers, Bytes(buffer)}));
    });
  };
  serve("echo", true, kPingSize);
  serve("sink", false, kChunk);
  server.start(task, other);
  server.wait_for_end(other);
}

}  // namespace

Rows our_beside_rows() {
  Rows rows;
  for (const char* variant : {"completion", "blocking", "priority", "completion-fast"})
    rows.push_back(
        {{"ping-beside-bulk", "ours", variant, "us", false}, measure_beside, serve_beside});
  return rows;
}

}  // namespace streamkit::bench
