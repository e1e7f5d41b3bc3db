// Keys that change while data flows (RFC 4253 section 9), and what waits meanwhile.
#include "rekey.hpp"

#include "support/raw_peer.hpp"
#include "transport_impl.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {

// Two to the thirty-one packets cannot be sent in a test, so the counters are set. The names of
// private members may stand in an explicit instantiation, and nowhere else.
template <class Tag, auto kMember>
struct Opened {
  friend constexpr auto member(Tag) { return kMember; }
};
struct Engine {
  friend constexpr auto member(Engine);
};
struct Out {
  friend constexpr auto member(Out);
};
struct In {
  friend constexpr auto member(In);
};
struct OutUse {
  friend constexpr auto member(OutUse);
};
struct InUse {
  friend constexpr auto member(InUse);
};
template struct Opened<Engine, &Transport::impl_>;
template struct Opened<Out, &Transport::Impl::sealer_>;
template struct Opened<In, &Transport::Impl::opener_>;
template struct Opened<OutUse, &PacketSealer::use_>;
template struct Opened<InUse, &PacketOpener::use_>;

namespace {

using testing::client_config;
using testing::FixedRandom;
using testing::RawPeer;
using testing::server_config;
using testing::TransportPair;

Bytes message(std::size_t size, std::uint8_t number = 94) {
  Bytes out(size, std::byte{0x55});
  out[0] = std::byte{number};
  return out;
}

std::uint64_t mix(std::uint64_t hash, ByteView bytes) {
  for (const std::byte b : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3;
  return hash;
}

/// Sends `total` bytes each way in messages of random sizes and checks that they arrive, in order.
void flow(TransportPair& pair, std::size_t total) {
  struct Lane {
    testing::PairEnd& from;
    testing::PairEnd& to;
    FixedRandom random;
    std::size_t sent = 0;
    std::uint64_t sent_hash = 1, received_hash = 1;
  };
  Lane lanes[] = {{pair.client, pair.server, FixedRandom(11)},
                  {pair.server, pair.client, FixedRandom(12)}};
  for (Lane& lane : lanes) {
    lane.to.keep_payloads = false;
    lane.to.payload_bytes = 0;
    lane.to.on_payload = [&lane](ByteView p) { lane.received_hash = mix(lane.received_hash, p); };
  }
  for (int quiet = 0; quiet < 3;) {
    bool any = false;
    for (Lane& lane : lanes)
      for (int burst = 0; burst < 8 && lane.sent < total; ++burst) {
        if (lane.from.transport.sendable_bytes() == 0) break;
        Bytes bytes = message(1 + lane.random.next() % 3000);
        (void)lane.random.fill(MutableByteView(bytes).subspan(1));
        ASSERT_TRUE(lane.from.transport.send(bytes, {}, pair.now));
        lane.sent_hash = mix(lane.sent_hash, bytes);
        lane.sent += bytes.size();
        any = true;
      }
    pair.drive();
    quiet = any ? 0 : quiet + 1;
  }
  for (Lane& lane : lanes) {
    EXPECT_GE(lane.sent, total);
    EXPECT_EQ(lane.to.payload_bytes, lane.sent);
    EXPECT_EQ(lane.received_hash, lane.sent_hash);
    lane.to.on_payload = nullptr;
  }
}

TEST(Rekey, b10_works_from_both_sides_at_once_at_tiny_limits) {
  for (const char* cipher :
       {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"}) {
    Config client = client_config(), server = server_config();
    client.limits.rekey_after_bytes = server.limits.rekey_after_bytes = 4096;
    client.algorithms.ciphers = {cipher};
    client.algorithms.macs = {"hmac-sha2-256"};
    TransportPair pair(std::move(client), std::move(server));
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    flow(pair, 1 << 20);
    EXPECT_TRUE(pair.is_open());
    EXPECT_GT(pair.client.transport.info().exchanges, 40u);
    EXPECT_EQ(pair.client.transport.info().exchanges, pair.server.transport.info().exchanges);
  }
}

TEST(Rekey, works_when_one_side_alone_asks_and_bytes_come_one_at_a_time) {
  for (const bool by_client : {true, false}) {
    Config client = client_config(), server = server_config();
    (by_client ? client : server).limits.rekey_after_bytes = 5000;
    TransportPair pair(std::move(client), std::move(server));
    pair.chunk = 1;
    pair.drive();
    flow(pair, 40000);
    EXPECT_TRUE(pair.is_open());
    EXPECT_GT(pair.client.transport.info().exchanges, 5u);
  }
}

TEST(Rekey, happens_every_n_packets) {
  Config client = client_config();
  client.limits.rekey_after_packets = 20;
  TransportPair pair(std::move(client), server_config());
  pair.drive();
  flow(pair, 200000);
  EXPECT_TRUE(pair.is_open());
  EXPECT_GT(pair.client.transport.info().exchanges, 5u);
}

TEST(Rekey, happens_after_an_hour_and_not_before) {
  TransportPair pair;
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  pair.advance(std::chrono::minutes(59));
  EXPECT_EQ(pair.client.transport.info().exchanges, 1u);
  pair.advance(std::chrono::minutes(2));
  EXPECT_EQ(pair.client.transport.info().exchanges, 2u);
  pair.advance(std::chrono::hours(3));
  EXPECT_GE(pair.client.transport.info().exchanges, 5u);
  EXPECT_TRUE(pair.is_open());
}

TEST(Rekey, b10_crossing_kexinits_are_one_exchange) {
  TransportPair pair;
  pair.drive();
  ASSERT_TRUE(pair.client.transport.start_rekey(pair.now));
  ASSERT_TRUE(pair.server.transport.start_rekey(pair.now));
  ASSERT_TRUE(pair.server.transport.start_rekey(pair.now));  // no effect
  pair.drive();
  EXPECT_TRUE(pair.is_open());
  EXPECT_EQ(pair.client.transport.info().exchanges, 2u);
  EXPECT_EQ(pair.server.transport.info().exchanges, 2u);
  flow(pair, 10000);
}

TEST(Rekey, what_is_sent_meanwhile_is_held_back_in_order) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
  peer.settle();
  peer.inbox.clear();
  EXPECT_EQ(peer.engine.transport.sendable_bytes(), 0u);
  for (std::uint8_t n = 90; n < 100; ++n)
    ASSERT_TRUE(peer.engine.transport.send(message(5, n), {}, peer.now));
  peer.send_kexinit();
  EXPECT_TRUE(peer.inbox.empty());
  peer.send_method();
  ASSERT_EQ(peer.inbox.size(), 12u);
  EXPECT_EQ(peer.inbox[0][0], std::byte{kMsgKexEcdhReply});
  EXPECT_EQ(peer.inbox[1][0], std::byte{kMsgNewKeys});
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_EQ(peer.inbox[2 + i], message(5, static_cast<std::uint8_t>(90 + i)));
  EXPECT_GT(peer.engine.transport.sendable_bytes(), 0u);
  peer.send_new_keys();
  EXPECT_TRUE(peer.is_live());
}

TEST(Rekey, c6_what_the_peer_sent_before_its_kexinit_is_delivered_and_after_it_refused) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer peer = RawPeer::of(raw);
    peer.reach(State::open);
    ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
    peer.settle();
    peer.send(message(20));
    peer.send(message(20, 80));
    EXPECT_EQ(peer.engine.payloads.size(), 2u);
    peer.send(kMsgPing, std::string("\0\0\0\0", 4));
    EXPECT_FALSE(peer.received(kMsgPong));  // after the exchange
    peer.send_kexinit();
    if (raw == Role::client) {
      peer.send_method();
      EXPECT_TRUE(peer.received(kMsgPong));
    }
    peer.send(message(20));
    EXPECT_FALSE(peer.is_live());
    EXPECT_EQ(peer.reason(), 2u);
    EXPECT_EQ(peer.engine.payloads.size(), 2u);
  }
}

