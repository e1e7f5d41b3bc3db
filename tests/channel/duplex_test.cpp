// The ancestor's wire: its messages byte by byte, and two multiplexers (or one and a raw peer) that
// speak it. What cannot be said there is refused before anything is sent.
#include <streamkit/channel/duplex.hpp>

#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

using std::chrono::seconds;

std::string text_of(const Result<Bytes>& bytes) {
  return bytes ? std::string(as_text(*bytes)) : bytes.error().message();
}
Bytes list_of(std::string_view words) {
  Bytes out;
  wire::Writer(out).string(words);
  return out;
}
/// An open as go-streamkit writes it.
Bytes open_of(std::string_view service, std::string_view headers, bool attached = false,
              std::uint32_t attach = 0) {
  Bytes out;
  wire::Writer(out).string(service).string(headers).boolean(attached).u32(attach).string("");
  return out;
}

struct DuplexPair : MultiplexerPair {
  explicit DuplexPair(Limits limits = {}) : MultiplexerPair(limits, limits, Wire::duplex) {}
};
struct DuplexRaw : Raw {
  explicit DuplexRaw(Limits limits = {}) : Raw(limits, Wire::duplex) {}
  Result<void> open(ByteView extra, std::uint32_t number = 5) {
    return feed(Msg(90).str("@duplex").u32(number).u32(1 << 20).u32(32768).raw(extra));
  }
  /// A channel that they opened and we confirmed.
  ChannelId confirmed() {
    EXPECT_TRUE(open(open_of("echo", "")));
    const ChannelId id = side.next<Opening>()->id;
    EXPECT_TRUE(side.mux.confirm(id, {}, now));
    forget_sent();
    return id;
  }
};

// ---------------------------------------------------------------- messages

TEST(DuplexOpen, is_the_bytes_that_the_ancestor_sends) {
  OpenInfo info{.service = "ab"};
  info.headers = {{"k", "v"}, {"", "bare"}, {"empty", ""}};
  const Bytes plain = open_of("ab", "k=v,bare,empty=");
  EXPECT_EQ(text_of(duplex::encode_open(info)), as_text(plain));
  info.parent = 7;
  const Bytes attached = open_of("ab", "k=v,bare,empty=", true, 7);
  EXPECT_EQ(text_of(duplex::encode_open(info)), as_text(attached));
  EXPECT_EQ(text_of(Bytes(duplex::encode_greeting("go"))), std::string_view("\0\0\0\2go", 6));
}

TEST(DuplexOpen, comes_back_as_it_was) {
  OpenInfo info{.service = "echo"};
  info.headers = {{"k", "v=w"}, {"k", "again"}, {"", "bare"}, {"", "=odd"}, {"", "caf\xc3\xa9"}};
  info.parent = 7;
  const Result<OpenInfo> back = duplex::decode_open(*duplex::encode_open(info));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->service, info.service);
  EXPECT_EQ(back->headers, info.headers);
  EXPECT_EQ(back->parent, 7u);
  EXPECT_EQ(duplex::decode_open(open_of("x", "", false, 9))->parent, kNoParent)
      << "the number counts with its flag only";
}

TEST(DuplexOpen, c3_does_not_decode_when_cut_anywhere_or_with_a_byte_more) {
  const Bytes whole = open_of("echo", "a=b,c", true, 3);
  ASSERT_TRUE(duplex::decode_open(whole));
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(duplex::decode_open(ByteView(whole).first(n))) << n;
  Bytes more = whole;
  more.push_back({});
  EXPECT_FALSE(duplex::decode_open(more));
}

TEST(DuplexOpen, with_a_bad_service_trailers_empty_headers_or_an_impossible_parent_is_refused) {
  EXPECT_FALSE(duplex::decode_open(open_of("", "")));
  EXPECT_FALSE(duplex::decode_open(open_of("a\nb", "")));
  for (const char* headers : {",", "a,,b", ",a", "a,"})
    EXPECT_TRUE(duplex::decode_open(open_of("x", headers)).error().is(Errc::protocol)) << headers;
  EXPECT_FALSE(duplex::decode_open(open_of("x", "", true, kNoParent)));
  Bytes trailers;
  wire::Writer(trailers).string("x").string("").boolean(false).u32(0).string("early");
  EXPECT_FALSE(duplex::decode_open(trailers));
}

