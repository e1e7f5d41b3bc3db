// Opening channels: confirmed, refused, unanswered, too many, with data that rides along.
#include <set>
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

using std::chrono::seconds;

TEST(Open, reaches_the_other_side_with_everything_it_said) {
  MultiplexerPair pair;
  OpenInfo info;
  info.service = "files";
  info.headers = {{"path", "/tmp"}, {"path", "/var"}};
  info.framed = true;
  info.deadline_ms = 250;
  info.priority = 3;
  const Result<ChannelId> id = pair.a.mux.open_service(info, {}, pair.now);
  ASSERT_TRUE(id);
  EXPECT_FALSE(pair.a.mux.is_open(*id));
  pair.run();
  const std::optional<Opening> opening = pair.b.next<Opening>();
  ASSERT_TRUE(opening && opening->info);
  EXPECT_EQ(opening->type, kChannelType);
  EXPECT_EQ(opening->info->service, "files");
  EXPECT_EQ(opening->info->headers, info.headers);
  EXPECT_TRUE(opening->info->framed);
  EXPECT_EQ(opening->info->deadline_ms, 250u);
  EXPECT_FALSE(opening->parent);

  ASSERT_TRUE(pair.b.mux.confirm(opening->id, {{"size", "12"}}, pair.now));
  pair.run();
  const std::optional<Opened> opened = pair.a.next<Opened>();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->id, *id);
  EXPECT_EQ(opened->headers.get_or("size", ""), "12");
  EXPECT_TRUE(pair.a.mux.is_open(*id));
}

TEST(Open, of_another_type_carries_its_extra_bytes_both_ways) {
  MultiplexerPair pair;
  const Result<ChannelId> id = pair.a.mux.open("direct-tcpip", as_bytes("extra"), pair.now);
  ASSERT_TRUE(id);
  pair.run();
  const std::optional<Opening> opening = pair.b.next<Opening>();
  ASSERT_TRUE(opening);
  EXPECT_EQ(opening->type, "direct-tcpip");
  EXPECT_FALSE(opening->info);
  EXPECT_EQ(as_text(opening->extra), "extra");
  ASSERT_TRUE(pair.b.mux.confirm_raw(opening->id, as_bytes("back"), pair.now));
  pair.run();
  EXPECT_EQ(as_text(pair.a.next<Opened>()->extra), "back");
}

TEST(Open, refused_says_why_and_frees_both_numbers) {
  MultiplexerPair pair;
  const Result<ChannelId> id = pair.a.mux.open("nonsense", {}, pair.now);
  pair.run();
  const ChannelId theirs = pair.b.next<Opening>()->id;
  ASSERT_TRUE(pair.b.mux.refuse(theirs, OpenFailure::unknown_type, "never heard of it"));
  EXPECT_TRUE(pair.b.mux.confirm(theirs, {}, pair.now).error().is(Errc::closed));
  pair.run();
  const std::optional<OpenFailed> failure = pair.a.next<OpenFailed>();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->id, *id);
  EXPECT_EQ(failure->reason, OpenFailure::unknown_type);
  EXPECT_EQ(failure->description, "never heard of it");
  EXPECT_FALSE(failure->timed_out);
  EXPECT_EQ(pair.a.mux.open_channels(), 0u);
  EXPECT_EQ(pair.b.mux.open_channels(), 0u);
  EXPECT_EQ(pair.a.mux.granted_bytes(), 0u);
}

TEST(Open, data_that_rides_along_is_read_first_and_is_outside_the_window) {
  Limits limits;
  limits.initial_window = 1000;
  MultiplexerPair pair(limits);
  OpenInfo info;
  info.service = "echo";
  info.first = Bytes(5000, std::byte{'f'});
  const ChannelId id = *pair.a.mux.open_service(std::move(info), {}, pair.now);
  const auto ends = pair.confirm(pair.a, pair.b, id);
  EXPECT_EQ(pair.b.all<Readable>().size(), 1u);
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, std::string(1000, 'd')));
  pair.run();
  EXPECT_EQ(pair.b.mux.readable_bytes(ends.at_b, Lane::data), 6000u);
  EXPECT_EQ(pair.read(pair.b, ends.at_b, Lane::data, 5000), std::string(5000, 'f'));
  EXPECT_EQ(pair.b.port.counts[93], 0u) << "early bytes give nothing back";
  EXPECT_EQ(pair.read(pair.b, ends.at_b), std::string(1000, 'd'));
  EXPECT_EQ(pair.b.port.counts[93], 1u);
}