TEST(Rekey, c6_after_its_kexinit_a_peer_may_send_nothing_but_the_exchange) {
  for (const Role raw : {Role::client, Role::server})
    for (const bool asked : {true, false})  // by us, or by the peer
      for (const int number :
           {5, 6, 7, 50, 51, 52, 53, 80, 81, 82, 90, 93, 94, 97, 98, 100}) {
        RawPeer peer = RawPeer::of(raw);
        peer.reach(State::open);
        if (asked) {
          ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
        }
        peer.settle();
        peer.send_kexinit();
        peer.send(message(20, static_cast<std::uint8_t>(number)));
        EXPECT_EQ(peer.reason(), 2u) << number;
        EXPECT_TRUE(peer.engine.payloads.empty());
      }
}

TEST(Rekey, c5_a_peer_that_never_answers_bounds_the_queue_and_runs_into_the_timer) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
  std::size_t queued = 0;
  while (peer.engine.transport.send(message(30000), {}, peer.now)) queued += 30000;
  EXPECT_LE(queued, 2u << 20);
  EXPECT_GT(queued, 1u << 20);
  EXPECT_TRUE(
      peer.engine.transport.send(message(30000), {}, peer.now).error().is(Errc::would_block));
  EXPECT_TRUE(peer.is_live());
  ASSERT_TRUE(peer.engine.transport.next_timeout());
  peer.now = *peer.engine.transport.next_timeout();
  EXPECT_FALSE(peer.engine.transport.handle_timeout(peer.now));
  peer.settle();
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 3u);
}