TEST(DuplexHeaders, that_would_come_back_as_something_else_are_refused_with_the_reason) {
  const auto refusal = [](const Headers& headers) {
    const Result<Bytes> list = duplex::encode_list(headers);
    if (list) return std::string("not refused");
    EXPECT_TRUE(list.error().is(Errc::usage));
    return list.error().message();
  };
  EXPECT_NE(refusal({{"a", "b,c"}}).find("'a' cannot go over"), std::string::npos);
  EXPECT_NE(refusal({{"a", "b,c"}}).find("comma"), std::string::npos);
  EXPECT_NE(refusal({{"a,b", "c"}}).find("comma"), std::string::npos);
  EXPECT_NE(refusal({{"", ""}}).find("empty"), std::string::npos);
  EXPECT_NE(refusal({{"a=b", "c"}}).find("'=' in its key"), std::string::npos);
  EXPECT_NE(refusal({{"", "a=b"}}).find("taken for one with a key"), std::string::npos);
  EXPECT_EQ(refusal({{"\x1b[2J,", ""}}).find('\x1b'), std::string::npos);
}

TEST(DuplexHeaders, have_32_KiB_as_a_list_in_both_directions) {
  Headers headers{{"", std::string(duplex::kMaxListBytes, 'v')}};
  const Result<Bytes> most = duplex::encode_list(headers);
  ASSERT_TRUE(most);
  EXPECT_EQ(*duplex::decode_list(*most), headers);
  headers = {{"", std::string(duplex::kMaxListBytes + 1, 'v')}};
  EXPECT_TRUE(duplex::encode_list(headers).error().is(Errc::header_too_large));
  const Bytes more = list_of(std::string(duplex::kMaxListBytes + 1, 'v'));
  EXPECT_TRUE(duplex::decode_list(more).error().is(Errc::header_too_large));
}

TEST(DuplexHeaders, c3_many_short_ones_are_refused_before_they_cost_memory) {
  // Two bytes each on the wire, and as pairs 4 + 8 n + (2 n - 1) of at most 64 KiB.
  const std::size_t most = (kMaxHeaderBytes - 3) / 10;
  std::string list = "v";
  for (std::size_t i = 1; i < most; ++i) list += ",v";
  const Result<Headers> fits = duplex::decode_list(list_of(list));
  ASSERT_TRUE(fits) << fits.error().message();
  EXPECT_EQ(fits->size(), most);
  EXPECT_TRUE(duplex::encode_list(*fits));
  EXPECT_TRUE(duplex::decode_list(list_of(list + ",v")).error().is(Errc::header_too_large));
}

TEST(DuplexGreeting, comes_back_as_it_was_and_only_whole) {
  const Bytes greeting = duplex::encode_greeting("go");
  EXPECT_EQ(*duplex::decode_greeting(greeting), "go");
  for (std::size_t n = 0; n < greeting.size(); ++n)
    EXPECT_FALSE(duplex::decode_greeting(ByteView(greeting).first(n)));
}

// ---------------------------------------------------------------- opening

TEST(DuplexChannel, opens_from_both_sides_with_headers_and_carries_data_both_ways) {
  DuplexPair pair;
  for (Side* from : {&pair.a, &pair.b}) {
    Side& to = from == &pair.a ? pair.b : pair.a;
    OpenInfo info{.service = "echo"};
    info.headers = {{"colour", "blue"}, {"", "bare"}};
    const Result<ChannelId> id = from->mux.open_service(info, {}, pair.now);
    ASSERT_TRUE(id);
    pair.run();
    const std::optional<Opening> opening = to.next<Opening>();
    ASSERT_TRUE(opening && opening->info);
    EXPECT_EQ(opening->type, "@duplex");
    EXPECT_EQ(opening->info->headers, info.headers);
    EXPECT_FALSE(from->has<Opened>()) << "nobody has accepted it";
    ASSERT_TRUE(to.mux.confirm(opening->id, {}, pair.now));
    pair.run();
    ASSERT_TRUE(from->next<Opened>());
    ASSERT_TRUE(pair.write(*from, *id, "there"));
    ASSERT_TRUE(pair.write(to, opening->id, "and back"));
    ASSERT_TRUE(pair.write(to, opening->id, "beside", Lane::error));
    pair.run();
    EXPECT_EQ(pair.read(to, opening->id), "there");
    EXPECT_EQ(pair.read(*from, *id), "and back");
    EXPECT_EQ(pair.read(*from, *id, Lane::error), "beside");
  }
}