TEST(Open, unanswered_fails_in_time_and_a_late_confirmation_is_closed) {
  Limits limits;
  limits.open_timeout = seconds(5);
  MultiplexerPair pair(limits);
  const ChannelId id = *pair.a.mux.open("session", {}, pair.now);
  EXPECT_EQ(pair.a.mux.next_timeout(), pair.now + seconds(5));
  pair.advance(seconds(6));
  const std::optional<OpenFailed> failure = pair.a.next<OpenFailed>();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->id, id);
  EXPECT_TRUE(failure->timed_out);
  const ChannelId theirs = pair.b.next<Opening>()->id;
  ASSERT_TRUE(pair.b.mux.confirm_raw(theirs, {}, pair.now));
  pair.run();
  EXPECT_TRUE(pair.b.has<Closed>());
  EXPECT_FALSE(pair.a.has<Closed>());
  EXPECT_EQ(pair.a.mux.granted_bytes() + pair.b.mux.granted_bytes(), 0u);
  // Both numbers can be used again.
  EXPECT_EQ(*pair.a.mux.open("session", {}, pair.now), id);
}

TEST(Open, withdrawn_before_the_answer_fails_and_the_late_answer_does_no_harm) {
  MultiplexerPair pair;
  const ChannelId id = *pair.a.mux.open("session", {}, pair.now);
  ASSERT_TRUE(pair.a.mux.reset(id, Code::cancelled, "", pair.now));
  pair.run();
  EXPECT_TRUE(pair.a.next<OpenFailed>());
  ASSERT_TRUE(pair.b.mux.refuse(pair.b.next<Opening>()->id, OpenFailure::prohibited, "no"));
  pair.run();
  EXPECT_TRUE(pair.a.events.empty());
  EXPECT_EQ(*pair.a.mux.open("session", {}, pair.now), id);
}

TEST(Open, two_hundred_at_once_from_each_side_all_find_their_own) {
  MultiplexerPair pair;
  std::map<ChannelId, std::string> at_a, at_b;
  for (int i = 0; i < 200; ++i) {
    for (auto [side, names] : {std::pair(&pair.a, &at_a), std::pair(&pair.b, &at_b)}) {
      OpenInfo info;
      info.service = (side == &pair.a ? "a" : "b") + std::to_string(i);
      const Result<ChannelId> id = side->mux.open_service(info, {}, pair.now);
      ASSERT_TRUE(id);
      names->emplace(*id, info.service);
    }
  }
  pair.run();
  for (Side* side : {&pair.a, &pair.b}) {
    for (const Opening& o : side->all<Opening>()) {
      ASSERT_TRUE(side->mux.confirm(o.id, {{"you", o.info->service}}, pair.now));
    }
  }
  pair.run();
  for (auto [side, names] : {std::pair(&pair.a, &at_a), std::pair(&pair.b, &at_b)}) {
    const std::vector<Opened> opened = side->all<Opened>();
    ASSERT_EQ(opened.size(), 200u);
    for (const Opened& o : opened) EXPECT_EQ(o.headers.get_or("you", ""), names->at(o.id));
    EXPECT_EQ(side->mux.open_channels(), 400u);
  }
}

TEST(Open, with_much_first_data_waits_while_the_link_is_full_and_a_short_one_does_not) {
  MultiplexerPair pair;
  pair.a.port.blocked = true;
  const auto open = [&](std::size_t first) {
    OpenInfo info;
    info.service = "first of " + std::to_string(first);
    info.first = Bytes(first);
    return pair.a.mux.open_service(std::move(info), {}, pair.now);
  };
  constexpr std::size_t kOpens = 50;
  for (std::size_t i = 0; i < kOpens; ++i) ASSERT_TRUE(open(kMaxFirst - i));
  ASSERT_TRUE(open(10));
  const Result<ChannelId> withdrawn = open(2000);
  ASSERT_TRUE(withdrawn);
  ASSERT_TRUE(pair.a.mux.reset(*withdrawn, Code::cancelled, "", pair.now));
  pair.run();
  ASSERT_EQ(pair.b.all<Opening>().size(), 1u);
  EXPECT_EQ(pair.b.next<Opening>()->info->service, "first of 10");
  pair.a.port.blocked = false;
  pair.run();
  const std::vector<Opening> came = pair.b.all<Opening>();
  ASSERT_EQ(came.size(), kOpens) << "all but the one that was withdrawn";
  for (std::size_t i = 0; i < kOpens; ++i) {
    EXPECT_EQ(came[i].info->service, "first of " + std::to_string(kMaxFirst - i));
    ASSERT_TRUE(pair.b.mux.confirm(came[i].id, {}, pair.now));
  }
  pair.run();
  EXPECT_EQ(pair.a.all<Opened>().size(), kOpens);
  EXPECT_EQ(pair.a.all<OpenFailed>().size(), 1u);
  EXPECT_EQ(pair.a.mux.open_channels(), kOpens + 1) << "the short one is not answered yet";
}