TEST(Rekey, c7_a_flood_of_pings_stops_being_read_when_nobody_takes_the_answers) {
  Config options = server_config();
  options.limits.output_high_water = 10000;
  RawPeer peer(Role::client, client_config(), std::move(options));
  peer.reach(State::open);
  Bytes ping;
  wire::Writer(ping).u8(kMsgPing).string(std::string(200, 'p'));
  int sent = 0;
  while (peer.engine.transport.wants_input()) {
    peer.engine.feed(peer.sealed(ping), peer.now);  // answers stay in the engine
    ASSERT_LT(++sent, 1000);
  }
  EXPECT_LT(peer.engine.transport.output().size(), 21000u);
  EXPECT_EQ(peer.engine.transport.sendable_bytes(), 0u);
  peer.settle();
  EXPECT_TRUE(peer.engine.transport.wants_input());
  EXPECT_EQ(peer.count(kMsgPong), static_cast<std::size_t>(sent));
}

TEST(Rekey, c7_a_ping_is_answered_with_its_data_only_after_authentication) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::auth);
  Bytes ping;
  wire::Writer(ping).u8(kMsgPing).string("12345");
  peer.send(ping);
  EXPECT_FALSE(peer.received(kMsgPong));
  peer.authenticate();
  peer.send(ping);
  ASSERT_TRUE(peer.received(kMsgPong));
  ping[0] = std::byte{kMsgPong};
  EXPECT_EQ(*peer.last(kMsgPong), ping);
  peer.send(kMsgPing, "short");
  EXPECT_EQ(peer.reason(), 2u);
}

TEST(Rekey, never_starts_by_us_before_authentication) {
  RawPeer peer(Role::client, client_config(), [] {
    Config config = server_config();
    config.limits.rekey_after_bytes = 64;
    config.limits.rekey_after_packets = 1;
    return config;
  }());
  peer.reach(State::auth);
  for (int i = 0; i < 10; ++i) peer.send(kMsgIgnore);
  ASSERT_TRUE(peer.engine.transport.start_rekey(peer.now));
  peer.settle();
  EXPECT_EQ(peer.count(kMsgKexInit), 1u);
  peer.authenticate();
  EXPECT_EQ(peer.count(kMsgKexInit), 2u);
}

TEST(Rekey, the_peer_may_ask_for_one_during_authentication) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer peer = RawPeer::of(raw);
    peer.reach(State::auth);
    peer.exchange();
    ASSERT_TRUE(peer.is_live());
    peer.authenticate();
    EXPECT_TRUE(peer.engine.transport.is_authenticated());
    EXPECT_EQ(peer.engine.transport.info().exchanges, 2u);
  }
}

