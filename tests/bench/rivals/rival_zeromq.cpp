// ZeroMQ over TCP, in clear text and with CURVE (Curve25519, XSalsa20-Poly1305), and its inproc
// transport. It batches small messages on its I/O thread by itself. Large ones are given to it
// without a copy, as its manual advises, except in process, where that would leave no work.
#include "measure.hpp"

#include <array>
#include <cstring>
#include <thread>
#include <zmq.h>

namespace streamkit::rivals {
namespace {

constexpr std::uint64_t kFrames64 = 10'000'000, kFrames1k = 4'000'000;
constexpr std::size_t kStreamMessage = 32 * 1024;
constexpr std::uint64_t kInproc64 = 20'000'000, kInproc4k = 4'000'000, kInproc64k = 200'000;
constexpr std::size_t kKeySize = 41;  // Z85 and its NUL
constexpr char kFill = 'x';
constexpr const char* kInprocName = "inproc://bench";

void check(bool ok, const char* doing) {
  if (!ok) throw Failure(std::string(doing) + ": " + zmq_strerror(zmq_errno()));
}

struct Keys {
  std::array<char, kKeySize> open{}, secret{};
  Keys() { check(zmq_curve_keypair(open.data(), secret.data()) == 0, "CURVE keys"); }
};

class Messages {
 public:
  Messages(void* context, int type) : socket_(zmq_socket(context, type)) {
    check(socket_ != nullptr, "a socket");
    set(ZMQ_LINGER, -1);
  }
  ~Messages() { zmq_close(socket_); }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  void set(int option, int value) {
    check(zmq_setsockopt(socket_, option, &value, sizeof value) == 0, "an option");
  }
  void set(int option, const std::array<char, kKeySize>& key) {
    check(zmq_setsockopt(socket_, option, key.data(), kKeySize) == 0, "a key");
  }
  void bind(const std::string& where) { check(zmq_bind(socket_, where.c_str()) == 0, "bind"); }
  void connect(const std::string& where) {
    check(zmq_connect(socket_, where.c_str()) == 0, "connect");
  }
  std::string bound() {
    std::array<char, 256> where{};
    std::size_t size = where.size();
    check(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, where.data(), &size) == 0, "the endpoint");
    return where.data();
  }
  void send_copy(const char* data, std::size_t size) {
    zmq_msg_t message;
    check(zmq_msg_init_size(&message, size) == 0, "a message");
    std::memcpy(zmq_msg_data(&message), data, size);
    check(zmq_msg_send(&message, socket_, 0) >= 0, "sending");
  }
  /// The message refers to `data`, which outlives it.
  void send_reference(char* data, std::size_t size) {
    zmq_msg_t message;
    check(zmq_msg_init_data(
              &message, data, size, [](void*, void*) {}, nullptr) == 0,
          "a message");
    check(zmq_msg_send(&message, socket_, 0) >= 0, "sending");
  }
  void receive(std::size_t size) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    check(zmq_msg_recv(&message, socket_, 0) >= 0, "receiving");
    const bool is_good = zmq_msg_size(&message) == size &&
                         static_cast<const char*>(zmq_msg_data(&message))[size - 1] == kFill;
    zmq_msg_close(&message);
    if (!is_good) throw Failure("another message than the one that was sent");
  }

 private:
  void* socket_;
};

struct Context {
  void* const it = zmq_ctx_new();
  ~Context() { zmq_ctx_term(it); }
};

/// The two ends over TCP; with CURVE when the variant says so. The server is the receiver.
class Ends {
 public:
  explicit Ends(const Task& task) : is_curve_(task.variant == "curve") {
    if (is_curve_ && !zmq_has("curve")) throw Skip("this ZeroMQ was built without CURVE");
    if (is_curve_) server_.emplace(), client_.emplace();
  }
  void be_server(Messages& messages) const {
    if (!is_curve_) return;
    messages.set(ZMQ_CURVE_SERVER, 1);
    messages.set(ZMQ_CURVE_SECRETKEY, server_->secret);
  }
  void be_client(Messages& messages) const {
    if (!is_curve_) return;
    messages.set(ZMQ_CURVE_SERVERKEY, server_->open);
    messages.set(ZMQ_CURVE_PUBLICKEY, client_->open);
    messages.set(ZMQ_CURVE_SECRETKEY, client_->secret);
  }

 private:
  bool is_curve_;
  std::optional<Keys> server_, client_;
};

std::string endpoint(std::uint16_t port) {
  return "tcp://127.0.0.1:" + std::to_string(port);
}

std::uint16_t free_port() {
  return Listener().port();
}

