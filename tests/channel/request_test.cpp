// Requests and their answers: in order, bounded, late, of the link and of a channel.
#include "numbers.hpp"

#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

/// One confirmed channel of a raw peer that knows it as number 5.
struct RawChannel : Raw {
  explicit RawChannel(Limits limits = {}, std::string_view type = "channel@streamkit")
      : Raw(limits) {
    Msg open(90);
    open.str(type).u32(5).u32(1 << 20).u32(32768);
    if (type == kChannelType) open.raw(*OpenInfo{.service = "s"}.encode());
    EXPECT_TRUE(feed(open));
    id = side.next<Opening>()->id;
    EXPECT_TRUE(type == kChannelType ? side.mux.confirm(id, {}, now)
                                     : side.mux.confirm_raw(id, {}, now));
    forget_sent();
  }
  Result<void> ask(std::string_view type, bool want_reply, ByteView payload = {}) {
    return feed(Msg(98).id(id).str(type).u8(want_reply ? 1 : 0).raw(payload));
  }
  ChannelId id{};
};

const Bytes kYes = to_bytes(Msg(99).u32(5)), kNo = to_bytes(Msg(100).u32(5));

TEST(Requests, are_told_and_answered_in_order) {
  MultiplexerPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "one", true, as_bytes("p")));
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "two", false, {}));
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "three", true, {}));
  pair.run();
  const std::vector<Request> asked = pair.b.all<Request>();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].type, "one");
  EXPECT_EQ(as_text(asked[0].payload), "p");
  EXPECT_FALSE(asked[1].want_reply);
  ASSERT_TRUE(pair.b.mux.reply(ends.at_b, true));
  ASSERT_TRUE(pair.b.mux.reply(ends.at_b, false));
  EXPECT_TRUE(pair.b.mux.reply(ends.at_b, true).error().is(Errc::usage));
  pair.run();
  EXPECT_TRUE(pair.a.next<RequestReply>()->ok);
  EXPECT_FALSE(pair.a.next<RequestReply>()->ok);
}

TEST(Requests, go_out_behind_the_data_that_was_written_before) {
  Limits there;
  there.initial_window = 100;
  MultiplexerPair pair(Limits{}, there);
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(150, 'x')));
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "after", false, {}));
  EXPECT_EQ(pair.a.mux.owed_bytes(), 0u) << "what we say of our own accord is no answer";
  pair.run();
  EXPECT_FALSE(pair.b.has<Request>());
  pair.read(pair.b, ends.at_b);
  pair.run();
  EXPECT_TRUE(pair.b.has<Request>());
}

TEST(Requests, what_is_known_at_once_waits_for_what_the_application_still_owes) {
  RawChannel raw;
  ASSERT_TRUE(raw.ask("slow", true));
  ASSERT_TRUE(raw.ask(kExitStatus, true, Bytes(4)));  // answered here: yes
  ASSERT_TRUE(raw.ask(kExitStatus, true, Bytes(3)));  // and no
  EXPECT_EQ(raw.sent().at(0), std::byte{0});
  ASSERT_TRUE(raw.side.mux.reply(raw.id, true));
  EXPECT_EQ(raw.sent(), kYes);
  EXPECT_EQ(raw.sent(), kYes);
  EXPECT_EQ(raw.sent(), kNo);
}

