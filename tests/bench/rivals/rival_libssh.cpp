// libssh, client and server. The client writes with its blocking calls; the server runs its event
// loop with callbacks, which spares it the copy that ssh_channel_read() makes.
#include "libssh_ends.hpp"

#include <array>
#include <cstring>
#include <thread>

namespace streamkit::rivals {
namespace {

constexpr std::uint64_t kFrames64 = 1'000'000, kFrames1k = 1'000'000;
constexpr std::uint64_t kOpenings = 30'000, kOpeningsInFlight = 100'000;
constexpr std::size_t kInFlight = 64;
constexpr std::uint64_t kConnects = 4'000;
constexpr std::uint64_t kIdleChannels = 10'000, kIdleConnections = 1'000;
constexpr std::uint64_t kPingsBesideBulk = 5'000;
constexpr std::size_t kPacket = 32 * 1024;

LibsshSuite suite_of(const Task& task) {
  if (task.variant == "aes256-gcm") return {"aes256-gcm@openssh.com"};
  if (task.variant == "chacha20-poly1305") return {"chacha20-poly1305@openssh.com"};
  return {"aes128-gcm@openssh.com"};
}

// ---------------------------------------------------------------- one way

Figure one_way(const Task& task, std::uint64_t count, std::size_t size, bool counts_bytes) {
  const auto stage = new_stage();
  const LibsshKeys keys;
  const Listener listener;
  OtherSide receiver([&] {
    LibsshServer server(listener.accept(), suite_of(task), keys);
    std::uint64_t left = count * size;
    server.on_data = [&](ssh_channel, std::size_t, char*, std::uint32_t n) { left -= n; };
    {
      const CpuShare share(*stage);
      server.serve([&] { return left == 0; });
      stage->end();
    }
    if (left > 0) throw Failure("the stream ended early");
  });
  const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  const LibsshChannel channel = client.open();
  {
    const CpuShare share(*stage);
    const std::vector<char> frame(size, 'x');
    stage->begin();
    for (std::uint64_t i = 0; i < count; ++i) write_all(channel.get(), frame.data(), size);
    client.wait_for_end();
  }
  receiver.wait();
  return counts_bytes ? stage->transfer(count * size) : stage->rate(count);
}

/// 32 KiB a write, a packet each, is a fifth faster than 256 KiB.
Figure stream(const Task& task) {
  return one_way(task, task.amount(kStreamBytes / kPacket), kPacket, true);
}
Figure frames_64(const Task& task) {
  return one_way(task, task.amount(kFrames64), 64, false);
}
Figure frames_1k(const Task& task) {
  return one_way(task, task.amount(kFrames1k), 1024, false);
}

// ---------------------------------------------------------------- round trips

/// Channel 0 gives back what comes.
void echo_server(const Task& task, const Listener& listener, const LibsshKeys& keys) {
  LibsshServer server(listener.accept(), suite_of(task), keys);
  server.on_data = [](ssh_channel channel, std::size_t, char* data, std::uint32_t n) {
    ssh_channel_write(channel, data, n);
  };
  server.serve();
}

Figure ping_pong(const Task& task) {
  const LibsshKeys keys;
  const Listener listener;
  OtherSide other([&] { echo_server(task, listener, keys); });
  const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  const LibsshChannel channel = client.open();
  std::array<char, kPingBytes> bytes{};
  return ping(task, [&] {
    write_all(channel.get(), bytes.data(), bytes.size());
    read_all(channel.get(), bytes.data(), bytes.size());
  });
}

/// The bulk channel is number 0 and the ping channel number 1, on one connection and one thread: a
/// piece of bulk, then whatever came in.
Figure ping_beside_bulk(const Task& task) {
  const auto stage = new_stage();
  const LibsshKeys keys;
  const Listener listener;
  OtherSide other([&] {
    LibsshServer server(listener.accept(), suite_of(task), keys);
    server.on_data = [](ssh_channel channel, std::size_t number, char* data, std::uint32_t n) {
      if (number == 1) ssh_channel_write(channel, data, n);
    };
    server.serve();
  });
  const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  const LibsshChannel bulk = client.open(), pings = client.open();
  struct Answer {
    std::size_t bytes = 0;
    std::uint64_t at_ns = 0;
  } answer;
  ssh_channel_callbacks_struct calls{};
  calls.userdata = &answer;
  calls.channel_data_function = [](ssh_session, ssh_channel, void*, std::uint32_t n, int,
                                   void* to) -> int {
    auto& a = *static_cast<Answer*>(to);
    a.bytes += n;
    a.at_ns = now_ns();
    return static_cast<int>(n);
  };
  ssh_callbacks_init(&calls);
  if (ssh_set_channel_callbacks(pings.get(), &calls) != SSH_OK) throw Failure("its callbacks");

  const std::vector<char> piece(kPacket, 'x');
  std::uint64_t bulk_bytes = 0;
  Samples samples;
  const std::uint64_t count = task.amount(kPingsBesideBulk, 20);
  stage->begin();
  for (std::uint64_t i = 0; i < count; ++i) {
    answer = {};
    const std::uint64_t begin = now_ns();
    write_all(pings.get(), piece.data(), kPingBytes);
    while (answer.bytes < kPingBytes) {
      write_all(bulk.get(), piece.data(), piece.size());
      bulk_bytes += piece.size();
      client.poll(0);
    }
    samples.add(answer.at_ns - begin);
  }
  stage->end();
  const double p50 = samples.percentile(50);
  return {.value = p50,
          .p50_us = p50,
          .p99_us = samples.percentile(99),
          .more = {{"bulk_mb_s", static_cast<double>(bulk_bytes) * 1e-6 / stage->seconds()}}};
}

// ---------------------------------------------------------------- channels, connections

void accept_channels(const Task& task, const Listener& listener, const LibsshKeys& keys) {
  LibsshServer server(listener.accept(), suite_of(task), keys);
  server.serve();
}

Figure opening(const Task& task, std::uint64_t whole, std::size_t in_flight) {
  const auto stage = new_stage();
  const LibsshKeys keys;
  const Listener listener;
  OtherSide other([&] { accept_channels(task, listener, keys); });
  const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  const std::uint64_t count = task.amount(whole, in_flight);
  stage->begin();
  open_and_close(client, count, in_flight);
  stage->end();
  return stage->rate(count);
}

Figure open_close(const Task& task) {
  return opening(task, kOpenings, 1);
}
Figure open_close_64(const Task& task) {
  return opening(task, kOpeningsInFlight, kInFlight);
}

/// `in_flight` threads on each side.
Figure connects(const Task& task, std::size_t in_flight) {
  const auto stage = new_stage();
  const LibsshKeys keys;
  const Listener listener;
  const auto run_threads = [in_flight](const std::function<void()>& work) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < in_flight; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
  };
  OtherSide other([&] {
    run_threads([&] {
      while (true) accept_channels(task, listener, keys);
    });
  });
  const std::uint64_t each = task.amount(kConnects / in_flight);
  stage->begin();
  run_threads([&] {
    for (std::uint64_t i = 0; i < each; ++i)
      const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  });
  stage->end();
  return stage->rate(each * in_flight);
}

Figure connect_1(const Task& task) {
  return connects(task, 1);
}
Figure connect_4(const Task& task) {
  return connects(task, 4);
}

// ---------------------------------------------------------------- memory

/// What `count` more of something cost each side, on top of the first.
class Memory {
 public:
  explicit Memory(pid_t far)
      : far_(far), near_before_(memory_kib()), far_before_(memory_kib(far)) {}
  Figure each(std::uint64_t count) const {
    const double n = static_cast<double>(count);
    const double near = (memory_kib() - near_before_) / n,
                 far = (memory_kib(far_) - far_before_) / n;
    return {.value = std::max(near, far), .more = {{"client_kib", near}, {"server_kib", far}}};
  }

