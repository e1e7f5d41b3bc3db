// Turns: a small channel beside bulk ones, bulk ones beside each other, priority, nobody starved.
#include "multiplexer_impl.hpp"

#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

/// How many bytes of other channels leave between two messages of `id`.
struct Departures {
  explicit Departures(Side& side) : side_(side) {}
  /// Lets the port take `bytes`, and gives the channels (their numbers at the other side) in order.
  std::vector<std::uint32_t> drain(std::size_t bytes, TimePoint now) {
    std::vector<std::uint32_t> order;
    side_.port.capacity = bytes;
    EXPECT_TRUE(side_.mux.port_ready(now));
    while (!side_.port.messages.empty()) {
      const Bytes m = side_.port.take();
      if (m.at(0) == std::byte{94}) order.push_back(wire::load_u32(&m.at(1)));
    }
    side_.port.capacity = 0;
    return order;
  }
  Side& side_;
};

TEST(Fairness, a_ping_goes_before_the_next_turn_of_a_bulk_channel) {
  MultiplexerPair pair;
  const auto bulk = pair.open(), ping = pair.open();
  pair.a.port.capacity = 0;
  ASSERT_TRUE(pair.write(pair.a, bulk.at_a, std::string(64 << 10, 'b')));
  Departures out(pair.a);
  ASSERT_EQ(out.drain(40'000, pair.now).size(), 2u);  // a whole turn, and the begin of the next
  ASSERT_TRUE(pair.write(pair.a, ping.at_a, "ping"));
  const std::vector<std::uint32_t> order = out.drain(40'000, pair.now);
  const auto at = std::find(order.begin(), order.end(), static_cast<std::uint32_t>(ping.at_b));
  ASSERT_NE(at, order.end());
  EXPECT_LE(at - order.begin(), 1) << "at most the rest of the bulk channel's turn before it";
}

TEST(Fairness, a_link_is_shared_while_channels_take_turns_and_for_a_moment_after) {
  MultiplexerPair pair;
  const auto bulk = pair.open(), ping = pair.open();
  pair.a.port.capacity = 0;
  ASSERT_TRUE(pair.write(pair.a, bulk.at_a, std::string(64 << 10, 'b')));
  Departures out(pair.a);
  out.drain(40'000, pair.now);
  EXPECT_FALSE(pair.a.mux.is_shared()) << "one channel alone";
  ASSERT_TRUE(pair.write(pair.a, ping.at_a, "ping"));
  out.drain(40'000, pair.now);
  EXPECT_TRUE(pair.a.mux.is_shared());
  out.drain(40'000, pair.now + kSharedFor / 2);
  EXPECT_TRUE(pair.a.mux.is_shared());
  ASSERT_TRUE(pair.write(pair.a, bulk.at_a, std::string(1 << 10, 'b')));
  out.drain(40'000, pair.now + 2 * kSharedFor);
  EXPECT_FALSE(pair.a.mux.is_shared()) << "alone again";
}

TEST(Fairness, pings_beside_bulk_wait_at_most_one_quantum_each) {
  MultiplexerPair pair;
  const auto bulk = pair.open(), ping = pair.open();
  pair.a.port.capacity = 64 << 10;
  const std::string chunk(1 << 20, 'b');
  int pings = 0;
  std::size_t bulk_bytes = 0;
  for (int round = 0; round < 200; ++round) {
    static_cast<void>(pair.write(pair.a, bulk.at_a, chunk));  // fills the port and its buffer
    ASSERT_TRUE(pair.write(pair.a, ping.at_a, "ping"));
    // One batch leaves, then the next is decided.
    while (pair.step(pair.a, pair.b)) {
    }
    pair.ready(pair.a);
    while (pair.step(pair.a, pair.b)) {
    }
    bulk_bytes += pair.read(pair.b, bulk.at_b).size();
    if (pair.read(pair.b, ping.at_b) == "ping") ++pings;
    while (pair.step(pair.b, pair.a)) {
    }
  }
  EXPECT_EQ(pings, 200) << "each ping is in the very next batch";
  EXPECT_GT(bulk_bytes, 200u * 64 * 1024) << "and the bulk channel still moves";
}

TEST(Fairness, equal_bulk_channels_get_equal_shares) {
  MultiplexerPair pair;
  std::vector<MultiplexerPair::Ends> ends;
  for (int i = 0; i < 8; ++i) ends.push_back(pair.open());
  pair.a.port.capacity = 0;
  std::map<std::uint32_t, std::size_t> share;
  for (int round = 0; round < 100; ++round) {
    for (const auto& e : ends)
      static_cast<void>(pair.write(pair.a, e.at_a, std::string(64 << 10, 'x')));
    pair.a.port.capacity = 100'000;
    ASSERT_TRUE(pair.a.mux.port_ready(pair.now));
    pair.a.port.capacity = 0;
    while (!pair.a.port.messages.empty()) {
      Bytes m = pair.a.port.take();
      if (m.at(0) == std::byte{94}) share[wire::load_u32(&m.at(1))] += m.size();
      ASSERT_TRUE(pair.b.mux.handle_payload(m, pair.now));
    }
    for (const auto& e : ends) pair.read(pair.b, e.at_b);
    while (pair.step(pair.b, pair.a)) {
    }
  }
  ASSERT_EQ(share.size(), 8u);
  std::size_t least = SIZE_MAX, most = 0;
  for (const auto& [id, bytes] : share)
    least = std::min(least, bytes), most = std::max(most, bytes);
  EXPECT_LE(most - least, 2u * kQuantum);
}

TEST(Fairness, priority_orders_the_turns_and_starves_nobody) {
  MultiplexerPair pair;
  std::vector<MultiplexerPair::Ends> ends;
  for (const std::uint32_t priority : {200u, 100u, 1u}) {
    const Result<ChannelId> id =
        pair.a.mux.open_service({.service = "x", .priority = priority}, {}, pair.now);
    ends.push_back(pair.confirm(pair.a, pair.b, *id));
  }
  pair.a.port.capacity = 0;
  for (const auto& e : ends) ASSERT_TRUE(pair.write(pair.a, e.at_a, std::string(64 << 10, 'x')));
  const std::vector<std::uint32_t> order = Departures(pair.a).drain(1 << 20, pair.now);
  const auto number = [&](int i) {
    return static_cast<std::uint32_t>(ends[static_cast<std::size_t>(i)].at_b);
  };
  ASSERT_EQ(order.size(), 6u);
  const std::vector<std::uint32_t> expected = {number(2), number(1), number(0),
                                               number(2), number(1), number(0)};
  EXPECT_EQ(order, expected);
}

TEST(Fairness, a_channel_that_comes_back_in_the_same_round_waits_for_the_next) {
  Scheduler turns;
  Turn a, b, c;
  turns.join(1, 100, a);
  turns.join(2, 100, b);
  turns.join(3, 100, c);
  EXPECT_EQ(turns.next(), 1u);
  turns.leave(1, a);
  turns.join(1, 100, a);  // at once again
  EXPECT_EQ(turns.next(), 2u);
  turns.pass(b);
  EXPECT_EQ(turns.next(), 3u);
  turns.leave(3, c);
  EXPECT_EQ(turns.next(), 1u);
  turns.leave(1, a);
  EXPECT_EQ(turns.next(), 2u);
  turns.leave(2, b);
  EXPECT_TRUE(turns.empty());
}

TEST(Fairness, a_channel_may_leave_the_middle_of_the_line) {
  Scheduler turns;
  Turn t[4];
  for (std::uint32_t i = 0; i < 4; ++i) turns.join(i, 100, t[i]);
  turns.leave(2, t[2]);
  turns.leave(2, t[2]);
  for (const std::uint32_t expected : {0u, 1u, 3u}) {
    ASSERT_EQ(turns.next(), expected);
    turns.leave(expected, t[expected]);
  }
  EXPECT_TRUE(turns.empty());
}

}  // namespace
}  // namespace streamkit::channel::test