TEST(Requests, c7_beyond_max_pending_are_refused_in_order_and_memory_stays) {
  Limits limits;
  limits.max_pending_requests = 3;
  RawChannel raw(limits);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(raw.ask("q", true));
  EXPECT_EQ(raw.side.all<Request>().size(), 3u);
  EXPECT_GT(raw.side.mux.owed_bytes(), 100'000u) << "the driver sees the flood";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(raw.side.mux.reply(raw.id, true));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(raw.sent(), kYes);
  for (int i = 3; i < 100'000; ++i) ASSERT_EQ(raw.sent(), kNo);
  EXPECT_EQ(raw.side.mux.owed_bytes(), 0u);
  ASSERT_TRUE(raw.ask("q", true));
  EXPECT_EQ(raw.side.all<Request>().size(), 4u);
}

TEST(Requests, c7_answers_that_alternate_cost_bounded_memory_too) {
  Limits limits;
  limits.max_pending_requests = 2;
  RawChannel raw(limits);
  ASSERT_TRUE(raw.ask("q", true));
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(raw.ask(kExitStatus, true, Bytes(i % 2 ? 4 : 3)));
  ASSERT_TRUE(raw.side.mux.reply(raw.id, true));
  EXPECT_EQ(raw.sent(), kYes);
  EXPECT_EQ(raw.side.port.messages.size(), 1000u) << "each gets one answer";
}

TEST(Requests, of_ours_are_limited_and_fail_when_the_channel_closes) {
  Limits limits;
  limits.max_pending_requests = 2;
  MultiplexerPair pair(limits, Limits{});
  const auto ends = pair.open();
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "q", true, {}));
  ASSERT_TRUE(pair.a.mux.request(ends.at_a, "q", true, {}));
  EXPECT_TRUE(pair.a.mux.request(ends.at_a, "q", true, {}).error().is(Errc::limit));
  EXPECT_TRUE(pair.a.mux.request(ends.at_a, "q", false, {}));
  pair.run();
  ASSERT_TRUE(pair.b.mux.close(ends.at_b, {}, {}, pair.now));
  EXPECT_TRUE(pair.b.mux.reply(ends.at_b, true).error().is(Errc::closed)) << "after our CLOSE";
  pair.run();
  EXPECT_EQ(pair.b.port.counts[99] + pair.b.port.counts[100], 0u);
  const std::vector<RequestReply> replies = pair.a.all<RequestReply>();
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_FALSE(replies[0].ok || replies[1].ok);
}

TEST(Requests, that_wait_behind_a_shut_window_are_bounded) {
  Limits here, there;
  here.send_buffer = 1000;
  there.initial_window = 10;
  MultiplexerPair pair(here, there);
  const auto ends = pair.open();
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(100, 'x')));
  Result<void> last;
  int sent = 0;
  for (; last && sent < 10'000; ++sent)
    last = pair.a.mux.request(ends.at_a, "note", false, Bytes(50));
  ASSERT_FALSE(last);
  EXPECT_TRUE(last.error().is(Errc::limit));
  EXPECT_LT(sent, 100);
}

TEST(Requests, a_reply_that_comes_before_its_request_was_sent_is_nobodys) {
  Limits limits;
  RawChannel raw(limits);
  raw.side.port.blocked = true;
  ASSERT_TRUE(raw.side.mux.write(raw.id, Lane::data, as_bytes("x"), raw.now));
  ASSERT_TRUE(raw.side.mux.request(raw.id, "q", true, {}));
  ASSERT_TRUE(raw.feed(Msg(99).id(raw.id)));
  EXPECT_FALSE(raw.side.has<RequestReply>());
  EXPECT_EQ(raw.side.mux.dropped_messages(), 1u);
  raw.side.port.blocked = false;
  ASSERT_TRUE(raw.side.mux.port_ready(raw.now));
  ASSERT_TRUE(raw.feed(Msg(100).id(raw.id)));
  EXPECT_FALSE(raw.side.next<RequestReply>()->ok);
}

TEST(GlobalRequests, are_answered_in_order_with_their_payloads) {
  MultiplexerPair pair;
  const std::uint64_t first = *pair.a.mux.global_request("hello@streamkit", true, as_bytes("hi"));
  const std::uint64_t second = *pair.a.mux.global_request("keepalive@openssh.com", true, {});
  ASSERT_TRUE(pair.a.mux.global_request("note", false, {}));
  pair.run();
  ASSERT_EQ(pair.b.all<GlobalRequest>().size(), 3u);
  EXPECT_EQ(as_text(pair.b.next<GlobalRequest>()->payload), "hi");
  ASSERT_TRUE(pair.b.mux.reply_global(true, as_bytes("welcome")));
  ASSERT_TRUE(pair.b.mux.reply_global(false, as_bytes("not now")));
  EXPECT_TRUE(pair.b.mux.reply_global(true).error().is(Errc::usage));
  pair.run();
  const std::optional<GlobalReply> one = pair.a.next<GlobalReply>(),
                                   two = pair.a.next<GlobalReply>();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->token, first);
  EXPECT_TRUE(one->ok);
  EXPECT_EQ(as_text(one->payload), "welcome");
  EXPECT_EQ(two->token, second);
  EXPECT_FALSE(two->ok);
  EXPECT_EQ(as_text(two->payload), "not now");
}

