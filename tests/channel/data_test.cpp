// Data: straight from the caller, by way of the buffer, both lanes, one copy, the limits of each.
#include "block_pool.hpp"
#include "receive_queue.hpp"
#include "send_queue.hpp"

#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

// A piece that stays where it came, among pieces that are copied.
TEST(ReceiveQueue, reads_kept_and_copied_pieces_in_order) {
  BlockPool pool;
  ReceiveQueue queue(pool);
  const auto slab = std::make_shared<const std::string>(20'000, 'k');
  queue.append(as_bytes("before"));
  queue.append(as_bytes(*slab), slab);
  queue.append(as_bytes("after"), slab);  // too small to be worth keeping
  EXPECT_EQ(slab.use_count(), 2);
  std::string all;
  bool was_kept = false;
  while (!queue.empty()) {
    was_kept = was_kept || queue.front().data() == as_bytes(*slab).data();
    all += as_text(queue.front());
    queue.consume(queue.front().size());
  }
  EXPECT_TRUE(was_kept);
  EXPECT_EQ(all, "before" + *slab + "after");
  EXPECT_EQ(slab.use_count(), 1);
}

TEST(Data, goes_straight_from_the_callers_memory_when_nobody_waits) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  const std::string text(1000, 'x');
  ASSERT_EQ(*pair.write(pair.a, ends.at_a, text), 1000u);
  EXPECT_EQ(pair.a.port.last_body, as_bytes(text).data());
  EXPECT_TRUE(pair.a.mux.is_flushed(ends.at_a));
  pair.run();
  EXPECT_EQ(pair.b.all<Readable>().size(), 1u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b), text);
}

TEST(Data, is_told_once_until_it_was_read_dry) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pair.write(pair.a, ends.at_a, "ab"));
    pair.run();
  }
  EXPECT_EQ(pair.b.all<Readable>().size(), 1u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::data, 3), "aba");
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "ab"));
  pair.run();
  EXPECT_EQ(pair.b.all<Readable>().size(), 1u) << "not dry yet";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "babab");
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "c"));
  pair.run();
  EXPECT_EQ(pair.b.all<Readable>().size(), 2u);
}

TEST(Data, a_full_port_fills_the_buffer_then_blocks_then_calls_back_once) {
  Limits limits;
  limits.send_buffer = 10'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  pair.a.port.blocked = true;
  EXPECT_EQ(pair.a.mux.writable_bytes(ends.at_a, Lane::data), 10'000u);
  EXPECT_EQ(*pair.write(pair.a, ends.at_a, std::string(25'000, 'x')), 10'000u);
  EXPECT_EQ(pair.a.mux.writable_bytes(ends.at_a, Lane::data), 0u);
  EXPECT_TRUE(pair.write(pair.a, ends.at_a, "y").error().is(Errc::would_block));
  EXPECT_EQ(*pair.write(pair.a, ends.at_a, "error lane", Lane::error), 10u) << "a buffer a lane";
  EXPECT_FALSE(pair.a.mux.is_flushed(ends.at_a));
  pair.run();
  EXPECT_FALSE(pair.a.has<Writable>());
  pair.a.port.blocked = false;
  pair.run();
  EXPECT_EQ(pair.a.all<Writable>().size(), 1u);
  EXPECT_TRUE(pair.a.mux.is_flushed(ends.at_a));
  EXPECT_EQ(pair.read(pair.b, ends.at_b), std::string(10'000, 'x'));
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::error), "error lane");
}

TEST(Data, small_writes_that_wait_leave_as_full_messages) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  pair.a.port.blocked = true;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    ASSERT_TRUE(pair.write(pair.a, ends.at_a, line));
    all += line;
  }
  pair.a.port.blocked = false;
  pair.run();
  EXPECT_EQ(pair.a.port.counts[94], 1u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b), all);
}

