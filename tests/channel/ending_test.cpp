// Endings: half-close, trailers, status, reset, CLOSE answered and not, bytes that outlive their
// channel.
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

using std::chrono::seconds;

TEST(Ending, one_direction_ends_and_the_other_goes_on) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "question"));
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  pair.run();
  EXPECT_FALSE(pair.b.mux.is_eof(ends.at_b)) << "not before it was read";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "question");
  EXPECT_TRUE(pair.b.mux.is_eof(ends.at_b));
  EXPECT_FALSE(pair.a.mux.is_eof(ends.at_a));
  const std::size_t taken = *pair.write(pair.b, ends.at_b, std::string(3 << 20, 'a'));
  pair.run();
  EXPECT_EQ(pair.read(pair.a, ends.at_a).size(), taken);
  EXPECT_TRUE(pair.a.mux.is_open(ends.at_a));
}

TEST(Ending, an_end_without_data_wakes_the_readers_of_both_lanes) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  pair.run();
  EXPECT_EQ(pair.b.all<Readable>().size(), 2u);
  EXPECT_TRUE(pair.b.mux.is_eof(ends.at_b));
}

TEST(Ending, trailers_and_status_arrive_with_the_close) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.b, ends.at_b, "answer"));
  const Headers trailers = {{"sum", "42"}, {"sum", "43"}};
  ASSERT_TRUE(
      pair.b.mux.close(ends.at_b, Status(Code::not_found, "no_file", "gone"), trailers, pair.now));
  pair.run();
  const std::optional<Closed> closed = pair.a.next<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_TRUE(closed->has_status);
  EXPECT_EQ(closed->status, Status(Code::not_found, "no_file", "gone"));
  EXPECT_EQ(closed->trailers, trailers);
  EXPECT_FALSE(closed->error);
  EXPECT_EQ(*pair.a.mux.status(ends.at_a), closed->status);
  EXPECT_EQ(*pair.a.mux.trailers(ends.at_a), trailers);
  const std::optional<Closed> ours = pair.b.next<Closed>();
  ASSERT_TRUE(ours);
  EXPECT_FALSE(ours->has_status);
  EXPECT_FALSE(ours->error);
  EXPECT_EQ(pair.read(pair.a, ends.at_a), "answer") << "data before CLOSE outlives it";
  EXPECT_TRUE(pair.a.mux.is_eof(ends.at_a));
}

TEST(Ending, trailers_can_be_read_as_soon_as_they_came) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  EXPECT_EQ(pair.b.mux.trailers(ends.at_b), nullptr);
  ASSERT_TRUE(pair.a.mux.write_trailers(ends.at_a, {{"k", "v"}}));
  EXPECT_TRUE(pair.a.mux.write_trailers(ends.at_a, {}).error().is(Errc::usage)) << "once";
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  pair.run();
  ASSERT_NE(pair.b.mux.trailers(ends.at_b), nullptr);
  EXPECT_EQ(pair.b.mux.trailers(ends.at_b)->get_or("k", ""), "v");
}

TEST(Ending, trailers_have_a_limit_and_come_before_the_end) {
  Limits limits;
  limits.max_header_bytes = 100;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  const Headers big = {{"k", std::string(100, 'v')}};
  EXPECT_TRUE(pair.a.mux.write_trailers(ends.at_a, big).error().is(Errc::header_too_large));
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  EXPECT_TRUE(pair.a.mux.write_trailers(ends.at_a, {{"k", "v"}}).error().is(Errc::usage));
  EXPECT_TRUE(pair.a.mux.close(ends.at_a, {}, {{"k", "v"}}, pair.now).error().is(Errc::usage));
  ASSERT_TRUE(pair.a.mux.close(ends.at_a, {}, {}, pair.now));
}

TEST(Ending, the_server_of_a_session_says_exit_status_and_its_client_says_nothing) {
  MultiplexerPair pair;
  const auto ends = pair.open_raw(pair.a, pair.b, "session");
  ASSERT_TRUE(pair.b.mux.close(ends.at_b, Status(Code::not_found), {}, pair.now));
  pair.run();
  std::optional<Closed> closed = pair.a.next<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->status, Status(Code::unknown, "exit-status", "5"));
  const auto again = pair.open_raw(pair.a, pair.b, "session");
  const std::size_t requests = pair.a.port.counts[98];
  ASSERT_TRUE(pair.a.mux.close(again.at_a, Status(Code::internal), {}, pair.now));
  EXPECT_EQ(pair.a.port.counts[98], requests);
}

