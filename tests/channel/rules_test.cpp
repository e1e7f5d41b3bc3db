// What a peer must not do, rule by rule: the table of messages by state cell by cell, windows
// without grace, packet sizes, floods, data after ends.
#include "channel_state.hpp"

#include <algorithm>
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

using std::chrono::seconds;

Limits small_window() {
  Limits limits;
  limits.initial_window = 1000;
  limits.max_packet = 600;
  return limits;
}

/// A raw peer, with one channel brought to a given standing.
struct At : Raw {
  explicit At(Standing standing, Limits limits = small_window()) : Raw(limits) {
    switch (standing) {
      case Standing::opening:
      case Standing::abandoned:
        id = *side.mux.open("x", {}, now);
        break;
      case Standing::incoming:
        announce();
        break;
      default:
        announce();
        EXPECT_TRUE(side.mux.confirm_raw(id, {}, now));
        break;
    }
    if (standing == Standing::abandoned) {
      EXPECT_TRUE(side.mux.reset(id, Code::cancelled, "", now));
    }
    if (standing == Standing::ended || standing == Standing::closing_ended) {
      EXPECT_TRUE(feed(Msg(96).id(id)));
    }
    if (standing == Standing::closing || standing == Standing::closing_ended) {
      EXPECT_TRUE(side.mux.close(id, {}, {}, now));
    }
    if (standing == Standing::finished) {
      EXPECT_TRUE(feed(Msg(94).id(id).str("unread")));
      EXPECT_TRUE(feed(Msg(97).id(id)));
    }
    side.poll();
    side.events.clear();
    forget_sent();
  }
  void announce() {
    EXPECT_TRUE(feed(Msg(90).str("x").u32(5).u32(1 << 20).u32(32768)));
    id = side.next<Opening>()->id;
  }
  ChannelId id{};
};

Msg well_formed(int number, ChannelId id) {
  Msg m(static_cast<std::uint8_t>(number));
  m.id(id);
  if (number == 91) m.u32(9).u32(1000).u32(1000);
  if (number == 92) m.u32(1).str("no").str("");
  if (number == 93) m.u32(10);
  if (number == 94) m.str("data");
  if (number == 95) m.u32(1).str("data");
  if (number == 98) m.str("request").u8(0);
  return m;
}

TEST(Rules, every_message_in_every_state_does_what_the_table_says) {
  for (int number = 91; number <= 100; ++number) {
    for (std::size_t s = 0; s < kStandings; ++s) {
      const auto standing = static_cast<Standing>(s);
      At at(standing);
      const std::uint64_t dropped = at.side.mux.dropped_messages();
      const Result<void> done = at.feed(well_formed(number, at.id));
      const Verdict expected = verdict(static_cast<Number>(number), standing);
      SCOPED_TRACE("message " + std::to_string(number) + ", state " + std::to_string(s));
      EXPECT_EQ(!done, expected == Verdict::violation);
      if (!done) {
        EXPECT_TRUE(done.error().is(Errc::protocol));
      }
      if (expected == Verdict::drop) {
        EXPECT_EQ(at.side.mux.dropped_messages(), dropped + 1);
      }
      if (expected == Verdict::discard || expected == Verdict::drop) {
        EXPECT_TRUE(at.side.events.empty());
        EXPECT_TRUE(at.side.port.messages.empty());
      }
    }
  }
}

TEST(Rules, c3_every_channel_message_with_a_byte_missing_is_a_violation) {
  for (int number = 91; number <= 100; ++number) {
    const bool before_open = number <= 92;
    const Standing standing = before_open ? Standing::opening : Standing::open;
    const Bytes whole = to_bytes(well_formed(number, At(standing).id));
    for (std::size_t n = 1; n < whole.size(); ++n) {
      // The description of a refusal may be the last field, and a request's payload is its own.
      if (number == 92 && n == whole.size() - 4) continue;
      At at(standing);
      EXPECT_FALSE(at.feed(ByteView(whole).first(n))) << number << " cut to " << n;
    }
  }
}

TEST(Rules, the_first_violation_is_final) {
  At at(Standing::open);
  ASSERT_FALSE(at.feed(Msg(97).u32(77)));
  EXPECT_TRUE(at.feed(well_formed(94, at.id)).error().is(Errc::protocol));
}

