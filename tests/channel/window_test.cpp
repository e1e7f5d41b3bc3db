// Receive windows: given back at half, grown by round trips, one budget a link, a stalled reader.
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Window, is_given_back_when_half_of_it_was_read) {
  Limits limits;
  limits.initial_window = 1000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(1000, 'x')));
  pair.run();
  pair.read(pair.b, ends.at_b, Lane::data, 499);
  EXPECT_EQ(pair.b.port.counts[93], 0u);
  pair.read(pair.b, ends.at_b, Lane::data, 1);
  EXPECT_EQ(pair.b.port.counts[93], 1u);
}

TEST(Window, of_16_mib_is_given_back_by_mebibytes) {
  Limits limits;
  limits.initial_window = limits.max_window = 16 << 20;
  limits.max_receive_bytes = 512 << 20;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  const std::string chunk(64 * 1024, 'x');
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(pair.write(pair.a, ends.at_a, chunk));
    pair.run();
  }
  pair.read(pair.b, ends.at_b, Lane::data, (1 << 20) - 1);
  EXPECT_EQ(pair.b.port.counts[93], 0u);
  pair.read(pair.b, ends.at_b, Lane::data, 1);
  EXPECT_EQ(pair.b.port.counts[93], 1u);
}

TEST(Window, a_stalled_reader_stops_its_writer_while_another_channel_moves_10_mib) {
  MultiplexerPair pair;
  pair.a.port.capacity = 128 * 1024;
  const auto stalled = pair.open(), moving = pair.open();
  const std::string chunk(64 * 1024, 'x');
  std::size_t stalled_sent = 0, moved = 0, sent = 0;
  while (moved < 10 << 20) {
    if (const auto n = pair.write(pair.a, stalled.at_a, chunk)) stalled_sent += *n;
    if (sent < 10 << 20) {
      if (const auto n = pair.write(pair.a, moving.at_a, chunk)) sent += *n;
    }
    pair.run();
    const std::size_t got = pair.read(pair.b, moving.at_b).size();
    moved += got;
  }
  const Limits limits;
  EXPECT_EQ(pair.b.mux.readable_bytes(stalled.at_b, Lane::data), limits.initial_window);
  EXPECT_EQ(stalled_sent, limits.initial_window + limits.send_buffer);
  EXPECT_TRUE(pair.write(pair.a, stalled.at_a, "x").error().is(Errc::would_block));
}

/// Writes as fast as it can and reads at once for `time`; what was read.
std::size_t stream(MultiplexerPair& pair, MultiplexerPair::Ends ends, Duration time) {
  const std::string chunk(256 * 1024, 'x');
  std::size_t got = 0;
  const TimePoint end = pair.now + time;
  while (pair.now < end) {
    while (pair.write(pair.a, ends.at_a, chunk)) pair.ready(pair.a);
    got += pair.read(pair.b, ends.at_b).size();
    pair.advance(milliseconds(1));
    got += pair.read(pair.b, ends.at_b).size();
  }
  return got;
}

TEST(Window, grows_when_a_fast_reader_waits_for_round_trips) {
  Limits limits;
  limits.initial_window = 64 << 10;
  limits.max_window = 1 << 20;
  for (const bool measured : {false, true}) {
    MultiplexerPair pair(limits);
    pair.a.port.capacity = 64 << 20;
    pair.delay = milliseconds(20);
    if (measured) pair.b.mux.set_round_trip(milliseconds(40));
    const ChannelId id = *pair.a.mux.open_service({.service = "x"}, {}, pair.now);
    pair.advance(milliseconds(20));
    const ChannelId theirs = pair.b.next<Opening>()->id;
    ASSERT_TRUE(pair.b.mux.confirm(theirs, {}, pair.now));
    pair.advance(milliseconds(20));
    const std::size_t got = stream(pair, {id, theirs}, seconds(2));
    EXPECT_EQ(pair.b.mux.granted_bytes(), limits.max_window) << "measured " << measured;
    // At 64 KiB a round trip it would have been 3.2 MB.
    EXPECT_GT(got, 20u << 20) << "measured " << measured;
  }
}

