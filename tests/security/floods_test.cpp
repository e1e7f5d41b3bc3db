// Floods from strangers, and from clients that were let in, over real sockets. While each goes on,
// a client that means well connects and gets its echo, memory stays under the bound that
// SECURITY.md states, and the log says who was turned away and why, in few lines.
#include "memory.hpp"
#include "support/peer_pair.hpp"
#include "support/stock_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <poll.h>

namespace streamkit::testing {
namespace {

constexpr std::size_t kStrangersMemory = 8 << 20;  ///< of all connections that say little
constexpr std::size_t kClientsMemory = 2 << 20;    ///< of each client that floods

/// A peer with the service "echo", what it logs, and who may come in.
struct Besieged {
  explicit Besieged(const std::function<void(PeerOptions&)>& change = {}) {
    PeerOptions options = options_for("s", server_key, good_key.public_key());
    options.trust.authorized_keys.push_back(stock_key.public_key());
    options.trust.same_name_same_key = Trust::SameKey::share;
    options.log = [this](std::string_view, std::string_view line) {
      const std::lock_guard lock(mutex);
      lines.emplace_back(line);
      changed.notify_all();
    };
    if (change) change(options);
    server.emplace(Peer::make(options).value());
    server->on_open("echo", [](Incoming incoming) {
      Result<Channel> accepted = incoming.accept();
      if (!accepted) return;
      const auto channel = std::make_shared<Channel>(std::move(*accepted));
      channel->async_read_frame([channel](Result<Bytes> got) {
        if (!got) return;
        channel->async_write_frame(std::move(*got), [channel](Result<void>) {
          channel->async_wait_closed([channel](Result<Closed>) {});
        });
      });
    });
    endpoint = server->bind("tcp://127.0.0.1:0").value();
    serve();
    serve();
    memory_before = memory::live_bytes();
  }
  ~Besieged() { server.reset(); }

  /// Somebody comes, is served, and goes.
  void serve() {
    PeerOptions options = options_for("good", good_key, server_key.public_key());
    options.reconnect.from_start = true;  // a full door is tried again
    options.reconnect.first = 10ms;
    options.reconnect.max = 50ms;
    Peer good = Peer::make(options).value();
    SK_ASSERT_OK(good.connect(endpoint, kPatience));
    Result<Channel> channel = good.open("s", "echo", {}, kPatience);
    SK_ASSERT_OK(channel);
    SK_ASSERT_OK(channel->write_frame("still here", kPatience));
    const Result<Bytes> back = channel->read_frame(kPatience);
    SK_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "still here");
  }
  void serve_in_memory(std::size_t bound, int times) {
    for (int i = 0; i < times && !::testing::Test::HasFatalFailure(); ++i) {
      serve();
      ASSERT_LT(memory::live_bytes(), memory_before + bound) << "the " << i << "th time";
    }
  }
  /// Waits for a line with both words in it.
  bool has_logged(std::string_view who, std::string_view why) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPatience, [&] {
      return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
        return line.find(who) != std::string::npos && line.find(why) != std::string::npos;
      });
    });
  }
  std::size_t lines_about_refusals() {
    const std::lock_guard lock(mutex);
    return static_cast<std::size_t>(std::count_if(
        lines.begin(), lines.end(),
        [](const std::string& line) { return line.find("turned away") != std::string::npos; }));
  }

  crypto::PrivateKey server_key = new_key(), good_key = new_key(), stock_key = new_key();
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
  std::optional<Peer> server;
  Endpoint endpoint{"inproc://none"};
  std::size_t memory_before = 0;
};