TEST(Rules, an_empty_message_is_a_violation_and_unknown_numbers_are_counted) {
  At at(Standing::open);
  for (const int number : {83, 89, 101, 127}) {
    EXPECT_FALSE(Multiplexer::is_known(static_cast<std::uint8_t>(number)));
    EXPECT_TRUE(at.feed(Msg(static_cast<std::uint8_t>(number)).u32(1)));
  }
  EXPECT_EQ(at.side.mux.dropped_messages(), 4u);
  for (const int number : {80, 82, 90, 100}) {
    EXPECT_TRUE(Multiplexer::is_known(static_cast<std::uint8_t>(number)));
  }
  EXPECT_FALSE(at.feed({}));
}

// C7
TEST(Rules, c7_floods_of_questions_show_in_owed_bytes_so_that_the_driver_can_stop_reading) {
  At at(Standing::open);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(at.side.mux.handle_payload(Msg(80).str("keepalive@openssh.com").u8(1), at.now));
  }
  EXPECT_GT(at.side.mux.owed_bytes(), 60'000u);
}

// C8
TEST(Rules, c8_replies_nobody_asked_for_are_dropped_and_never_match_a_later_request) {
  At at(Standing::open);
  for (int i = 0; i < 25'000; ++i) {
    ASSERT_TRUE(at.feed(Msg(81).str("x")));
    ASSERT_TRUE(at.feed(Msg(82)));
    ASSERT_TRUE(at.feed(Msg(99).id(at.id)));
    ASSERT_TRUE(at.feed(Msg(100).id(at.id)));
  }
  EXPECT_EQ(at.side.mux.dropped_messages(), 100'000u);
  EXPECT_TRUE(at.side.events.empty());
  ASSERT_TRUE(at.side.mux.request(at.id, "real", true, {}));
  ASSERT_TRUE(at.side.mux.global_request("real", true, {}));
  EXPECT_TRUE(at.side.events.empty());
  ASSERT_TRUE(at.feed(Msg(99).id(at.id)));
  ASSERT_TRUE(at.feed(Msg(82)));
  EXPECT_TRUE(at.side.next<RequestReply>()->ok);
  EXPECT_FALSE(at.side.next<GlobalReply>()->ok);
}

TEST(Rules, c8_a_channel_number_that_was_never_given_out_is_a_violation) {
  for (int number = 91; number <= 100; ++number) {
    for (const std::uint32_t unknown : {1u, 1024u, 0x7fffffffu, 0xffffffffu}) {
      At at(Standing::open);
      EXPECT_FALSE(at.feed(well_formed(number, ChannelId{unknown})));
    }
  }
}

// C9
TEST(Rules, c9_one_channel_more_than_the_limit_is_refused_with_reason_4) {
  Raw raw;
  for (std::uint32_t i = 0; i <= 1024; ++i) {
    raw.forget_sent();
    ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(i).u32(0).u32(32768)));
    if (i == 1024) break;
    ASSERT_TRUE(raw.side.mux.confirm_raw(raw.side.next<Opening>()->id, {}, raw.now));
  }
  wire::Reader in(raw.side.port.messages.at(0).bytes);
  EXPECT_EQ(in.u8(), 92);
  EXPECT_EQ(in.u32(), 1024u);
  EXPECT_EQ(in.u32(), 4u);
  EXPECT_EQ(raw.side.mux.open_channels(), 1024u);
}

// C10
TEST(Rules, c10_a_window_over_2_to_the_32_is_a_violation_and_adjusts_of_0_are_fine) {
  At at(Standing::open);  // with 1 MiB
  EXPECT_TRUE(at.feed(Msg(93).id(at.id).u32(0)));
  EXPECT_TRUE(at.feed(Msg(93).id(at.id).u32(0xffffffff - (1 << 20))));
  EXPECT_TRUE(at.feed(Msg(93).id(at.id).u32(0)));
  EXPECT_FALSE(at.feed(Msg(93).id(at.id).u32(1)));
}

TEST(Rules, c10_an_adjust_after_our_close_is_ignored_whatever_it_says) {
  At at(Standing::closing);
  EXPECT_TRUE(at.feed(Msg(93).id(at.id).u32(0xffffffff)));
  EXPECT_TRUE(at.feed(Msg(93).id(at.id).u32(0xffffffff)));
}

