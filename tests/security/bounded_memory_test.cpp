// Floods: memory follows what has arrived, and stays where it is however long they last.
#include "memory.hpp"
#include "support/multiplexer_pair.hpp"
#include "support/peer_pair.hpp"
#include "support/raw_peer.hpp"
#include "support/stock_client.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace streamkit::ssh {
namespace {

namespace memory = testing::memory;
using testing::client_config;
using testing::RawPeer;
using testing::server_config;

TEST(BoundedMemory, c2_a_thousand_announced_packets_of_256_kib_take_next_to_nothing) {
  std::deque<RawPeer> peers;
  std::vector<Bytes> beginnings;
  for (int i = 0; i < 1000; ++i) {
    RawPeer& peer = peers.emplace_back(Role::client, client_config(), server_config());
    peer.reach(State::open);
    peer.inbox.clear();
    Bytes packet = peer.sealed(Bytes(200'000, std::byte{94}));
    packet.resize(16);
    packet.shrink_to_fit();
    beginnings.push_back(std::move(packet));
  }
  const std::size_t before = memory::live_bytes();
  for (std::size_t i = 0; i < peers.size(); ++i) {
    peers[i].send_bytes(beginnings[i]);
    ASSERT_TRUE(peers[i].is_live());
  }
  EXPECT_LT(memory::live_bytes(), before + (8u << 20));
}

TEST(BoundedMemory, c2_a_packet_takes_about_as_much_memory_as_has_arrived_of_it) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  const Bytes packet = peer.sealed(Bytes(200'000, std::byte{94}));
  const std::size_t before = memory::live_bytes();
  for (std::size_t at = 0; at < packet.size() - 1; ++at) {
    peer.engine.feed(ByteView(packet).subspan(at, 1), peer.now);
    ASSERT_LT(memory::live_bytes(), before + 5 * at + 300'000) << at;
  }
}

TEST(BoundedMemory, c7_a_million_pings_whose_answers_nobody_fetches_stop_being_read) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  Bytes ping;
  wire::Writer(ping).u8(kMsgPing).string(std::string(200, 'p'));
  const std::size_t before = memory::live_bytes();
  int sent = 0;
  while (sent < 1'000'000 && peer.engine.transport.wants_input()) {
    peer.engine.feed(peer.sealed(ping), peer.now);
    ++sent;
  }
  EXPECT_LT(sent, 1'000'000);
  EXPECT_LT(memory::live_bytes(), before + (2u << 20));
  EXPECT_TRUE(peer.is_live());
  peer.settle();
  EXPECT_EQ(peer.count(kMsgPong), static_cast<std::size_t>(sent));
}

TEST(BoundedMemory, c5_writers_are_told_to_wait_when_a_peer_never_answers_a_key_exchange) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
  const Bytes message(30'000, std::byte{94});
  const std::size_t before = memory::live_bytes();
  std::uint64_t refused = 0;
  for (std::uint64_t offered = 0; offered < (1u << 30); offered += message.size())
    refused += peer.engine.transport.send(message, {}, peer.now) ? 0 : 1;
  EXPECT_GT(refused, 30'000u);
  EXPECT_LT(memory::live_bytes(), before + (8u << 20));
}

TEST(BoundedMemory, c28_wrong_guesses_for_a_thousand_exchanges_leave_nothing_behind) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  peer.make_wrong_guess();
  std::size_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i == 100) before = memory::live_bytes();
    peer.send_kexinit();
    peer.send(std::uint8_t{30}, "guess");
    peer.send_method();
    peer.send_new_keys();
    peer.inbox.clear();
    ASSERT_TRUE(peer.is_live()) << i;
  }
  EXPECT_LT(memory::live_bytes(), before + 64 * 1024);
}

TEST(BoundedMemory, a14_refused_connections_leave_nothing_behind) {
  std::size_t before = 0;
  for (int i = 0; i < 200; ++i) {
    if (i == 50) before = memory::live_bytes();
    RawPeer peer = RawPeer::client();
    peer.reach(i % 2 == 0 ? State::auth : State::exchange);
    peer.send(kMsgUserauthSuccess);
    ASSERT_EQ(peer.reason(), 2u);
    ASSERT_FALSE(peer.engine.transport.next_timeout());
  }
  EXPECT_LT(memory::live_bytes(), before + 16 * 1024);
}

}  // namespace
}  // namespace streamkit::ssh

namespace streamkit::channel::test {
namespace {

namespace memory = testing::memory;

/// Feeds the same beginning of a flood, then the rest of it, and compares what is held.
template <class Step>
void expect_flat(Raw& raw, int count, Step&& step) {
  std::size_t before = 0;
  for (int i = 0; i < count; ++i) {
    if (i == count / 10) before = memory::live_bytes();
    ASSERT_TRUE(step(static_cast<std::uint32_t>(i))) << i;
    raw.forget_sent();
    raw.side.poll();
    raw.side.events.clear();
  }
  EXPECT_LT(memory::live_bytes(), before + 256 * 1024);
}

TEST(BoundedMemory, c9_a_million_opens_of_an_unknown_type_leave_nothing_behind) {
  Raw raw;
  expect_flat(raw, 1'000'000, [&](std::uint32_t i) {
    if (!raw.feed(Msg(90).str("nobody@knows").u32(i).u32(1 << 20).u32(32768))) return false;
    const std::optional<Opening> opening = raw.side.next<Opening>();
    return opening && raw.side.mux.refuse(opening->id, OpenFailure::unknown_type, "");
  });
  EXPECT_EQ(raw.side.mux.open_channels(), 0u);
}

TEST(BoundedMemory, c8_a_million_replies_to_nothing_leave_nothing_behind) {
  Raw raw;
  expect_flat(raw, 1'000'000,
              [&](std::uint32_t i) { return bool(raw.feed(Msg(i % 2 == 0 ? 81 : 82))); });
}

}  // namespace
}  // namespace streamkit::channel::test

namespace streamkit::testing {
namespace {

TEST(BoundedMemory, c7_a_peer_stops_reading_from_a_client_that_asks_and_never_listens) {
  const crypto::PrivateKey key = new_key();
  Peer server = Peer::make(options_for("s", new_key(), key.public_key())).value();
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0").value();
  StockClient stock(endpoint.port(), key);
  const Message question = Message(80).str("keepalive@openssh.com").u8(1);
  ASSERT_EQ(stock.answer(question, {81, 82}), 81);
  const std::size_t before = memory::live_bytes();
  constexpr int kMany = 5'000'000;
  const int sent = stock.flood(question, kMany);
  EXPECT_LT(sent, kMany);
  EXPECT_LT(memory::live_bytes(), before + (8u << 20));
  for (int i = 0; i < sent; ++i)
    ASSERT_TRUE(stock.next({81, 82})) << i << " of " << sent;  // too many at once are refused
  EXPECT_TRUE(stock.is_live());
}

}  // namespace
}  // namespace streamkit::testing