TEST(GlobalRequests, c7_are_bounded_in_both_directions) {
  Limits limits;
  limits.max_pending_requests = 4;
  MultiplexerPair pair(limits, Limits{});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pair.a.mux.global_request("q", true, {}));
  EXPECT_TRUE(pair.a.mux.global_request("q", true, {}).error().is(Errc::limit));
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(pair.b.mux.global_request("q", true, {}));
  pair.run();
  EXPECT_EQ(pair.a.all<GlobalRequest>().size(), 4u);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pair.a.mux.reply_global(true));
  pair.run();
  const std::vector<GlobalReply> replies = pair.b.all<GlobalReply>();
  ASSERT_EQ(replies.size(), 6u);
  EXPECT_TRUE(replies[3].ok);
  EXPECT_FALSE(replies[4].ok);
}

// C14: requests that are understood here, with bodies of every wrong size.
TEST(Requests, c14_that_are_ours_but_malformed_are_refused_and_change_nothing) {
  for (const std::string_view type :
       {kTrailersRequest, kCloseRequest, kResetRequest, kStopRequest, kExitStatus, kExitSignal}) {
    RawChannel raw;
    for (const std::size_t size : {0, 1, 2, 3, 5, 100}) {
      Bytes body(size, std::byte{0xff});
      ASSERT_TRUE(raw.ask(type, true, body)) << type;
      EXPECT_EQ(raw.sent(), kNo) << type << " of " << size;
      ASSERT_TRUE(raw.ask(type, false, body));
    }
    Bytes huge;
    wire::Writer(huge).u32(0xffffffff).bytes(Bytes(64));
    ASSERT_TRUE(raw.ask(type, true, huge));
    EXPECT_EQ(raw.sent(), kNo);
    EXPECT_TRUE(raw.side.events.empty()) << type;
    EXPECT_TRUE(raw.side.mux.is_open(raw.id));
    EXPECT_FALSE(raw.side.mux.status(raw.id));
  }
}

TEST(Requests, c14_an_exit_signal_is_a_status) {
  RawChannel raw({}, "session");
  Bytes body;
  wire::Writer(body)
      .string(std::string_view("KILL"))
      .boolean(false)
      .string(std::string_view("out of memory"))
      .string(std::string_view());
  ASSERT_TRUE(raw.ask(kExitSignal, false, body));
  ASSERT_TRUE(raw.feed(Msg(97).id(raw.id)));
  const std::optional<Closed> closed = raw.side.next<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->status, Status(Code::aborted, "exit-signal", "KILL"));
  EXPECT_FALSE(closed->error) << "it said how it ended";
}

TEST(Requests, of_ours_reach_the_driver_on_channels_that_are_not_ours) {
  RawChannel raw({}, "direct-tcpip");
  ASSERT_TRUE(raw.ask(kTrailersRequest, true, Bytes(4)));
  EXPECT_TRUE(raw.side.has<Request>());
}

TEST(Requests, trailers_come_once_and_before_the_end) {
  RawChannel raw;
  ASSERT_TRUE(raw.ask(kTrailersRequest, true, Bytes(4)));
  EXPECT_EQ(raw.sent(), kYes);
  ASSERT_TRUE(raw.ask(kTrailersRequest, true, Bytes(4)));
  EXPECT_EQ(raw.sent(), kNo);
  RawChannel late;
  ASSERT_TRUE(late.feed(Msg(96).id(late.id)));
  ASSERT_TRUE(late.ask(kTrailersRequest, true, Bytes(4)));
  EXPECT_EQ(late.sent(), kNo);
}

TEST(Requests, with_a_name_over_255_bytes_are_refused_without_a_word_to_the_driver) {
  RawChannel raw;
  ASSERT_TRUE(raw.ask(std::string(256, 'n'), true));
  EXPECT_EQ(raw.sent(), kNo);
  ASSERT_TRUE(raw.feed(Msg(80).str(std::string(256, 'n')).u8(1)));
  EXPECT_EQ(raw.sent(), to_bytes(Msg(82)));
  EXPECT_TRUE(raw.side.events.empty());
  ASSERT_TRUE(raw.ask(std::string(255, 'n'), true));
  EXPECT_TRUE(raw.side.has<Request>());
}

}  // namespace
}  // namespace streamkit::channel::test
