// nng over TCP and in process: pair sockets, which move small messages three times as fast as push
// and pull; messages sent whole with nng_sendmsg(), which spares a copy, and long queues.
#include "measure.hpp"

#include <array>
#include <cstring>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <thread>

namespace streamkit::rivals {
namespace {

constexpr std::uint64_t kFrames64 = 1'000'000, kFrames1k = 1'000'000;
constexpr std::size_t kStreamMessage = 32 * 1024;
constexpr int kQueued = 8192;
constexpr std::uint64_t kInproc64 = 2'000'000, kInproc4k = 1'000'000, kInproc64k = 100'000;
constexpr const char* kInprocName = "inproc://bench";

void check(int result, const char* doing) {
  if (result != 0) throw Failure(std::string(doing) + ": " + nng_strerror(result));
}

class Messages {
 public:
  explicit Messages(int (*open)(nng_socket*)) {
    check(open(&socket_), "a socket");
    // Not every protocol has both queues.
    nng_socket_set_int(socket_, NNG_OPT_SENDBUF, kQueued);
    nng_socket_set_int(socket_, NNG_OPT_RECVBUF, kQueued);
  }
  ~Messages() { nng_close(socket_); }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  void listen(const std::string& where) {
    check(nng_listen(socket_, where.c_str(), nullptr, 0), "listen");
  }
  /// Goes on trying until somebody listens.
  void dial(const std::string& where) {
    check(nng_dial(socket_, where.c_str(), nullptr, NNG_FLAG_NONBLOCK), "dial");
  }
  void send(const char* data, std::size_t size) {
    nng_msg* message = nullptr;
    check(nng_msg_alloc(&message, size), "a message");
    std::memcpy(nng_msg_body(message), data, size);
    check(nng_sendmsg(socket_, message, 0), "sending");
  }
  void receive(std::size_t size) {
    nng_msg* message = nullptr;
    check(nng_recvmsg(socket_, &message, 0), "receiving");
    const bool is_whole = nng_msg_len(message) == size;
    nng_msg_free(message);
    if (!is_whole) throw Failure("a message of another size");
  }

 private:
  nng_socket socket_{};
};

std::string free_endpoint() {
  return "tcp://127.0.0.1:" + std::to_string(Listener().port());
}

Figure one_way(std::uint64_t count, std::size_t size, bool counts_bytes) {
  const auto stage = new_stage();
  const std::string where = free_endpoint();
  OtherSide receiver([&] {
    Messages messages(nng_pair0_open);
    messages.listen(where);
    messages.receive(size);
    const CpuShare share(*stage);
    for (std::uint64_t i = 0; i < count; ++i) messages.receive(size);
    stage->end();
  });
  const std::vector<char> data(size, 'x');
  {
    Messages messages(nng_pair0_open);
    messages.dial(where);
    messages.send(data.data(), size);
    const CpuShare share(*stage);
    stage->begin();
    for (std::uint64_t i = 0; i < count; ++i) messages.send(data.data(), size);
    receiver.wait();  // its threads work on until then
  }
  return counts_bytes ? stage->transfer(count * size) : stage->rate(count);
}

Figure stream(const Task& task) {
  return one_way(task.amount(kStreamBytes / kStreamMessage), kStreamMessage, true);
}
Figure frames_64(const Task& task) {
  return one_way(task.amount(kFrames64), 64, false);
}
Figure frames_1k(const Task& task) {
  return one_way(task.amount(kFrames1k), 1024, false);
}

void give_back(Messages& messages) {
  const std::array<char, kPingBytes> bytes{};
  messages.receive(bytes.size());
  messages.send(bytes.data(), bytes.size());
}

Figure ping_with(const Task& task, Messages& messages) {
  const std::array<char, kPingBytes> bytes{};
  return ping(task, [&] {
    messages.send(bytes.data(), bytes.size());
    messages.receive(bytes.size());
  });
}

Figure ping_pong(const Task& task) {
  const std::string where = free_endpoint();
  OtherSide other([&] {
    Messages messages(nng_pair0_open);
    messages.listen(where);
    while (true) give_back(messages);
  });
  Messages messages(nng_pair0_open);
  messages.dial(where);
  return ping_with(task, messages);
}

// ---------------------------------------------------------------- in process

double inproc_seconds(std::uint64_t count, std::size_t size) {
  Messages consumer(nng_pair0_open), producer(nng_pair0_open);
  consumer.listen(kInprocName);
  producer.dial(kInprocName);
  const std::vector<char> data(size, 'x');
  const std::uint64_t begin = now_ns();
  std::thread thread([&] {
    for (std::uint64_t i = 0; i < count; ++i) consumer.receive(size);
  });
  for (std::uint64_t i = 0; i < count; ++i) producer.send(data.data(), size);
  thread.join();
  return static_cast<double>(now_ns() - begin) * 1e-9;
}

Figure inproc_messages(const Task& task) {
  const std::uint64_t count = task.amount(kInproc64);
  return {.value = static_cast<double>(count) * 1e-6 / inproc_seconds(count, 64)};
}
Figure inproc_bytes(const Task& task, std::uint64_t whole, std::size_t size) {
  const std::uint64_t count = task.amount(whole);
  return {.value = static_cast<double>(count * size) * 1e-9 / inproc_seconds(count, size)};
}

Figure inproc_ping(const Task& task) {
  Messages near(nng_pair0_open), far(nng_pair0_open);
  far.listen(kInprocName);
  near.dial(kInprocName);
  const std::uint64_t count = task.amount(kWarmUpPings) + task.amount(kPings);
  std::thread thread([&] {
    for (std::uint64_t i = 0; i < count; ++i) give_back(far);
  });
  const Figure figure = ping_with(task, near);
  thread.join();
  return figure;
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  return runner_main(argc, argv, "nng",
                     {{"stream", "clear", "MB/s", stream},
                      {"frames-64", "clear", "frames/s", frames_64},
                      {"frames-1k", "clear", "frames/s", frames_1k},
                      {"ping", "clear", "us", ping_pong},
                      {"inproc-64", "inproc", "M/s", inproc_messages},
                      {"inproc-4k", "inproc", "GB/s",
                       [](const Task& task) { return inproc_bytes(task, kInproc4k, 4096); }},
                      {"inproc-64k", "inproc", "GB/s",
                       [](const Task& task) { return inproc_bytes(task, kInproc64k, 65536); }},
                      {"inproc-ping", "inproc", "us", inproc_ping}});
}
