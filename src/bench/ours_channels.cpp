// Channels as such: opening and closing them, a call, and what an idle one costs; connections
// likewise.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <fmt/format.h>
#include <fstream>
#include <sstream>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kOneAtATime = 20'000, kManyAtATime = 100'000, kCalls = 20'000;
constexpr std::size_t kInFlight = 64;
constexpr std::uint64_t kIdleChannels = 10'000, kIdleConnections = 1'000;

std::size_t in_flight(const Task& task) {
  return task.row == "open-close-64" ? kInFlight : 1;
}
std::uint64_t open_count(const Task& task) {
  return scaled(in_flight(task) > 1 ? kManyAtATime : kOneAtATime, task, 10);
}

// ---------------------------------------------------------------- open and close

// A slot opens a channel, closes it, and goes on with the next one.
struct Opener {
  Client& client;
  std::uint64_t to_start, to_finish = to_start;
  Finish finish{};

  void begin(std::size_t slots) {
    const io::Context::Lock lock(client.peer().context());
    for (std::size_t i = 0; i < slots; ++i) next();
  }

  void next() {
    if (to_start == 0) return;
    --to_start;
    client.peer().async_open(client.server(), "door", {}, {}, [this](Result<Channel> channel) {
      if (!channel) return finish.failed(channel.error());
      (void)channel->close();
      if (--to_finish == 0) return finish.now();
      next();
    });
  }
};

Outcome measure_opens(const Task& task, Control& other) {
  Client client(task, other);
  const std::uint64_t count = open_count(task);
  const Stopwatch watch;
  if (in_flight(task) > 1) {
    Opener opener{client, count};
    auto done = opener.finish.future();
    opener.begin(in_flight(task));
    done.get();
  } else {
    for (std::uint64_t i = 0; i < count; ++i) client.open("door").close().value();
  }
  other.hear();  // the other side has seen the last one's end
  Outcome outcome;
  outcome.value = static_cast<double>(count) / watch.elapsed();
  other.say({0});
  return outcome;
}

void serve_opens(const Task& task, Control& other) {
  std::uint64_t left = open_count(task);
  Finish finish;
  auto done = finish.future();
  Server server(task);
  server.peer().on_open("door", [&](Incoming incoming) {
    Result<Channel> accepted = incoming.accept();
    if (!accepted) return finish.failed(accepted.error());
    const auto channel = std::make_shared<Channel>(std::move(*accepted));
    channel->async_wait_closed([&, channel](Result<Closed> closed) {
      if (!closed) return finish.failed(closed.error());
      if (--left == 0) finish.now();
    });
  });
  server.start(task, other);
  done.get();
  other.say({0});
  server.wait_for_end(other);
}

// ---------------------------------------------------------------- a call

Outcome measure_calls(const Task& task, Control& other) {
  Client client(task, other);
  const std::uint64_t count = scaled(kCalls, task, 10);
  Samples samples(count);
  Bytes answer(kPingSize);
  for (std::uint64_t i = 0; i < count; ++i) {
    const TimePoint from = io::now();
    OpenOptions options;
    options.first = Bytes(kPingSize);
    Channel channel = client.open("call", std::move(options));
    for (MutableByteView rest = answer; !rest.empty();)
      rest = rest.subspan(channel.read(rest).value());
    channel.close().value();
    samples.add(from, io::now());
  }
  other.say({0});
  return round_trips(samples);
}

// Answers the first message with itself and ends the channel.
struct Callee {
  Channel channel;
  Bytes message = Bytes(kPingSize);
  std::size_t have = 0;

  static void read(const std::shared_ptr<Callee>& self) {
    self->channel.async_read(
        MutableByteView(self->message).subspan(self->have), [self](Result<std::size_t> n) {
          if (!n) return;
          self->have += *n;
          if (self->have < kPingSize) return read(self);
          self->channel.async_write(self->message,
                                    [self](Result<void>) { (void)self->channel.close(); });
        });
  }
};

void serve_calls(const Task& task, Control& other) {
  Server server(task);
  server.peer().on_open("call", [](Incoming incoming) {
    if (Result<Channel> channel = incoming.accept())
      Callee::read(std::make_shared<Callee>(Callee{std::move(*channel)}));
  });
  server.start(task, other);
  server.wait_for_end(other);
}

// ---------------------------------------------------------------- memory

// KiB that this process has for itself, and its part of what it shares.
double resident_kib() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("Pss:")) return std::stod(line.substr(4));
  fail("this kernel has no /proc/self/smaps_rollup");
}

bool is_about_connections(const Task& task) {
  return task.row == "idle-connections";
}
std::uint64_t idle_count(const Task& task) {
  return scaled(is_about_connections(task) ? kIdleConnections : kIdleChannels, task, 10);
}

Outcome measure_memory(const Task& task, Control& other) {
  Client client(task, other);
  const Channel first = client.open("idle");
  const std::uint64_t count = idle_count(task);
  other.say({0});
  const double theirs_before = other.hear(), ours_before = resident_kib();
  if (is_about_connections(task)) {
    client.connect_more(other, count);
  } else {
    client.open_idle(count);
  }
  other.say({0});
  const double parts = static_cast<double>(count);
  const double ours = (resident_kib() - ours_before) / parts;
  const double theirs = (other.hear() - theirs_before) / parts;
  other.say({0});
  Outcome outcome;
  outcome.value = std::max(ours, theirs);
  outcome.notes = fmt::format("opening side {:.2f} KiB, accepting side {:.2f} KiB", ours, theirs);
  return outcome;
}

void serve_memory(const Task& task, Control& other) {
  Server server(task);
  server.start(task, other);
  other.hear();  // the first connection and its first channel are there
  other.say({resident_kib()});
  if (is_about_connections(task)) server.listen_more(other, idle_count(task));
  other.hear();
  other.say({resident_kib()});
  server.wait_for_end(other);
}

}  // namespace

Rows our_channel_rows() {
  return {
      {{"open-close", "ours", "blocking", "channels/s"}, measure_opens, serve_opens},
      {{"open-close-64", "ours", "completion", "channels/s"}, measure_opens, serve_opens},
      {{"call", "ours", "blocking", "us", false}, measure_calls, serve_calls},
      {{"idle-channels", "ours", "default", "KiB", false}, measure_memory, serve_memory},
      {{"idle-connections", "ours", "default", "KiB", false}, measure_memory, serve_memory},
  };
}

}  // namespace streamkit::bench