TEST(Data, appended_writes_leave_together_with_the_next_turn) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(*pair.a.mux.append(ends.at_a, Lane::data, as_bytes("<"), as_bytes("ab>")));
  EXPECT_EQ(pair.a.port.counts[94], 0u) << "nothing goes before the driver says so";
  pair.run();
  EXPECT_EQ(pair.a.port.counts[94], 1u);
  std::string all;
  for (int i = 0; i < 100; ++i) all += "<ab>";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), all);
}

TEST(Data, an_append_that_does_not_fit_is_refused_whole_and_called_back) {
  Limits limits;
  limits.send_buffer = 1'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  ASSERT_TRUE(*pair.a.mux.append(ends.at_a, Lane::data, {}, Bytes(900)));
  EXPECT_FALSE(*pair.a.mux.append(ends.at_a, Lane::data, as_bytes("head"), Bytes(97)));
  pair.run();
  EXPECT_EQ(pair.a.all<Writable>().size(), 1u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b).size(), 900u);
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  EXPECT_TRUE(pair.a.mux.append(ends.at_a, Lane::data, {}, Bytes(1)).error().is(Errc::closed));
}

TEST(Data, a_lent_write_is_sent_from_where_it_is_behind_what_was_written) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  const std::string text(100'000, 'x');
  ASSERT_TRUE(*pair.a.mux.append(ends.at_a, Lane::data, {}, as_bytes("first")));
  ASSERT_TRUE(pair.a.mux.lend(ends.at_a, Lane::data, as_bytes("head"), as_bytes(text)));
  EXPECT_EQ(pair.a.mux.lent_bytes(ends.at_a, Lane::data), 100'004u);
  EXPECT_TRUE(pair.a.mux.lend(ends.at_a, Lane::data, {}, as_bytes(text)).error().is(Errc::usage)) << "one at a time";
  ASSERT_TRUE(*pair.a.mux.append(ends.at_a, Lane::data, {}, as_bytes("last")));
  pair.run();
  EXPECT_EQ(pair.a.mux.lent_bytes(ends.at_a, Lane::data), 0u);
  EXPECT_EQ(pair.a.all<Writable>().size(), 1u) << "the lender is told";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "firsthead" + text + "last");
}

TEST(Data, a_lent_write_can_be_taken_back_and_what_was_sent_of_it_is_known) {
  Limits limits;
  limits.initial_window = 40'000;
  limits.max_window = 40'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  {
    const std::string text(100'000, 'x');
    ASSERT_TRUE(pair.a.mux.lend(ends.at_a, Lane::data, {}, as_bytes(text)));
    pair.run();
    EXPECT_EQ(pair.a.mux.lent_bytes(ends.at_a, Lane::data), 60'000u);
    EXPECT_EQ(pair.a.mux.take_back(ends.at_a, Lane::data), 60'000u);
  }
  EXPECT_EQ(pair.a.mux.take_back(ends.at_a, Lane::data), 0u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b), std::string(40'000, 'x'));
  pair.run();  // the window opens again: nothing of it is left to send
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "");
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "more"));
  pair.run();
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "more");
}