TEST(Open,
     is_confirmed_with_long_headers_once_the_link_has_room_and_before_what_was_written_meanwhile) {
  MultiplexerPair pair;
  const auto open = [&] {
    const Result<ChannelId> id = pair.a.mux.open_service({.service = "x"}, {}, pair.now);
    pair.run();
    return pair.b.next<Opening>()->id;
  };
  Headers headers;
  headers.add("long", std::string(32 << 10, 'h'));
  constexpr std::size_t kOpens = 80;  // 2.5 MiB of headers
  std::vector<ChannelId> confirmed;
  for (std::size_t i = 0; i < kOpens; ++i) confirmed.push_back(open());
  const ChannelId short_one = open(), reset = open(), closed = open();
  pair.b.port.blocked = true;
  for (const ChannelId id : confirmed) {
    ASSERT_TRUE(pair.b.mux.confirm(id, headers, pair.now));
    ASSERT_TRUE(pair.b.mux.write(id, Lane::data, as_bytes("behind it"), pair.now));
    ASSERT_TRUE(pair.b.mux.stop_sending(id, 7));
  }
  ASSERT_TRUE(pair.b.mux.confirm(short_one, {}, pair.now));
  ASSERT_TRUE(pair.b.mux.confirm(reset, headers, pair.now));
  ASSERT_TRUE(pair.b.mux.reset(reset, Code::cancelled, "changed its mind", pair.now));
  ASSERT_TRUE(pair.b.mux.confirm(closed, headers, pair.now));
  ASSERT_TRUE(pair.b.mux.close(closed, {}, {}, pair.now));
  pair.run();
  EXPECT_EQ(pair.a.all<Opened>().size(), 1u) << "the short one";
  EXPECT_EQ(pair.a.all<OpenFailed>().size(), 1u) << "the one that was taken back: it is a refusal";
  ASSERT_TRUE(pair.b.has<Closed>());
  EXPECT_TRUE(pair.b.next<Closed>()->error->is(Errc::reset));
  pair.b.port.blocked = false;
  pair.run();
  const std::vector<Opened> opened = pair.a.all<Opened>();
  ASSERT_EQ(opened.size(), 1 + kOpens + 1) << "the short one, the others, the one that was closed";
  EXPECT_EQ(pair.a.all<StopSending>().size(), kOpens);
  for (std::size_t i = 1; i <= kOpens; ++i) {
    EXPECT_EQ(opened[i].headers.get_or("long", "").size(), 32u << 10);
    EXPECT_EQ(as_text(pair.a.mux.peek(opened[i].id, Lane::data)), "behind it");
  }
  EXPECT_EQ(opened.back().headers.get_or("long", "").size(), 32u << 10);
  ASSERT_TRUE(pair.a.has<Closed>());
  EXPECT_EQ(pair.a.next<Closed>()->id, opened.back().id);
}

TEST(Open, c9_beyond_max_channels_is_a_limit_here_and_a_refusal_there) {
  Limits wide, narrow;
  narrow.max_channels = 3;
  MultiplexerPair pair(wide, narrow);
  for (int i = 0; i < 3; ++i) pair.open();
  ASSERT_TRUE(pair.a.mux.open_service({.service = "x"}, {}, pair.now));
  pair.run();
  ASSERT_TRUE(pair.a.has<OpenFailed>());
  EXPECT_EQ(pair.a.next<OpenFailed>()->reason, OpenFailure::resource_shortage);
  EXPECT_FALSE(pair.b.has<Opening>());
  EXPECT_TRUE(pair.b.mux.open("session", {}, pair.now).error().is(Errc::limit));
}