TEST(Rekey, b9_hard_limits_are_never_above_two_to_the_thirty_one_packets) {
  Limits limits;
  limits.rekey_after_packets = ~0ull;
  limits.rekey_after_bytes = ~0ull;
  const RekeyLimits rekey(limits);
  EXPECT_FALSE(rekey.is_due({0, (1ull << 30) - 1}));
  EXPECT_TRUE(rekey.is_due({0, 1ull << 30}));
  EXPECT_FALSE(RekeyLimits::is_exhausted({0, (1ull << 31) - 1}));
  EXPECT_TRUE(RekeyLimits::is_exhausted({0, 1ull << 31}));
  EXPECT_FALSE(rekey.is_due({(1ull << 35) - 1, 0}));
  EXPECT_TRUE(rekey.is_due({1ull << 35, 0}));
  EXPECT_FALSE(RekeyLimits::is_exhausted({(1ull << 36) - 1, 0}));
  EXPECT_TRUE(RekeyLimits::is_exhausted({1ull << 36, 0}));
}

KeyUse& sent(Transport& transport) {
  return ((*(transport.*member(Engine()))).*member(Out())).*member(OutUse());
}
KeyUse& received(Transport& transport) {
  return ((*(transport.*member(Engine()))).*member(In())).*member(InUse());
}

TEST(Rekey, b9_half_way_to_the_last_packet_keys_are_changed_whatever_the_options_say) {
  for (const bool by_sending : {true, false}) {
    Config client = client_config(), server = server_config();
    client.limits.rekey_after_packets = server.limits.rekey_after_packets = ~0ull;
    client.limits.rekey_after_bytes = server.limits.rekey_after_bytes = ~0ull;
    TransportPair pair(std::move(client), std::move(server));
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    (by_sending ? sent(pair.client.transport) : received(pair.client.transport)).packets =
        (1ull << 30) - 2;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(pair.client.transport.info().exchanges, 1u);
      ASSERT_TRUE(
          (by_sending ? pair.client : pair.server).transport.send(message(20), {}, pair.now));
      pair.drive();
    }
    EXPECT_EQ(pair.client.transport.info().exchanges, 2u);
    EXPECT_LT(sent(pair.client.transport).packets, 10u);
    EXPECT_LT(received(pair.client.transport).packets, 10u);
    flow(pair, 10000);
    EXPECT_TRUE(pair.is_open());
  }
}

TEST(Rekey, b9_nothing_is_sent_or_believed_after_the_last_packet_of_a_key) {
  constexpr std::uint64_t kLast = 1ull << 31;
  RawPeer listens = RawPeer::client();
  listens.reach(State::open);
  sent(listens.engine.transport).packets =
      kLast - 1;  // passed only by one who does not exchange keys in time
  EXPECT_FALSE(listens.engine.transport.send(message(20), {}, listens.now));
  EXPECT_FALSE(listens.engine.transport.send(message(20), {}, listens.now));
  listens.settle();
  EXPECT_FALSE(listens.is_live());
  EXPECT_EQ(listens.count(94), 1u);

  RawPeer talks = RawPeer::client();
  talks.reach(State::open);
  received(talks.engine.transport).packets = kLast - 2;
  talks.send(message(20));
  EXPECT_EQ(talks.engine.payloads.size(), 1u);
  EXPECT_TRUE(talks.is_live());
  talks.send(message(20));
  EXPECT_EQ(talks.engine.payloads.size(), 1u);
  EXPECT_EQ(talks.reason(), 2u);
}

TEST(Rekey, held_payloads_come_out_once_and_in_order_up_to_their_limit) {
  HeldPayloads held;
  EXPECT_TRUE(held.push(message(10), message(5), 40));
  EXPECT_TRUE(held.push(message(10), {}, 40));
  EXPECT_FALSE(held.push(message(10), {}, 40));
  std::vector<std::size_t> sizes;
  const auto take = [&](ByteView payload) -> Result<void> {
    sizes.push_back(payload.size());
    return {};
  };
  EXPECT_TRUE(held.release(take));
  EXPECT_TRUE(held.release(take));
  EXPECT_EQ(sizes, (std::vector<std::size_t>{15, 10}));
  EXPECT_TRUE(held.empty());
}

TEST(Rekey, c7_unknown_messages_are_answered_but_not_for_ever) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  int sent = 0;
  while (peer.is_live() && sent < 5000) peer.send(std::uint8_t{200}), ++sent;
  EXPECT_EQ(peer.count(kMsgUnimplemented), 1024u);
  EXPECT_EQ(peer.reason(), 2u);
}

}  // namespace
}  // namespace streamkit::ssh