TEST(Data, what_stands_behind_a_write_that_is_taken_back_needs_no_window) {
  Limits limits;
  limits.initial_window = 40'000;
  limits.max_window = 40'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  const std::string text(100'000, 'x');
  ASSERT_TRUE(pair.a.mux.lend(ends.at_a, Lane::data, {}, as_bytes(text)));
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  pair.run();
  EXPECT_EQ(pair.a.mux.take_back(ends.at_a, Lane::data), 60'000u);
  pair.run();  // nobody has read yet: the window is closed
  EXPECT_EQ(pair.read(pair.b, ends.at_b), std::string(40'000, 'x'));
  EXPECT_TRUE(pair.b.mux.is_eof(ends.at_b));
}

TEST(Data, a_reset_lets_go_of_what_was_lent) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  pair.a.port.blocked = true;
  {
    const std::string text(100'000, 'x');
    ASSERT_TRUE(pair.a.mux.lend(ends.at_a, Lane::data, {}, as_bytes(text)));
    ASSERT_TRUE(pair.a.mux.reset(ends.at_a, Code::cancelled, "", TimePoint()));
  }
  EXPECT_EQ(pair.a.mux.lent_bytes(ends.at_a, Lane::data), 0u);
  pair.a.port.blocked = false;
  pair.run();
  EXPECT_EQ(pair.a.port.counts[94], 0u);
}

// ---- given

// A frame of sevens, and where it lies.
struct Given {
  explicit Given(std::size_t length)
      : size(static_cast<std::uint32_t>(length)), bytes(length, std::byte{7}), at(bytes.data()) {}
  Bytes header() const {
    Bytes out(4);
    wire::store_u32(out.data(), size);
    return out;
  }
  std::uint32_t size;
  Bytes bytes;
  const std::byte* at;
};

TEST(Data, a_given_frame_moves_from_its_writer_to_its_reader) {
  MultiplexerPair pair;
  pair.a.port.moves = true;
  const auto ends = pair.open();
  for (const std::size_t size : {std::size_t{1024}, std::size_t{30'000}}) {
    Given frame(size);
    ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, frame.header(), frame.bytes));
    EXPECT_TRUE(frame.bytes.empty());
    pair.run();
    EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::data), 4 + size);
    EXPECT_EQ(pair.b.mux.peek(ends.at_b, Lane::data).size(), 4u);
    const std::optional<Bytes> got = pair.b.mux.take_frame(ends.at_b, Lane::data);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->data(), frame.at);
    EXPECT_EQ(got->size(), size);
    EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::data), 0u);
  }
  EXPECT_FALSE(pair.b.mux.take_frame(ends.at_b, Lane::data));
}

TEST(Data, what_was_given_can_be_read_as_bytes_piece_by_piece) {
  MultiplexerPair pair;
  pair.a.port.moves = true;
  const auto ends = pair.open();
  Given frame(5000);
  const std::string expected = to_string(frame.header()) + std::string(5000, '\7');
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "before"));
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, frame.header(), frame.bytes));
  ASSERT_TRUE(*pair.a.mux.append(ends.at_a, Lane::data, {}, as_bytes("after")));
  pair.run();
  EXPECT_FALSE(pair.b.mux.take_frame(ends.at_b, Lane::data)) << "it is not next";
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::data, 8), "before" + expected.substr(0, 2));
  EXPECT_FALSE(pair.b.mux.take_frame(ends.at_b, Lane::data)) << "it was begun";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), expected.substr(2) + "after");
}

TEST(Data, a_given_frame_that_the_window_cuts_arrives_whole) {
  Limits limits;
  limits.initial_window = limits.max_window = 10'000;
  MultiplexerPair pair(limits);
  pair.a.port.moves = true;
  const auto ends = pair.open();
  Given frame(15'000);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, frame.header(), frame.bytes));
  pair.run();
  EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::data), 10'000u);
  std::string all = pair.read(pair.b, ends.at_b);
  pair.run();
  all += pair.read(pair.b, ends.at_b);
  EXPECT_TRUE(all == to_string(frame.header()) + std::string(15'000, '\7')) << all.size();
  EXPECT_TRUE(pair.a.mux.is_flushed(ends.at_a));
}

TEST(Data, a_full_send_buffer_leaves_what_was_to_be_given_with_its_writer_and_calls_back) {
  Limits limits;
  limits.send_buffer = 10'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  pair.a.port.blocked = true;
  Given first(9'999), last(50'000), next(50'000);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, {}, first.bytes));
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, last.header(), last.bytes)) << "over it, once";
  ASSERT_FALSE(*pair.a.mux.give(ends.at_a, Lane::data, next.header(), next.bytes));
  EXPECT_EQ(next.bytes.size(), 50'000u);
  EXPECT_EQ(next.bytes.data(), next.at);
  pair.run();
  EXPECT_FALSE(pair.a.has<Writable>());
  pair.a.port.blocked = false;
  pair.run();
  EXPECT_EQ(pair.a.all<Writable>().size(), 1u);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, next.header(), next.bytes));
}

