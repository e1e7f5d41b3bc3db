// There and back on one channel: 64 bytes, by blocking calls and by completions.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kWarmUp = 1000;
constexpr auto kBusyPoll = std::chrono::seconds(1);  // longer than any wait for a ping

bool is_completion(const Task& task) {
  return task.variant.starts_with("completion");
}

// "spinning" is blocking calls on a Context that does not sleep.
bool is_spinning(const Task& task) {
  return task.variant.starts_with("spinning");
}
void spin_if_asked(const Task& task, Peer& peer) {
  if (is_spinning(task)) peer.context().set_busy_poll(kBusyPoll);
}

void read_exactly(Channel& channel, MutableByteView out) {
  while (!out.empty()) out = out.subspan(channel.read(out).value());
}

// ---------------------------------------------------------------- completions

// Both sides' engine: reads kPingSize bytes, calls `whole`, again and again until the end.
struct PingReader {
  Channel& channel;
  std::function<void()> whole;
  Finish finish{};
  Bytes ping = Bytes(kPingSize);
  std::size_t have = 0;

  void next() {
    channel.async_read(MutableByteView(ping).subspan(have), [this](Result<std::size_t> n) {
      if (!n) return n.error().is(Errc::eof) ? finish.now() : finish.failed(n.error());
      have += *n;
      if (have == kPingSize) {
        have = 0;
        whole();
      }
      next();
    });
  }
};

void send(Channel& channel, ByteView ping, Finish& finish) {
  channel.async_write(ping, [&finish](Result<void> r) {
    if (!r && !r.error().is(Errc::closed)) finish.failed(r.error());
  });
}

}  // namespace

void ping_by_completions(Channel& channel, std::uint64_t warm_up, std::uint64_t count,
                         Samples& samples) {
  const Bytes ping(kPingSize);
  std::uint64_t done = 0;
  TimePoint from{};
  PingReader reader{channel, {}};
  const auto start = [&] {
    from = io::now();
    send(channel, ping, reader.finish);
  };
  reader.whole = [&] {
    if (done++ >= warm_up) samples.add(from, io::now());
    if (done < warm_up + count) return start();
    (void)channel.close_write();  // the other side answers with its end, and the reader finishes
  };
  auto finished = reader.finish.future();
  {
    const io::Context::Lock lock(channel.context());
    reader.next();
    start();
  }
  finished.get();
}

namespace {

// ---------------------------------------------------------------- the row

Outcome measure_ping(const Task& task, Control& other) {
  if (std::string why = why_not(task); !why.empty()) return skipped(std::move(why));
  Client client(task, other);
  spin_if_asked(task, client.peer());
  Channel channel = client.open("echo");
  const std::uint64_t count = scaled(is_spinning(task) ? kSpinningPings : kPings, task, 10);
  const std::uint64_t warm_up = std::min(kWarmUp, count);
  Samples samples(count);
  if (is_completion(task)) {
    ping_by_completions(channel, warm_up, count, samples);
  } else {
    Bytes ping(kPingSize);
    for (std::uint64_t i = 0; i < warm_up + count; ++i) {
      const TimePoint from = io::now();
      channel.write(ping).value();
      read_exactly(channel, ping);
      if (i >= warm_up) samples.add(from, io::now());
    }
    channel.close().value();  // in order: the other side sees the end, not a reset
  }
  other.say({0});
  return round_trips(samples);
}

void serve_ping(const Task& task, Control& other) {
  if (!why_not(task).empty()) return;
  Server server(task);
  spin_if_asked(task, server.peer());
  server.start(task, other);
  Channel channel = server.accept();
  if (is_completion(task)) {
    PingReader reader{channel, {}};
    reader.whole = [&] { send(channel, reader.ping, reader.finish); };
    auto finished = reader.finish.future();
    {
      const io::Context::Lock lock(channel.context());
      reader.next();
    }
    finished.get();
    channel.close_write().value();
  } else {
    Bytes ping(kPingSize);
    while (true) {
      const Result<std::size_t> n = channel.read(ping);
      if (!n && n.error().is(Errc::eof)) break;
      channel.write(ByteView(ping).first(Result<std::size_t>(n).value())).value();
    }
  }
  server.wait_for_end(other);
}

}  // namespace

Rows our_ping_rows() {
  Rows rows;
  for (const char* variant :
       {"blocking", "completion", "spinning", "blocking-fast", "completion-fast", "spinning-fast"})
    rows.push_back({{"ping", "ours", variant, "us", false}, measure_ping, serve_ping});
  return rows;
}

}  // namespace streamkit::bench