TEST(Rules, c10_data_to_the_last_byte_of_the_window_is_fine_and_one_more_is_not) {
  for (const int over : {94, 95}) {
    At at(Standing::open);  // a window of 1000, shared by both lanes
    EXPECT_TRUE(at.feed(Msg(94).id(at.id).str(std::string(500, 'x'))));
    EXPECT_TRUE(at.feed(Msg(95).id(at.id).u32(1).str(std::string(250, 'x'))));
    EXPECT_TRUE(at.feed(Msg(94).id(at.id).str(std::string(250, 'x'))));
    Msg more(static_cast<std::uint8_t>(over));
    more.id(at.id);
    if (over == 95) more.u32(1);
    EXPECT_FALSE(at.feed(more.str("y")));
  }
}

TEST(Rules, c10_a_data_message_over_our_packet_size_is_a_violation) {
  EXPECT_TRUE(At(Standing::open).side.mux.is_open(ChannelId{0}));
  At exact(Standing::open);
  EXPECT_TRUE(exact.feed(Msg(94).id(exact.id).str(std::string(600, 'x'))));
  At over(Standing::open);
  EXPECT_FALSE(over.feed(Msg(94).id(over.id).str(std::string(601, 'x'))));
}

TEST(Rules, c10_empty_data_costs_nothing_but_not_without_end) {
  At at(Standing::open);
  Result<void> last;
  int sent = 0;
  for (; last && sent < 10'000; ++sent) last = at.feed(Msg(94).id(at.id).str(""));
  ASSERT_FALSE(last);
  EXPECT_TRUE(last.error().is(Errc::protocol));
  EXPECT_GT(sent, 1000);
  EXPECT_TRUE(at.side.events.empty());
  At slow(Standing::open);
  for (int i = 0; i < 10'000; ++i) {
    slow.now += std::chrono::milliseconds(10);
    ASSERT_TRUE(slow.feed(Msg(94).id(slow.id).str("")));
  }
}

// C11
TEST(Rules, c11_a_packet_size_too_small_to_work_with_is_refused_and_giants_are_clamped) {
  for (const std::uint32_t size : {0u, 1u, 8u, 9u, 255u}) {
    Raw raw;
    ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(5).u32(1000).u32(size)));
    EXPECT_EQ(raw.sent().at(0), std::byte{92}) << size;
    const ChannelId id = *raw.side.mux.open("x", {}, raw.now);
    raw.forget_sent();
    ASSERT_TRUE(raw.feed(Msg(91).id(id).u32(5).u32(1000).u32(size)));
    EXPECT_EQ(raw.sent().at(0), std::byte{97}) << size;
    EXPECT_TRUE(raw.side.next<OpenFailed>());
  }
  for (const std::uint32_t size : {256u, 32768u, 0x80000000u, 0xffffffffu}) {
    Raw raw;
    raw.side.port.capacity = 4 << 20;
    ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(5).u32(2 << 20).u32(size)));
    const ChannelId id = raw.side.next<Opening>()->id;
    ASSERT_TRUE(raw.side.mux.confirm_raw(id, {}, raw.now));
    EXPECT_EQ(*raw.side.mux.write(id, Lane::data, Bytes(1 << 20), raw.now), 1u << 20);
    EXPECT_LE(raw.side.port.largest_data, 32768u);
    EXPECT_EQ(raw.side.port.largest_data, std::min(size, 32768u));
  }
}

// C12
TEST(Rules, c12_data_after_an_end_is_a_violation_and_after_our_close_it_is_discarded) {
  for (const int number : {94, 95}) {
    At ended(Standing::ended);
    EXPECT_FALSE(ended.feed(well_formed(number, ended.id)));
    At closing(Standing::closing);
    EXPECT_TRUE(closing.feed(well_formed(number, closing.id)));
    EXPECT_TRUE(closing.side.mux.peek(closing.id, Lane::data).empty());
    EXPECT_TRUE(closing.side.events.empty());
    At closed(Standing::finished);
    EXPECT_FALSE(closed.feed(well_formed(number, closed.id)));
  }
}

TEST(Rules, c12_after_our_close_nothing_more_is_sent_whatever_comes) {
  At at(Standing::closing);
  EXPECT_TRUE(at.feed(Msg(98).id(at.id).str("q").u8(1)));
  EXPECT_TRUE(at.feed(Msg(98).id(at.id).str("exit-status").u8(1).u32(0)));
  EXPECT_TRUE(at.feed(Msg(94).id(at.id).str("x")));
  EXPECT_TRUE(at.feed(Msg(96).id(at.id)));
  EXPECT_TRUE(at.side.port.messages.empty());
  EXPECT_TRUE(at.feed(Msg(97).id(at.id)));
  EXPECT_TRUE(at.side.port.messages.empty());
  EXPECT_TRUE(at.side.has<Closed>());
}