TEST(Data, an_empty_frame_can_be_given_and_one_that_is_too_long_cannot) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  Bytes none, much(kLargestGiven + 1);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, as_bytes("head"), none));
  EXPECT_TRUE(pair.a.mux.give(ends.at_a, Lane::data, {}, much).error().is(Errc::usage));
  EXPECT_EQ(much.size(), kLargestGiven + 1);
  pair.run();
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "head");
}

TEST(Data, a_reset_drops_what_was_given_and_partly_sent) {
  Limits limits;
  limits.initial_window = limits.max_window = 10'000;
  MultiplexerPair pair(limits);
  pair.a.port.moves = true;
  const auto ends = pair.open();
  Given frame(30'000);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::data, frame.header(), frame.bytes));
  pair.run();
  EXPECT_FALSE(pair.a.mux.is_flushed(ends.at_a));
  ASSERT_TRUE(pair.a.mux.reset(ends.at_a, Code::aborted, "enough", pair.now));
  EXPECT_TRUE(pair.a.mux.is_flushed(ends.at_a));
  pair.run();
  ASSERT_TRUE(pair.b.next<Closed>());
  Given late(2'000);
  EXPECT_FALSE(pair.a.mux.give(ends.at_a, Lane::data, late.header(), late.bytes));
}

TEST(Data, both_lanes_take_what_is_given_and_messages_in_two_parts_are_checked_as_ever) {
  MultiplexerPair pair;
  pair.a.port.moves = true;
  const auto ends = pair.open();
  Given frame(2'000);
  ASSERT_TRUE(*pair.a.mux.give(ends.at_a, Lane::error, frame.header(), frame.bytes));
  pair.run();
  EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::error), 2'004u);
  Msg eof(96);
  const ByteView whole = eof.id(ends.at_b);
  ASSERT_TRUE(pair.b.mux.handle_given(whole.first(3), to_bytes(whole.subspan(3)), pair.now));
  const Result<void> wrong =
      pair.a.mux.handle_given(Msg(94).id(ends.at_a).u32(11), Bytes(10), pair.now);
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().is(Errc::protocol));
}

TEST(Data, both_lanes_keep_their_order_and_never_mix) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  std::string data, errors;
  for (int i = 0; i < 500; ++i) {
    pair.a.port.blocked = i % 3 == 0;
    const std::string line = std::to_string(i) + ";";
    const Lane lane = i % 2 == 0 ? Lane::data : Lane::error;
    ASSERT_TRUE(pair.write(pair.a, ends.at_a, line, lane));
    (lane == Lane::data ? data : errors) += line;
    if (i % 7 == 0) pair.run();
  }
  pair.a.port.blocked = false;
  pair.run();
  EXPECT_EQ(pair.read(pair.b, ends.at_b), data);
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::error), errors);
}