TEST(Window, does_not_grow_for_a_slow_reader) {
  Limits limits;
  limits.initial_window = 64 << 10;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  pair.b.mux.set_round_trip(milliseconds(10));
  for (int i = 0; i < 200; ++i) {
    static_cast<void>(pair.write(pair.a, ends.at_a, std::string(8192, 'x')));
    pair.run();
    pair.read(pair.b, ends.at_b, Lane::data, 1024);
    pair.advance(milliseconds(5));
  }
  EXPECT_EQ(pair.b.mux.granted_bytes(), limits.initial_window);
}

TEST(Window, all_of_a_link_stay_within_their_total_but_each_channel_gets_its_least) {
  Limits limits;
  limits.max_channels = 512;
  limits.max_receive_bytes = 4 << 20;
  MultiplexerPair pair(limits);
  std::vector<MultiplexerPair::Ends> ends;
  for (int i = 0; i < 300; ++i) ends.push_back(pair.open());
  EXPECT_LE(pair.b.mux.granted_bytes(), limits.max_receive_bytes + 300 * limits.min_window);
  for (const auto& e : ends) {
    ASSERT_TRUE(pair.write(pair.a, e.at_a, std::string(40'000, 'x')));
  }
  pair.run();
  for (const auto& e : ends) EXPECT_GE(pair.b.mux.readable_bytes(e.at_b, Lane::data), 32'768u);
}

std::size_t window_of(MultiplexerPair& pair, const MultiplexerPair::Ends& e) {
  std::size_t sent = 0;  // nobody reads, so this is what the window lets through
  for (std::size_t n = 1; n > 0; sent += n) {
    n = pair.write(pair.a, e.at_a, std::string(60'000, 'x')).value_or(0);
    pair.run();
  }
  return pair.b.mux.readable_bytes(e.at_b, Lane::data);
}

TEST(Window, large_ones_shrink_when_there_is_no_more_so_that_later_ones_grow) {
  Limits limits;
  limits.initial_window = 64 << 10;
  limits.max_receive_bytes = 1 << 20;
  MultiplexerPair pair(limits);
  pair.a.port.capacity = 64 << 20;
  pair.b.mux.set_round_trip(milliseconds(40));
  const auto first = pair.open();
  stream(pair, first, seconds(1));
  ASSERT_GE(pair.b.mux.granted_bytes(), limits.max_receive_bytes / 2);
  const auto second = pair.open();
  for (int i = 0; i < 200; ++i) {
    stream(pair, first, milliseconds(20));
    stream(pair, second, milliseconds(20));
  }
  EXPECT_LE(pair.b.mux.granted_bytes(), limits.max_receive_bytes + 2 * limits.min_window);
  const std::size_t of_first = window_of(pair, first), of_second = window_of(pair, second);
  EXPECT_GE(of_second, 256u << 10);
  EXPECT_GE(of_first, 256u << 10);
}

TEST(Window, of_one_that_is_used_grows_however_many_idle_ones_there_are) {
  Limits limits;
  limits.max_channels = 3000;
  limits.max_unaccepted = 3000;
  MultiplexerPair pair(limits);
  pair.a.port.capacity = 64 << 20;
  pair.b.mux.set_round_trip(milliseconds(40));
  for (int i = 0; i < 2000; ++i) pair.open();
  const auto used = pair.open();
  const std::size_t before = pair.b.mux.granted_bytes();
  stream(pair, used, milliseconds(400));
  EXPECT_GE(pair.b.mux.granted_bytes() - before, limits.max_window - limits.min_window);
}

TEST(Window, does_not_grow_past_the_total) {
  Limits limits;
  limits.initial_window = 64 << 10;
  limits.max_receive_bytes = 512 << 10;
  MultiplexerPair pair(limits);
  pair.a.port.capacity = 64 << 20;
  pair.b.mux.set_round_trip(milliseconds(40));
  const auto ends = pair.open();
  stream(pair, ends, seconds(1));
  EXPECT_LE(pair.b.mux.granted_bytes(), limits.max_receive_bytes + limits.min_window);
  EXPECT_GE(pair.b.mux.granted_bytes(), limits.max_receive_bytes / 2) << "and leaves room for one more";
}

}  // namespace
}  // namespace streamkit::channel::test