// C13
TEST(Rules, c13_a_gibibyte_of_an_extended_code_that_nobody_reads_does_not_stop_the_channel) {
  Limits limits;
  At at(Standing::open, limits);
  std::uint64_t window = limits.initial_window, sent = 0;
  Msg chunk(95);
  chunk.id(at.id).u32(7).str(std::string(32768, 'x'));
  while (sent < std::uint64_t{1} << 30) {
    ASSERT_GE(window, 32768u);
    ASSERT_TRUE(at.feed(chunk));
    window -= 32768, sent += 32768;
    while (!at.side.port.messages.empty()) {
      const Bytes adjust = at.sent();
      ASSERT_EQ(adjust.at(0), std::byte{93});
      window += wire::load_u32(&adjust.at(5));
    }
  }
  EXPECT_TRUE(at.side.events.empty());
  EXPECT_TRUE(at.feed(Msg(94).id(at.id).str("and on")));
  EXPECT_EQ(as_text(at.side.mux.peek(at.id, Lane::data)), "and on");
}

TEST(Rules, an_unread_error_lane_keeps_its_newest_bytes_and_never_stalls_the_data_lane) {
  Limits limits;
  limits.max_error_bytes = 10'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  std::string errors;
  for (int i = 0; errors.size() < 8 << 20; ++i) errors += std::to_string(i) + "\n";
  for (std::size_t at = 0; at < errors.size();) {
    const Result<std::size_t> n =
        pair.write(pair.a, ends.at_a, std::string_view(errors).substr(at), Lane::error);
    if (n) at += *n;
    pair.run();
  }
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "data"));
  pair.run();
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "data");
  EXPECT_EQ(pair.b.mux.dropped_error_bytes(ends.at_b), errors.size() - 10'000);
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::error), errors.substr(errors.size() - 10'000));
}

TEST(Rules, an_unread_error_lane_larger_than_the_window_does_not_stall_either) {
  Limits limits;
  limits.initial_window = 4000;
  limits.max_error_bytes = 20'000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  const std::string errors(19'000, 'e');
  ASSERT_EQ(*pair.write(pair.a, ends.at_a, errors, Lane::error), errors.size());
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(20'000, 'd')));
  pair.run();
  std::string got;
  for (int i = 0; i < 50; ++i) got += pair.read(pair.b, ends.at_b), pair.run();
  EXPECT_EQ(got, std::string(20'000, 'd'));
  EXPECT_EQ(pair.b.mux.dropped_error_bytes(ends.at_b), 0u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::error), errors);
  EXPECT_EQ(pair.b.mux.granted_bytes(), 4000u) << "what was counted apart was given back";
}

// C15
TEST(Rules, c15_sizes_over_4_gib_are_cut_not_wrapped) {
  At at(Standing::open);
  at.side.port.blocked = true;
  // The view claims more than 2^32 bytes; only what the buffer takes is looked at.
  static Bytes memory(128 * 1024);
  const ByteView claim(memory.data(), (std::uint64_t{1} << 32) + 5);
  EXPECT_EQ(*at.side.mux.write(at.id, Lane::data, claim, at.now), 64u * 1024);
  EXPECT_TRUE(at.side.mux.write(at.id, Lane::data, claim, at.now).error().is(Errc::would_block));
}

// C16
TEST(Rules, c16_what_the_other_side_says_about_a_refusal_is_cut) {
  At at(Standing::opening);
  ASSERT_TRUE(at.feed(Msg(92).id(at.id).u32(1).str(std::string(100'000, 'x')).str("")));
  EXPECT_EQ(at.side.next<OpenFailed>()->description.size(), 1024u);
}

TEST(Rules, a_type_name_over_255_bytes_is_refused) {
  Raw raw;
  ASSERT_TRUE(raw.feed(Msg(90).str(std::string(256, 't')).u32(5).u32(1).u32(1000)));
  EXPECT_EQ(raw.sent().at(0), std::byte{92});
  EXPECT_TRUE(raw.side.events.empty());
}

}  // namespace
}  // namespace streamkit::channel::test