Figure one_way(const Task& task, std::uint64_t count, std::size_t size, bool is_bulk) {
  const auto stage = new_stage();
  const Ends ends(task);
  const std::string where = endpoint(free_port());
  OtherSide receiver([&] {
    const Context context;
    Messages messages(context.it, ZMQ_PULL);
    ends.be_server(messages);
    messages.bind(where);
    messages.receive(size);
    const CpuShare share(*stage);
    for (std::uint64_t i = 0; i < count; ++i) messages.receive(size);
    stage->end();
  });
  std::vector<char> data(size, kFill);
  {
    const Context context;
    Messages messages(context.it, ZMQ_PUSH);
    ends.be_client(messages);
    messages.connect(where);
    messages.send_copy(data.data(), size);  // blocks until it is connected
    const CpuShare share(*stage);
    stage->begin();
    if (is_bulk) {
      for (std::uint64_t i = 0; i < count; ++i) messages.send_reference(data.data(), size);
    } else {
      for (std::uint64_t i = 0; i < count; ++i) messages.send_copy(data.data(), size);
    }
    receiver.wait();  // its I/O thread works on until then
  }
  return is_bulk ? stage->transfer(count * size) : stage->rate(count);
}

Figure stream(const Task& task) {
  return one_way(task, task.amount(kStreamBytes / kStreamMessage), kStreamMessage, true);
}
Figure frames_64(const Task& task) {
  return one_way(task, task.amount(kFrames64), 64, false);
}
Figure frames_1k(const Task& task) {
  return one_way(task, task.amount(kFrames1k), 1024, false);
}

using Ping = std::array<char, kPingBytes>;
Ping new_ping() {
  Ping bytes;
  bytes.fill(kFill);
  return bytes;
}

Figure ping_pong(const Task& task) {
  const Ends ends(task);
  const std::string where = endpoint(free_port());
  OtherSide other([&] {
    const Context context;
    Messages messages(context.it, ZMQ_PAIR);
    ends.be_server(messages);
    messages.bind(where);
    const Ping bytes = new_ping();
    while (true) {
      messages.receive(bytes.size());
      messages.send_copy(bytes.data(), bytes.size());
    }
  });
  const Context context;
  Messages messages(context.it, ZMQ_PAIR);
  ends.be_client(messages);
  messages.connect(where);
  const Ping bytes = new_ping();
  return ping(task, [&] {
    messages.send_copy(bytes.data(), bytes.size());
    messages.receive(bytes.size());
  });
}

// ---------------------------------------------------------------- in process

/// One producer, which is this thread and copies its bytes in, and one consumer, which reads them
/// where they are.
double inproc_seconds(std::uint64_t count, std::size_t size) {
  const Context context;
  Messages consumer(context.it, ZMQ_PAIR), producer(context.it, ZMQ_PAIR);
  consumer.bind(kInprocName);
  producer.connect(kInprocName);
  std::vector<char> data(size, kFill);
  const std::uint64_t begin = now_ns();
  std::thread thread([&] {
    for (std::uint64_t i = 0; i < count; ++i) consumer.receive(size);
  });
  for (std::uint64_t i = 0; i < count; ++i) producer.send_copy(data.data(), size);
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
  const Context context;
  Messages near(context.it, ZMQ_PAIR), far(context.it, ZMQ_PAIR);
  far.bind(kInprocName);
  near.connect(kInprocName);
  const std::uint64_t count = task.amount(kWarmUpPings) + task.amount(kPings);
  const Ping bytes = new_ping();
  std::thread thread([&] {
    for (std::uint64_t i = 0; i < count; ++i) {
      far.receive(bytes.size());
      far.send_copy(bytes.data(), bytes.size());
    }
  });
  const Figure figure = ping(task, [&] {
    near.send_copy(bytes.data(), bytes.size());
    near.receive(bytes.size());
  });
  thread.join();
  return figure;
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  std::vector<Row> rows;
  for (const char* variant : {"clear", "curve"}) {
    rows.push_back({"stream", variant, "MB/s", stream});
    rows.push_back({"frames-64", variant, "frames/s", frames_64});
    rows.push_back({"frames-1k", variant, "frames/s", frames_1k});
    rows.push_back({"ping", variant, "us", ping_pong});
  }
  rows.push_back({"inproc-64", "inproc", "M/s", inproc_messages});
  rows.push_back({"inproc-4k", "inproc", "GB/s",
                  [](const Task& task) { return inproc_bytes(task, kInproc4k, 4096); }});
  rows.push_back({"inproc-64k", "inproc", "GB/s",
                  [](const Task& task) { return inproc_bytes(task, kInproc64k, 65536); }});
  rows.push_back({"inproc-ping", "inproc", "us", inproc_ping});
  return runner_main(argc, argv, "zeromq", rows);
}