 private:
  pid_t far_;
  double near_before_, far_before_;
};

Figure idle_channels(const Task& task) {
  const LibsshKeys keys;
  const Listener listener;
  OtherSide other([&] { accept_channels(task, listener, keys); });
  const LibsshClient client(Socket::connect(listener.port()), suite_of(task), keys);
  const std::uint64_t count = task.amount(kIdleChannels);
  std::vector<LibsshChannel> channels;
  channels.reserve(count + 1);
  channels.push_back(client.open());
  const Memory memory(other.pid());
  for (std::uint64_t i = 0; i < count; ++i) channels.push_back(client.open());
  return memory.each(count);
}

Figure idle_connections(const Task& task) {
  const LibsshKeys keys;
  const Listener listener;
  const std::uint64_t count = task.amount(kIdleConnections);
  OtherSide other([&] {
    std::vector<std::unique_ptr<LibsshServer>> servers;
    for (std::uint64_t i = 0; i < count + 1; ++i) {
      auto& server = *servers.emplace_back(
          std::make_unique<LibsshServer>(listener.accept(), suite_of(task), keys));
      bool has_channel = false;
      server.on_data = [&](ssh_channel channel, std::size_t, char* data, std::uint32_t n) {
        ssh_channel_write(channel, data, n);
        has_channel = true;
      };
      server.serve([&] { return has_channel; });
    }
    ::pause();  // until it is killed
  });
  std::vector<std::unique_ptr<LibsshClient>> clients;
  const auto connect = [&] {
    clients.push_back(
        std::make_unique<LibsshClient>(Socket::connect(listener.port()), suite_of(task), keys));
    const LibsshChannel channel = clients.back()->open();
    char byte = 'x';
    write_all(channel.get(), &byte, 1);  // so that the server is past the login
    read_all(channel.get(), &byte, 1);
  };
  connect();
  const Memory memory(other.pid());
  for (std::uint64_t i = 0; i < count; ++i) connect();
  return memory.each(count);
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  return runner_main(argc, argv, "libssh",
                     {{"stream", "aes128-gcm", "MB/s", stream},
                      {"stream", "aes256-gcm", "MB/s", stream},
                      {"stream", "chacha20-poly1305", "MB/s", stream},
                      {"frames-64", "aes128-gcm", "frames/s", frames_64},
                      {"frames-1k", "aes128-gcm", "frames/s", frames_1k},
                      {"frames-32k", "aes128-gcm", "MB/s", stream},
                      {"ping", "aes128-gcm", "us", ping_pong},
                      {"open-close", "aes128-gcm", "channels/s", open_close},
                      {"open-close-64", "aes128-gcm", "channels/s", open_close_64},
                      {"connect", "aes128-gcm", "connects/s", connect_1},
                      {"connect-4", "aes128-gcm", "connects/s", connect_4},
                      {"idle-channels", "aes128-gcm", "KiB", idle_channels},
                      {"idle-connections", "aes128-gcm", "KiB", idle_connections},
                      {"ping-beside-bulk", "aes128-gcm", "us", ping_beside_bulk}});
}