PlainSocket connect_from(std::uint32_t source, std::uint16_t port) {
  PlainSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in from{}, to = PlainSocket::loopback(port);
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(source);
  if (::bind(socket.fd(), reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
      ::connect(socket.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    socket.close();
  return socket;
}

constexpr std::uint32_t address(std::uint32_t last) {
  return (127u << 24) + last;
}

/// Strangers on a thread of their own: each connects, says `drip` byte by byte, and, if it comes
/// again, connects anew when it was turned away.
class Crowd {
 public:
  Crowd(std::uint16_t port, std::vector<std::uint32_t> sources, std::string drip, bool comes_again)
      : thread_([=, this] { run(port, sources, drip, comes_again); }) {}
  ~Crowd() {
    stopping_ = true;
    thread_.join();
  }
  /// How many have come until now.
  std::size_t visits() const { return visits_; }
  void wait_for(std::size_t visits) const {
    while (visits_ < visits) visits_.wait(visits_);
  }

 private:
  void run(std::uint16_t port, const std::vector<std::uint32_t>& sources, std::string_view drip,
           bool comes_again) {
    struct One {
      PlainSocket socket;
      std::size_t said = 0;
    };
    std::vector<One> all(sources.size());
    std::vector<pollfd> polled(sources.size());
    for (bool first = true; !stopping_; first = false) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        if ((first || comes_again) && !all[i].socket.is_open()) {
          all[i] = {connect_from(sources[i], port)};
          ++visits_;
          visits_.notify_all();
        }
        polled[i] = {all[i].socket.fd(), POLLIN, 0};
      }
      ::poll(polled.data(), polled.size(), 10);
      for (std::size_t i = 0; i < all.size(); ++i) {
        One& one = all[i];
        std::array<char, 4096> heard{};
        if (polled[i].revents != 0 &&
            ::recv(one.socket.fd(), heard.data(), heard.size(), MSG_DONTWAIT) <= 0)
          one.socket.close();
        if (one.said == drip.size() || !one.socket.is_open()) continue;
        if (::send(one.socket.fd(), &drip[one.said++], 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
          one.socket.close();
      }
    }
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> visits_ = 0;
  std::thread thread_;
};

TEST(Floods, c18_five_hundred_silent_connections_from_one_address_keep_nobody_else_out) {
  Besieged b;
  const Crowd crowd(b.endpoint.port(), std::vector(500, address(2)), "", false);
  crowd.wait_for(500);
  b.serve_in_memory(kStrangersMemory, 20);
  EXPECT_TRUE(b.has_logged("turned away 127.0.0.2:", "max_half_open_per_source (10)"));
  EXPECT_TRUE(b.has_logged("turned away 127.0.0.2: 480 more: ", "max_half_open_per_source (10)"));
  EXPECT_LE(b.lines_about_refusals(), 20u);
}

TEST(Floods, c18_five_hundred_addresses_that_come_again_and_again_do_not_keep_others_out) {
  Besieged b;
  std::vector<std::uint32_t> sources;
  for (std::uint32_t i = 0; i < 500; ++i) sources.push_back(address(0x10000 + 2 + i));
  const Crowd crowd(b.endpoint.port(), sources, "", true);
  crowd.wait_for(1000);
  b.serve_in_memory(kStrangersMemory, 20);
  EXPECT_TRUE(b.has_logged("turned away 127.1.", "early_drop_start (50)"));
  EXPECT_TRUE(b.has_logged("turned away others: ", "for different reasons"));
  EXPECT_LE(b.lines_about_refusals(), 500u);
}

TEST(Floods, c18_in_a_crowd_the_silent_make_room_and_whoever_logs_in_has_time) {
  Awaited<std::string> asked;
  auto b = std::make_unique<Besieged>([=](PeerOptions& o) {
    o.limits.early_drop_start = 1;
    o.limits.early_drop_percent = 0;
    o.limits.handshake_timeout_crowded = 0s;
    o.limits.ssh.auth_failure_delay = 20s;
    o.trust.public_key = [=](const std::string& name, const crypto::PublicKey&) {
      if (name == "slow") asked.put(name);
      return false;
    };
  });
  std::atomic<bool> is_answered = false;
  std::thread slow([&is_answered, port = b->endpoint.port()] {
    const StockClient client(port, new_key(), "slow");
    is_answered = true;
  });
  EXPECT_TRUE(asked.next());
  PlainSocket silent = connect_from(address(4), b->endpoint.port());
  EXPECT_EQ(silent.receive_until("\n").substr(0, 8), "SSH-2.0-");
  b->serve();
  (void)silent.receive_all();
  EXPECT_TRUE(silent.ok());
  EXPECT_TRUE(b->has_logged("turned away 127.0.0.4:", "handshake_timeout_crowded"));
  EXPECT_FALSE(is_answered);
  EXPECT_EQ(b->lines_about_refusals(), 1u);
  b.reset();
  slow.join();
}

TEST(Floods, a14_handshakes_of_single_bytes_end_with_their_time) {
  Besieged b([](PeerOptions& o) { o.limits.ssh.handshake_timeout = 2s; });
  std::vector<std::uint32_t> sources;
  for (std::uint32_t i = 0; i < 40; ++i) sources.push_back(address(0x20000 + i % 4));
  std::string drip = "SSH-2.0-drip\r\n";
  drip +=
      std::string("\0\0\xea\x64\x04\x14", 6) + std::string(60'000, '\0');  // a KEXINIT, for ever
  const Crowd crowd(b.endpoint.port(), sources, drip, true);
  crowd.wait_for(40);
  b.serve_in_memory(kStrangersMemory, 10);
  EXPECT_TRUE(b.has_logged("turned away 127.2.", "the handshake did not finish in time"));
  b.serve_in_memory(kStrangersMemory, 10);
}

TEST(Floods, c18_key_exchanges_from_one_address_are_limited_and_its_neighbours_are_served) {
  Besieged b([](PeerOptions& o) {
    o.limits.kex_rate_per_source = 1;
    o.limits.kex_burst_per_source = 20;
  });
  // Whoever hangs up at once is never one of many half-open connections.
  std::size_t spoken_to = 0;
  for (int i = 0; i < 500; ++i) {
    PlainSocket socket = connect_from(address(3), b.endpoint.port());
    spoken_to += socket.receive().empty() ? 0 : 1;
  }
  EXPECT_GE(spoken_to, 20u);
  EXPECT_LE(spoken_to, 100u);  // one more for each second that this took
  EXPECT_TRUE(b.has_logged("turned away 127.0.0.3", "kex_rate_per_source (1)"));
  b.serve_in_memory(kStrangersMemory, 3);
}

TEST(Floods, c9_ten_thousand_opens_that_nobody_accepts_are_refused_beyond_their_limit) {
  Besieged b;
  StockClient stock(b.endpoint.port(), b.stock_key);
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const Message open =
        Message(open_message("direct-tcpip", i)).str("nobody").u32(1).str("127.0.0.1").u32(4);
    if (i < 256) {
      stock.send(open);
    } else {
      ASSERT_EQ(stock.answer(open, {91, 92}), 92) << i;
    }
    if (i % 1000 == 999) b.serve_in_memory(kClientsMemory, 1);
  }
  EXPECT_TRUE(stock.is_live());
}

TEST(Floods, b10_clients_that_do_nothing_but_exchange_keys_slow_nobody_down_for_long) {
  constexpr int kClients = 8;
  Besieged b;
  std::deque<StockClient> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back(b.endpoint.port(), b.stock_key);
    ASSERT_TRUE(clients.back().rekey());
  }
  b.memory_before = memory::live_bytes();
  std::atomic<bool> stopping = false;
  std::atomic<int> exchanges = 0;
  std::vector<std::thread> threads;
  for (StockClient& client : clients)
    threads.emplace_back([&] {
      while (!stopping && client.rekey()) ++exchanges, exchanges.notify_all();
      if (stopping) return;
      exchanges = INT_MAX, exchanges.notify_all();  // it was cut off: the checks below say so
    });
  b.serve_in_memory(kClients * kClientsMemory, 20);
  for (int seen = exchanges; seen < 1000; seen = exchanges) exchanges.wait(seen);
  b.serve_in_memory(kClients * kClientsMemory, 1);
  stopping = true;
  for (std::thread& thread : threads) thread.join();
  for (const StockClient& client : clients) EXPECT_TRUE(client.is_live());
}

TEST(Floods, c7_clients_that_ask_and_never_listen_keep_nobody_else_from_being_heard) {
  constexpr int kClients = 4;
  constexpr int kMany = 5'000'000;
  Besieged b;
  std::deque<StockClient> clients;
  std::deque<std::atomic<int>> sent(kClients);
  for (int i = 0; i < kClients; ++i) clients.emplace_back(b.endpoint.port(), b.stock_key);
  const std::array<Bytes, 2> questions = {Message(80).str("keepalive@openssh.com").u8(1),
                                          open_message("nobody@knows")};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClients; ++i)
    threads.emplace_back([&, i] { sent[i] = clients[i].flood(questions[i % 2], kMany); });
  b.serve_in_memory(kClients * kClientsMemory, 20);
  for (std::thread& thread : threads) thread.join();
  for (const int count : sent) {
    EXPECT_GT(count, 1000);
    EXPECT_LT(count, kMany) << "reading never stopped";
  }
  b.serve_in_memory(kClients * kClientsMemory, 5);
}

TEST(Floods, a16_a_refusal_that_waits_for_its_floor_keeps_nobody_else_waiting) {
  Awaited<std::string> asked;
  auto b = std::make_unique<Besieged>([=](PeerOptions& o) {
    o.limits.ssh.auth_failure_delay = 20s;
    o.trust.public_key = [=](const std::string& name, const crypto::PublicKey&) {
      if (name == "stranger") asked.put(name);
      return false;
    };
  });
  std::atomic<bool> is_answered = false;
  std::thread stranger([&is_answered, port = b->endpoint.port()] {
    const StockClient client(port, new_key(), "stranger");
    is_answered = true;
  });
  EXPECT_TRUE(asked.next());
  b->serve_in_memory(kClientsMemory, 3);
  EXPECT_FALSE(is_answered);
  b.reset();
  stranger.join();
}

}  // namespace
}  // namespace streamkit::testing