TEST(DuplexChannel, with_headers_that_cannot_be_said_fails_before_anything_is_sent) {
  DuplexPair pair;
  OpenInfo info{.service = "echo"};
  info.headers = {{"list", "a,b"}};
  EXPECT_TRUE(pair.a.mux.open_service(info, {}, pair.now).error().is(Errc::usage));
  EXPECT_TRUE(pair.a.port.messages.empty());
  EXPECT_EQ(pair.a.mux.open_channels(), 0u);
  info.headers = {};
  info.first.resize(kMaxFirst + 1);
  EXPECT_TRUE(pair.a.mux.open_service(info, {}, pair.now).error().is(Errc::limit));
}

TEST(DuplexChannel, sends_what_rides_along_as_its_first_data) {
  DuplexPair pair;
  const auto ends = pair.open("echo", {}, to_bytes("first "));
  ASSERT_TRUE(pair.write(pair.a, ends.at_a, "second"));
  pair.run();
  EXPECT_EQ(pair.read(pair.b, ends.at_b), "first second");
}

TEST(DuplexChannel, that_is_refused_or_withdrawn_forgets_what_should_have_ridden_along) {
  DuplexPair pair;
  OpenInfo info{.service = "echo"};
  info.first = to_bytes("first");
  const ChannelId refused = *pair.a.mux.open_service(info, {}, pair.now);
  pair.run();
  ASSERT_TRUE(pair.b.mux.refuse(pair.b.next<Opening>()->id, OpenFailure::connect_failed, "no"));
  pair.run();
  EXPECT_EQ(pair.a.next<OpenFailed>()->id, refused);
  const ChannelId withdrawn = *pair.a.mux.open_service(info, {}, pair.now);
  ASSERT_TRUE(pair.a.mux.reset(withdrawn, Code::cancelled, "", pair.now));
  pair.run();
  ASSERT_TRUE(pair.b.mux.confirm(pair.b.next<Opening>()->id, {}, pair.now));
  pair.run();
  EXPECT_EQ(pair.a.port.counts[94], 0u);
  EXPECT_EQ(pair.a.mux.open_channels(), 0u);
}

TEST(DuplexChannel, cannot_be_confirmed_with_headers) {
  DuplexRaw raw;
  ASSERT_TRUE(raw.open(open_of("echo", "")));
  const ChannelId id = raw.side.next<Opening>()->id;
  EXPECT_TRUE(raw.side.mux.confirm(id, {{"a", "b"}}, raw.now).error().is(Errc::usage));
  EXPECT_TRUE(raw.side.port.messages.empty());
  EXPECT_TRUE(raw.side.mux.confirm(id, {}, raw.now));
  EXPECT_EQ(raw.sent().size(), 17u) << "a confirmation without anything behind it";
}

TEST(DuplexChannel, that_does_not_decode_is_refused) {
  DuplexRaw raw;
  ASSERT_TRUE(raw.open(open_of("echo", "a,,b")));
  const Bytes answer = raw.sent();
  EXPECT_EQ(answer.at(0), std::byte{92});
  EXPECT_EQ(wire::load_u32(&answer[5]), static_cast<std::uint32_t>(OpenFailure::prohibited));
  EXPECT_FALSE(raw.side.has<Opening>());
}

TEST(DuplexChannel, on_a_channel_goes_two_deep_and_on_an_unknown_one_is_refused_never_a_hang) {
  DuplexPair pair;
  pair.open(pair.b, pair.a, "skew the numbers");
  const auto parent = pair.open("root");
  const Result<ChannelId> child = pair.b.mux.open_service({.service = "c"}, parent.at_b, pair.now);
  ASSERT_TRUE(child);
  pair.run();
  const std::optional<Opening> opening = pair.a.next<Opening>();
  ASSERT_TRUE(opening && opening->parent);
  EXPECT_EQ(*opening->parent, parent.at_a);
  ASSERT_TRUE(pair.a.mux.confirm(opening->id, {}, pair.now));
  pair.run();
  const auto deeper = pair.open("deeper", opening->id);
  ASSERT_TRUE(pair.write(pair.a, deeper.at_a, "deep"));
  pair.run();
  EXPECT_EQ(pair.read(pair.b, deeper.at_b), "deep");

  EXPECT_TRUE(pair.a.mux.open("@duplex", open_of("c", "", true, 4242), pair.now));
  pair.run();
  ASSERT_TRUE(pair.a.has<OpenFailed>());
  EXPECT_EQ(pair.a.next<OpenFailed>()->reason, OpenFailure::connect_failed);
  EXPECT_FALSE(pair.b.has<Opening>());
}