TEST(Open, c9_beyond_max_unaccepted_is_refused_until_one_is_answered) {
  Limits limits;
  limits.max_unaccepted = 2;
  MultiplexerPair pair(limits);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.a.mux.open_service({.service = "x"}, {}, pair.now));
  pair.run();
  EXPECT_EQ(pair.b.all<Opening>().size(), 2u);
  ASSERT_TRUE(pair.a.has<OpenFailed>());
  EXPECT_EQ(pair.a.next<OpenFailed>()->reason, OpenFailure::resource_shortage);
  ASSERT_TRUE(pair.b.mux.confirm(pair.b.next<Opening>()->id, {}, pair.now));
  ASSERT_TRUE(pair.a.mux.open_service({.service = "x"}, {}, pair.now));
  pair.run();
  EXPECT_EQ(pair.b.all<Opening>().size(), 2u);
}

TEST(Open, with_extra_data_that_does_not_decode_is_refused_and_the_link_lives) {
  MultiplexerPair pair;
  for (const std::string_view extra : {"", "\x01", "\x02 later version", "garbage"}) {
    ASSERT_TRUE(pair.a.mux.open(kChannelType, as_bytes(extra), pair.now));
    pair.run();
    const std::optional<OpenFailed> failure = pair.a.next<OpenFailed>();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->reason, OpenFailure::prohibited);
    EXPECT_FALSE(failure->description.empty());
    EXPECT_FALSE(pair.b.has<Opening>());
  }
  pair.open();
}

TEST(Open, with_headers_over_the_receivers_limit_is_refused) {
  Limits small;
  small.max_header_bytes = 100;
  MultiplexerPair pair(Limits{}, small);
  ASSERT_TRUE(pair.a.mux.open_service({.service = "x", .headers = {{"k", std::string(100, 'v')}}},
                                      {}, pair.now));
  pair.run();
  ASSERT_TRUE(pair.a.has<OpenFailed>());
  EXPECT_EQ(pair.a.next<OpenFailed>()->reason, OpenFailure::prohibited);
}

TEST(Open, confirmed_with_headers_that_do_not_decode_fails_and_is_closed) {
  Raw raw;
  const ChannelId id = *raw.side.mux.open_service({.service = "x"}, {}, raw.now);
  raw.forget_sent();
  ASSERT_TRUE(raw.feed(Msg(91).id(id).u32(5).u32(1000).u32(1000).str("junk")));
  EXPECT_TRUE(raw.side.next<OpenFailed>());
  EXPECT_EQ(raw.sent(), to_bytes(Msg(97).u32(5)));
  ASSERT_TRUE(raw.feed(Msg(97).id(id)));
  EXPECT_EQ(raw.side.mux.open_channels(), 0u);
}

TEST(Open, confirmed_by_software_that_sends_no_headers_works) {
  Raw raw;
  const ChannelId id = *raw.side.mux.open_service({.service = "x"}, {}, raw.now);
  ASSERT_TRUE(raw.feed(Msg(91).id(id).u32(5).u32(1000).u32(1000)));
  EXPECT_TRUE(raw.side.next<Opened>());
}

TEST(Open, c9_numbers_rest_before_they_are_used_again) {
  MultiplexerPair pair;
  std::set<ChannelId> seen;
  const auto first = pair.open(), second = pair.open();
  for (const auto& ends : {first, second}) {
    ASSERT_TRUE(pair.a.mux.close(ends.at_a, {}, {}, pair.now));
    pair.run();
  }
  EXPECT_EQ(pair.open().at_a, first.at_a) << "the one that was freed first";
}

TEST(Open, c9_a_hundred_thousand_of_an_unknown_type_leave_nothing_behind) {
  Raw raw;
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_TRUE(raw.side.mux.handle_payload(
        Msg(90).str("spam").u32(static_cast<std::uint32_t>(i)).u32(1).u32(32768), raw.now));
    const std::optional<Event> e = raw.side.mux.poll_event();
    const auto* opening = std::get_if<Opening>(&*e);
    ASSERT_NE(opening, nullptr);
    ASSERT_LE(static_cast<std::uint32_t>(opening->id), 1u);
    ASSERT_TRUE(raw.side.mux.refuse(opening->id, OpenFailure::unknown_type, ""));
    raw.forget_sent();
  }
  EXPECT_EQ(raw.side.mux.open_channels(), 0u);
  EXPECT_EQ(raw.side.mux.owed_bytes(), 0u);
}

}  // namespace
}  // namespace streamkit::channel::test