TEST(Ending, close_waits_for_the_window_and_reset_does_not) {
  Limits there;
  there.initial_window = 1000;
  for (const bool reset : {false, true}) {
    MultiplexerPair pair(Limits{}, there);
    const auto ends = pair.open();
    ASSERT_EQ(*pair.write(pair.a, ends.at_a, std::string(3000, 'x')), 3000u);
    ASSERT_TRUE(pair.a.mux.close(ends.at_a, Status(Code::ok), {{"k", "v"}}, pair.now));
    EXPECT_TRUE(pair.write(pair.a, ends.at_a, "more").error().is(Errc::closed));
    pair.run();
    EXPECT_EQ(pair.a.port.counts[97], 0u);
    EXPECT_FALSE(pair.a.mux.is_flushed(ends.at_a));
    if (reset) {
      ASSERT_TRUE(pair.a.mux.reset(ends.at_a, Code::aborted, "enough", pair.now));
      pair.run();
      const std::optional<Closed> closed = pair.b.next<Closed>();
      ASSERT_TRUE(closed && closed->error);
      EXPECT_TRUE(closed->error->is(Errc::reset));
      ASSERT_NE(closed->error->remote(), nullptr);
      EXPECT_EQ(closed->error->remote()->code, Code::aborted);
      EXPECT_EQ(closed->error->remote()->message, "enough");
      EXPECT_TRUE(pair.a.next<Closed>()->error->is(Errc::reset));
      EXPECT_EQ(pair.read(pair.b, ends.at_b), std::string(1000, 'x'));
      continue;
    }
    std::string got;
    for (int i = 0; i < 10; ++i) got += pair.read(pair.b, ends.at_b), pair.run();
    EXPECT_EQ(got, std::string(3000, 'x'));
    const std::optional<Closed> closed = pair.b.next<Closed>();
    ASSERT_TRUE(closed);
    EXPECT_TRUE(closed->has_status);
    EXPECT_EQ(closed->trailers.size(), 1u);
    EXPECT_FALSE(closed->error);
  }
}

TEST(Ending, two_sides_that_close_with_full_windows_do_not_wait_for_each_other) {
  Limits limits;
  limits.initial_window = 1000;
  MultiplexerPair pair(limits);
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(3000, 'x')));
  ASSERT_TRUE(pair.write(pair.b, ends.at_b, std::string(3000, 'y')));
  pair.run();
  ASSERT_TRUE(pair.a.mux.close(ends.at_a, {}, {}, pair.now));
  ASSERT_TRUE(pair.b.mux.close(ends.at_b, {}, {}, pair.now));
  pair.run();
  EXPECT_TRUE(pair.a.has<Closed>());
  EXPECT_TRUE(pair.b.has<Closed>());
}

TEST(Ending, after_a_reset_writes_fail_with_reset) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.b.mux.reset(ends.at_b, Code::cancelled, "no", pair.now));
  ASSERT_TRUE(pair.step(pair.b, pair.a));  // the reset only, not yet its CLOSE
  EXPECT_TRUE(pair.write(pair.a, ends.at_a, "x").error().is(Errc::reset));
  pair.run();
  EXPECT_EQ(pair.a.all<Closed>().size(), 1u);
  EXPECT_EQ(pair.b.all<Closed>().size(), 1u);
}

TEST(Ending, a_close_out_of_the_blue_is_not_an_orderly_end) {
  Raw raw;
  ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(5).u32(1000).u32(1000)));
  const ChannelId id = raw.side.next<Opening>()->id;
  ASSERT_TRUE(raw.side.mux.confirm_raw(id, {}, raw.now));
  raw.forget_sent();
  ASSERT_TRUE(raw.feed(Msg(97).id(id)));
  EXPECT_EQ(raw.sent(), to_bytes(Msg(97).u32(5))) << "CLOSE is answered with CLOSE";
  const std::optional<Closed> closed = raw.side.next<Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_TRUE(closed->error->is(Errc::reset));
}

TEST(Ending, a_peer_that_never_answers_close_is_reported_but_keeps_its_number) {
  Limits limits;
  limits.close_timeout = seconds(7);
  Raw raw(limits);
  ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(5).u32(1000).u32(1000)));
  const ChannelId id = raw.side.next<Opening>()->id;
  ASSERT_TRUE(raw.side.mux.confirm_raw(id, {}, raw.now));
  ASSERT_TRUE(raw.side.mux.close(id, {}, {}, raw.now));
  EXPECT_EQ(raw.side.mux.next_timeout(), raw.now + seconds(7));
  ASSERT_TRUE(raw.side.mux.handle_timeout(raw.now + seconds(6)));
  raw.side.poll();
  EXPECT_FALSE(raw.side.has<Closed>());
  ASSERT_TRUE(raw.side.mux.handle_timeout(raw.now + seconds(7)));
  raw.side.poll();
  const std::optional<Closed> closed = raw.side.next<Closed>();
  ASSERT_TRUE(closed && closed->error);
  EXPECT_TRUE(closed->error->is(Errc::timeout));
  EXPECT_EQ(raw.side.mux.open_channels(), 0u);
  ASSERT_TRUE(raw.feed(Msg(90).str("x").u32(6).u32(1000).u32(1000)));
  EXPECT_NE(raw.side.next<Opening>()->id, id);
  ASSERT_TRUE(raw.feed(Msg(97).id(id))) << "the answer, after all";
  EXPECT_FALSE(raw.side.has<Closed>()) << "reported once";
  EXPECT_FALSE(raw.feed(Msg(97).id(id))) << "the number was free";
}