TEST(DuplexChannel, waits_to_be_accepted_and_too_many_that_wait_are_refused) {
  DuplexPair pair(Limits{.max_unaccepted = 2});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.a.mux.open_service({.service = "x"}, {}, pair.now));
  pair.run();
  EXPECT_EQ(pair.b.all<Opening>().size(), 2u);
  ASSERT_EQ(pair.a.all<OpenFailed>().size(), 1u);
  EXPECT_EQ(pair.a.next<OpenFailed>()->reason, OpenFailure::resource_shortage);
  EXPECT_FALSE(pair.a.has<Opened>());
}

TEST(DuplexChannel, that_is_never_answered_fails_in_time) {
  DuplexPair pair(Limits{.open_timeout = seconds(3)});
  ASSERT_TRUE(pair.a.mux.open_service({.service = "x"}, {}, pair.now));
  pair.advance(seconds(3));
  ASSERT_TRUE(pair.a.has<OpenFailed>());
  EXPECT_TRUE(pair.a.next<OpenFailed>()->timed_out);
}

TEST(DuplexChannel, has_its_wire_to_itself) {
  DuplexRaw on_duplex;
  ASSERT_TRUE(on_duplex.feed(Msg(90).str(kChannelType).u32(1).u32(1000).u32(1000)));
  ASSERT_TRUE(on_duplex.side.has<Opening>());
  EXPECT_FALSE(on_duplex.side.next<Opening>()->info) << "of a type that is not ours there";
  Raw on_ours;
  ASSERT_TRUE(
      on_ours.feed(Msg(90).str("@duplex").u32(1).u32(1000).u32(1000).raw(open_of("echo", ""))));
  ASSERT_TRUE(on_ours.side.has<Opening>());
  EXPECT_FALSE(on_ours.side.next<Opening>()->info);
}

// ---------------------------------------------------------------- ending

TEST(DuplexTrailers, are_a_request_that_is_answered) {
  DuplexRaw raw;
  const ChannelId id = raw.confirmed();
  ASSERT_TRUE(raw.side.mux.write_trailers(id, {{"seen", "all"}, {"", "bare"}}));
  Msg expected(98);
  expected.u32(5).str("trailers").u8(1).str("seen=all,bare");
  EXPECT_EQ(as_text(raw.sent()), as_text(ByteView(expected)));
  ASSERT_TRUE(raw.feed(Msg(99).id(id)));
  EXPECT_TRUE(raw.side.next<RequestReply>()->ok);

  ASSERT_TRUE(raw.feed(Msg(98).id(id).str("trailers").u8(1).str("theirs,k=v")));
  EXPECT_EQ(raw.sent().at(0), std::byte{99});
  EXPECT_EQ(*raw.side.mux.trailers(id), (Headers{{"", "theirs"}, {"k", "v"}}));
}

TEST(DuplexTrailers, may_follow_the_end_of_data_and_come_once) {
  DuplexRaw raw;
  const ChannelId id = raw.confirmed();
  ASSERT_TRUE(raw.feed(Msg(96).id(id)));
  ASSERT_TRUE(raw.feed(Msg(98).id(id).str("trailers").u8(1).str("after")));
  EXPECT_EQ(raw.sent().at(0), std::byte{99});
  ASSERT_TRUE(raw.feed(Msg(98).id(id).str("trailers").u8(1).str("again")));
  EXPECT_EQ(raw.sent().at(0), std::byte{100});
  ASSERT_TRUE(raw.feed(Msg(97).id(id)));
  EXPECT_EQ(raw.side.next<Closed>()->trailers, (Headers{{"", "after"}}));
}