TEST(Data, respects_the_others_packet_size_and_its_window_to_the_byte) {
  Limits there;
  there.max_packet = 1000;
  there.initial_window = 2500;
  MultiplexerPair pair(Limits{}, there);
  const auto ends = pair.open();
  ASSERT_EQ(*pair.write(pair.a, ends.at_a, std::string(10'000, 'x')), 10'000u);
  pair.run();
  EXPECT_EQ(pair.a.port.counts[94], 3u);
  EXPECT_EQ(pair.a.port.largest_data, 1000u);
  EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::data), 2500u);
  std::string got = pair.read(pair.b, ends.at_b);
  while (got.size() < 10'000) {
    pair.run();
    const std::string more = pair.read(pair.b, ends.at_b);
    ASSERT_FALSE(more.empty());
    got += more;
  }
  EXPECT_EQ(got, std::string(10'000, 'x'));
}

TEST(Data, a_port_that_takes_a_few_bytes_at_a_time_still_moves_everything) {
  for (const std::size_t capacity : {10u, 14u, 64u, 1000u}) {
    MultiplexerPair pair;
    pair.a.port.capacity = capacity;
    const auto ends = pair.open();
    ASSERT_EQ(*pair.write(pair.a, ends.at_a, std::string(5000, 'x')), 5000u);
    pair.run();
    EXPECT_EQ(pair.read(pair.b, ends.at_b).size(), 5000u) << capacity;
  }
}

TEST(Data, ten_mebibytes_arrive_in_order_through_a_narrow_port) {
  MultiplexerPair pair;
  pair.a.port.capacity = 64 * 1024;
  const auto ends = pair.open();
  std::string sent, got;
  for (std::uint32_t i = 0; sent.size() < 10 << 20; ++i) sent += std::to_string(i * 2654435761u);
  std::size_t at = 0;
  while (got.size() < sent.size()) {
    if (at < sent.size()) {
      const Result<std::size_t> n =
          pair.write(pair.a, ends.at_a, std::string_view(sent).substr(at));
      if (n) at += *n;
    }
    pair.run();
    const std::string more = pair.read(pair.b, ends.at_b, Lane::data, 100'000);
    ASSERT_FALSE(more.empty());
    got += more;
  }
  EXPECT_TRUE(got == sent);
  EXPECT_LE(pair.b.port.counts[93], 41u) << "at most one for each 256 KiB";
}

TEST(Data, cannot_be_written_before_the_channel_is_open_or_after_its_end) {
  MultiplexerPair pair;
  const ChannelId id = *pair.a.mux.open_service({.service = "x"}, {}, pair.now);
  EXPECT_TRUE(pair.write(pair.a, id, "early").error().is(Errc::usage));
  const auto ends = pair.confirm(pair.a, pair.b, id);
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  EXPECT_TRUE(pair.write(pair.a, ends.at_a, "late").error().is(Errc::closed));
  EXPECT_EQ(pair.a.mux.writable_bytes(ends.at_a, Lane::data), 0u);
  EXPECT_TRUE(pair.write(pair.a, ChannelId{99}, "nowhere").error().is(Errc::closed));
}

TEST(Data, more_than_is_there_cannot_be_consumed) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "abc"));
  pair.run();
  EXPECT_TRUE(pair.b.mux.consume(ends.at_b, Lane::data, 4, pair.now).error().is(Errc::usage));
  EXPECT_TRUE(pair.b.mux.consume(ends.at_b, Lane::data, 3, pair.now));
}

TEST(Data, a_port_that_breaks_is_the_writers_error) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  pair.a.port.broken = Error(Errc::connection_lost);
  EXPECT_TRUE(pair.write(pair.a, ends.at_a, "x").error().is(Errc::connection_lost));
}

TEST(BlockPool, holds_no_more_than_its_limit_and_no_small_change) {
  BlockPool pool;
  pool.give(pool.take(BlockPool::kLeastKept - 1));
  EXPECT_EQ(pool.held(), 0u);
  std::vector<Block> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back(pool.take(64 * 1024));
  for (Block& b : blocks) pool.give(std::move(b));
  EXPECT_EQ(pool.held(), BlockPool::kMostHeld);
  EXPECT_EQ(pool.take(1000).size, 1000u) << "a large spare is not wasted on a small need";
  EXPECT_EQ(pool.take(60 * 1024).size, 64u * 1024);
  pool.clear();
  EXPECT_EQ(pool.held(), 0u);
}

TEST(Queues, own_no_memory_when_they_are_empty_and_keep_what_was_put_in) {
  BlockPool pool;
  ReceiveQueue in(pool);
  SendQueue out(pool);
  const std::string text(100'000, 't');
  for (int round = 0; round < 3; ++round) {
    for (std::size_t at = 0; at < text.size(); at += 999) {
      const auto part = as_bytes(std::string_view(text).substr(at, 999));
      in.append(part);
      out.push(SendQueue::Kind::data, part);
    }
    EXPECT_EQ(out.bytes().size(), text.size());
    std::string got;
    while (!in.empty()) {
      got += as_text(in.front());
      in.consume(in.front().size());
    }
    EXPECT_EQ(got, text);
    EXPECT_EQ(as_text(out.bytes()), text);
    out.pop(text.size());
    EXPECT_TRUE(out.empty());
  }
  EXPECT_GT(pool.held(), 0u) << "their memory is back in the pool";
}

}  // namespace
}  // namespace streamkit::channel::test