TEST(Ending, numbers_are_not_used_again_before_the_event_was_taken_and_the_bytes_released) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "left over"));
  ASSERT_TRUE(pair.a.mux.close(ends.at_a, {}, {}, pair.now));
  pair.run();
  ASSERT_TRUE(pair.b.has<Closed>());
  EXPECT_EQ(pair.b.mux.granted_bytes(), 9u);
  const auto second = pair.open();
  EXPECT_NE(second.at_b, ends.at_b);
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "left over");
  EXPECT_TRUE(pair.b.mux.is_eof(ends.at_b));
  pair.b.mux.release(ends.at_b);
  EXPECT_EQ(pair.open().at_b, ends.at_b);
}

TEST(Ending, release_gives_back_what_was_left_unread_and_spares_the_living) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  const auto living = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(1000, 'x')));
  ASSERT_TRUE(pair.write(pair.a, living.at_a, "hello"));
  ASSERT_TRUE(pair.a.mux.close(ends.at_a, {}, {}, pair.now));
  pair.run();
  const std::size_t before = pair.b.mux.granted_bytes();
  pair.b.mux.release(ends.at_b);
  EXPECT_EQ(before - pair.b.mux.granted_bytes(), 1000u);
  pair.b.mux.release(living.at_b);
  EXPECT_EQ(pair.read(pair.b, living.at_b), "hello");
}

TEST(Ending, a_lost_link_closes_everything_and_what_came_can_be_read) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "last words"));
  const ChannelId half_open = *pair.b.mux.open("session", {}, pair.now);
  ASSERT_TRUE(pair.a.mux.open("x", {}, pair.now));
  pair.run();
  const ChannelId announced = pair.b.next<Opening>()->id;
  ASSERT_TRUE(pair.b.mux.global_request("ping", true, {}));
  pair.b.mux.link_lost(Errc::connection_lost);
  pair.b.poll();
  const std::vector<Closed> closed = pair.b.all<Closed>();
  ASSERT_EQ(closed.size(), 3u);
  for (const Closed& c : closed) {
    EXPECT_TRUE(c.id == ends.at_b || c.id == half_open || c.id == announced);
    ASSERT_TRUE(c.error);
    EXPECT_TRUE(c.error->is(Errc::connection_lost));
  }
  EXPECT_FALSE(pair.b.next<GlobalReply>()->ok);
  EXPECT_EQ(pair.b.mux.open_channels(), 0u);
  EXPECT_FALSE(pair.b.mux.next_timeout());
  EXPECT_TRUE(pair.write(pair.b, ends.at_b, "x").error().is(Errc::closed));
  EXPECT_TRUE(pair.b.mux.open("x", {}, pair.now).error().is(Errc::connection_lost));
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "last words");
  pair.b.mux.release(ends.at_b);
  EXPECT_EQ(pair.b.mux.granted_bytes(), 0u);
}

TEST(Ending, stop_sending_reaches_the_writer_and_changes_nothing_else) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.b.mux.stop_sending(ends.at_b, 7));
  pair.run();
  const std::optional<StopSending> stop = pair.a.next<StopSending>();
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->code, 7u);
  EXPECT_TRUE(pair.write(pair.a, ends.at_a, "still"));
  const auto session = pair.open_raw(pair.a, pair.b, "session");
  EXPECT_TRUE(pair.b.mux.stop_sending(session.at_b, 7).error().is(Errc::usage));
}

TEST(Ending, long_trailers_wait_while_the_link_is_full_and_all_of_it_comes_in_order) {
  MultiplexerPair pair;
  constexpr int kChannels = 40;
  std::vector<MultiplexerPair::Ends> ends;
  for (int i = 0; i < kChannels; ++i) ends.push_back(pair.open());
  pair.a.port.blocked = true;
  const std::size_t before = pair.a.port.messages.size();
  const Headers trailers{{"k", std::string(kMaxHeaderBytes - 100, 'v')}};
  for (const auto& e : ends) ASSERT_TRUE(pair.a.mux.close(e.at_a, Status(Code::aborted, "done"), trailers, pair.now));
  EXPECT_EQ(pair.a.port.messages.size(), before) << "the link keeps room for what cannot wait";
  pair.run();
  EXPECT_FALSE(pair.b.has<Closed>());
  pair.a.port.blocked = false;
  pair.run();
  const std::vector<Closed> closed = pair.b.all<Closed>();
  ASSERT_EQ(closed.size(), ends.size());
  for (const Closed& c : closed) {
    EXPECT_EQ(c.status.code, Code::aborted);
    EXPECT_EQ(c.trailers, trailers);
  }
}

}  // namespace
}  // namespace streamkit::channel::test