TEST(DuplexTrailers, that_cannot_be_said_or_do_not_decode_are_refused) {
  DuplexRaw raw;
  const ChannelId id = raw.confirmed();
  const Headers bad{{"a", "b,c"}}, good{{"a", "b"}};
  EXPECT_TRUE(raw.side.mux.check_trailers(id, bad).error().is(Errc::usage));
  EXPECT_TRUE(raw.side.mux.write_trailers(id, bad).error().is(Errc::usage));
  EXPECT_TRUE(raw.side.port.messages.empty());
  ASSERT_TRUE(raw.feed(Msg(98).id(id).str("trailers").u8(1).str("a,,b")));
  EXPECT_EQ(raw.sent().at(0), std::byte{100});
  EXPECT_EQ(raw.side.mux.trailers(id), nullptr);
  EXPECT_TRUE(raw.side.mux.check_trailers(id, good));
  EXPECT_TRUE(raw.side.mux.write_trailers(id, good));
  EXPECT_TRUE(raw.side.mux.check_trailers(id, good).error().is(Errc::usage)) << "once only";
}

TEST(DuplexEnding, a_close_alone_is_an_end_in_order_and_what_came_before_it_is_delivered) {
  DuplexRaw raw;
  const ChannelId id = raw.confirmed();
  ASSERT_TRUE(raw.feed(Msg(94).id(id).str("last words")));
  ASSERT_TRUE(raw.feed(Msg(97).id(id)));
  EXPECT_EQ(raw.sent().at(0), std::byte{97});
  const std::optional<Closed> closed = raw.side.next<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error) << closed->error->message();
  EXPECT_FALSE(closed->has_status);
  EXPECT_EQ(as_text(raw.side.mux.peek(id, Lane::data)), "last words");
}

TEST(DuplexEnding, ours_is_trailers_eof_and_close_and_half_close_is_kept) {
  DuplexPair pair;
  const auto ends = pair.open();
  ASSERT_TRUE(pair.a.mux.end_write(ends.at_a));
  pair.run();
  EXPECT_TRUE(pair.b.mux.is_eof(ends.at_b));
  ASSERT_TRUE(pair.write(pair.b, ends.at_b, "still speaking"));
  ASSERT_TRUE(
      pair.b.mux.close(ends.at_b, Status(Code::not_found, "x", "y"), {{"seen", "all"}}, pair.now));
  pair.run();
  EXPECT_EQ(pair.read(pair.a, ends.at_a), "still speaking");
  const std::optional<Closed> closed = pair.a.next<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->error);
  EXPECT_FALSE(closed->has_status) << "there are no words for it";
  EXPECT_EQ(closed->trailers.get_or("seen", ""), "all");
  EXPECT_EQ(pair.b.port.counts[98], 1u) << "trailers, and no other request";
}

TEST(DuplexEnding, reset_is_a_close_at_once_and_nobody_can_be_asked_to_stop) {
  DuplexPair pair;
  const auto ends = pair.open();
  EXPECT_TRUE(pair.a.mux.stop_sending(ends.at_a, 1).error().is(Errc::usage));
  ASSERT_TRUE(pair.a.mux.reset(ends.at_a, Code::cancelled, "enough", pair.now));
  pair.run();
  EXPECT_EQ(pair.a.port.counts[98], 0u);
  EXPECT_TRUE(pair.a.next<Closed>()->error->is(Errc::reset));
  EXPECT_TRUE(pair.b.has<Closed>());
}

TEST(DuplexEnding, requests_of_our_own_wire_mean_nothing_there) {
  DuplexRaw raw;
  const ChannelId id = raw.confirmed();
  for (const char* type : {"close@streamkit", "reset@streamkit", "stop@streamkit", "exit-status"}) {
    ASSERT_TRUE(raw.feed(Msg(98).id(id).str(type).u8(1).u32(1).str("a").str("b")));
    const std::optional<Request> request = raw.side.next<Request>();
    ASSERT_TRUE(request) << type;
    EXPECT_EQ(request->type, type);
  }
  EXPECT_FALSE(raw.side.mux.status(id));
  EXPECT_TRUE(raw.side.mux.is_open(id));
}

}  // namespace
}  // namespace streamkit::channel::test
