// One suite of what a channel does, over every way there is to have one: SSH on TCP, SSH on a unix
// socket, in process between two peers, and the two ends of Channel::pair().
#include "support/peer_pair.hpp"

#include <functional>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

class Conformance : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (is_pair()) return;
    peers_.emplace(GetParam());
  }

  bool is_pair() const { return std::string(GetParam()) == "pair"; }

  // Two ends of a fresh channel; the first one opened it.
  std::pair<Channel, Channel> open(std::string service = "test", OpenOptions options = {}) {
    if (is_pair()) return Channel::pair(std::move(service), std::move(options));
    Awaited<Channel> accepted;
    std::thread acceptor([&] {
      if (Result<Channel> c = peers_->a->accept(kPatience)) accepted.put(std::move(*c));
    });
    Result<Channel> opened = peers_->b->open("a", std::move(service), std::move(options), kPatience);
    acceptor.join();
    if (!opened) throw std::runtime_error(opened.error().message());
    return {std::move(*opened), std::move(*accepted.next())};
  }

  std::optional<PeerPair> peers_;
};

TEST_P(Conformance, an_open_carries_service_headers_and_first_data) {
  OpenOptions options;
  options.headers = {{"k", "v1"}, {"k", "v2,with comma"}, {std::string("\0bin", 4), std::string("\xff\0", 2)}, {"", ""}};
  options.first = to_bytes("early");
  auto [opener, accepter] = open("a service/with. signs", options);
  EXPECT_EQ(accepter.info().service, "a service/with. signs");
  EXPECT_EQ(accepter.info().headers, options.headers);
  Bytes buffer(16);
  const Result<std::size_t> n = accepter.read(buffer, kPatience);
  SK_ASSERT_OK(n);
  EXPECT_EQ(as_text(ByteView(buffer).first(*n)), "early");
}

TEST_P(Conformance, headers_first_data_and_trailers_may_be_as_long_as_their_limits) {
  const Headers longest = {{"k", std::string(channel::kMaxHeaderBytes - 13, 'v')}};
  ASSERT_EQ(longest.wire_size(), channel::kMaxHeaderBytes);
  OpenOptions options;
  options.headers = longest;
  options.first = pattern_bytes(channel::kMaxFirst, 1);
  auto [x, y] = open("test", options);
  EXPECT_EQ(y.info().headers, longest);
  SK_ASSERT_OK(y.write(as_bytes("before"), kPatience));
  SK_ASSERT_OK(y.close(Status(Code::ok), longest));
  const Result<Bytes> got = read_all(x);
  EXPECT_TRUE(got && as_text(*got) == "before");
  const Result<Closed> end = x.wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->trailers, longest);
}

TEST_P(Conformance, bytes_arrive_in_order_both_ways_at_once) {
  auto [x, y] = open();
  const Bytes to_y = pattern_bytes(5 << 20, 1);
  const Bytes to_x = pattern_bytes(3 << 20, 2);
  std::thread wx([&, &x = x] { SK_EXPECT_OK(x.write(to_y, kPatience)); SK_EXPECT_OK(x.close_write()); });
  std::thread wy([&, &y = y] { SK_EXPECT_OK(y.write(to_x, kPatience)); SK_EXPECT_OK(y.close_write()); });
  Awaited<bool> same;
  std::thread rx([&, &x = x] { const Result<Bytes> all = read_all(x); same.put(all && *all == to_x); });
  const Result<Bytes> all = read_all(y);
  EXPECT_TRUE(all && *all == to_y);
  EXPECT_EQ(same.next(), true);
  wx.join(), wy.join(), rx.join();
}

TEST_P(Conformance, frames_keep_their_boundaries) {
  auto [x, y] = open();
  const std::vector<std::size_t> sizes = {0, 1, 4, 255, 32767, 32768, 32769, 1 << 20, 8 << 20};
  std::thread writer([&, &x = x] {
    for (const std::size_t size : sizes) SK_EXPECT_OK(x.write_frame(pattern_bytes(size, static_cast<std::uint32_t>(size)), kPatience));
    SK_EXPECT_OK(x.close_write());
  });
  for (const std::size_t size : sizes) {
    const Result<Bytes> frame = y.read_frame(kPatience);
    SK_EXPECT_OK(frame);
    EXPECT_TRUE(frame && *frame == pattern_bytes(size, static_cast<std::uint32_t>(size))) << size;
  }
  const Result<Bytes> end = y.read_frame(kPatience);
  EXPECT_TRUE(!end && end.error().is(Errc::eof));
  writer.join();
}

// In process the memory itself arrives; over SSH the same bytes.
TEST_P(Conformance, a_frame_that_is_given_away_arrives_unchanged) {
  auto [x, y] = open();
  const bool moves = is_pair() || std::string(GetParam()) == "inproc";
  const std::vector<std::size_t> sizes = {0, 1, 2047, 2048, 8192, 8193, 65536, channel::kLargestGiven, channel::kLargestGiven + 1, 1 << 20};
  std::vector<const std::byte*> from(sizes.size());
  std::thread writer([&, &x = x] {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      Bytes frame = pattern_bytes(sizes[i], static_cast<std::uint32_t>(i));
      from[i] = frame.data();
      SK_EXPECT_OK(x.write_frame(std::move(frame), kPatience));
      SK_EXPECT_OK(x.write_frame("between", kPatience));
    }
    SK_EXPECT_OK(x.close_write());
  });
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Result<Bytes> frame = y.read_frame(kPatience);
    SK_EXPECT_OK(frame);
    EXPECT_TRUE(frame && *frame == pattern_bytes(sizes[i], static_cast<std::uint32_t>(i))) << sizes[i];
    if (frame && moves && sizes[i] >= 2048 && sizes[i] <= channel::kLargestGiven) {
      EXPECT_EQ(frame->data(), from[i]) << sizes[i];
    }
    const Result<Bytes> between = y.read_frame(kPatience);
    EXPECT_TRUE(between && as_text(*between) == "between");
  }
  const Result<Bytes> end = y.read_frame(kPatience);
  EXPECT_TRUE(!end && end.error().is(Errc::eof));
  writer.join();
}

// Windows count bytes; a frame that takes much more memory than it has bytes must not hold it.
TEST_P(Conformance, a_frame_with_much_room_to_spare_is_copied) {
  auto [x, y] = open();
  Bytes frame = pattern_bytes(5000, 1);
  frame.reserve(1 << 20);
  SK_ASSERT_OK(x.write_frame(std::move(frame), kPatience));
  const Result<Bytes> got = y.read_frame(kPatience);
  SK_ASSERT_OK(got);
  EXPECT_TRUE(*got == pattern_bytes(5000, 1));
  EXPECT_LE(got->capacity(), 10'000u);
}

TEST_P(Conformance, frames_that_are_given_away_by_completions_arrive_in_order) {
  auto [x, y] = open();
  constexpr std::size_t kFrames = 300;
  const auto frame_of = [](std::size_t i) { return pattern_bytes(i * 97, static_cast<std::uint32_t>(i)); };
  Awaited<bool> written;
  for (std::size_t i = 0; i < kFrames; ++i)
    x.async_write_frame(frame_of(i), [written](Result<void> r) { written.put(r.has_value()); });
  for (std::size_t i = 0; i < kFrames; ++i) {
    const Result<Bytes> frame = y.read_frame(kPatience);
    SK_ASSERT_OK(frame);
    ASSERT_TRUE(*frame == frame_of(i)) << i;
  }
  for (std::size_t i = 0; i < kFrames; ++i) EXPECT_EQ(written.next(), true);
}

TEST_P(Conformance, a_stalled_reader_stops_a_writer_that_gives_its_frames_away) {
  auto [x, y] = open();
  constexpr std::size_t kSize = 60'000, kMost = 200;
  const auto frame_of = [](std::size_t i) { return pattern_bytes(kSize, static_cast<std::uint32_t>(i)); };
  std::size_t sent = 0;
  Result<void> last;
  while (sent < kMost && (last = x.write_frame(frame_of(sent), 300ms))) ++sent;
  ASSERT_FALSE(last);
  EXPECT_TRUE(last.error().is(Errc::timeout)) << last.error().message();
  const channel::Limits limits;
  EXPECT_GE(sent * kSize, limits.initial_window - kSize);
  EXPECT_LE(sent * kSize, limits.initial_window + limits.send_buffer + kSize);
  for (std::size_t i = 0; i < sent; ++i) {  // the one that did not go left no trace
    const Result<Bytes> frame = y.read_frame(kPatience);
    SK_ASSERT_OK(frame);
    ASSERT_TRUE(*frame == frame_of(i)) << i;
  }
  SK_EXPECT_OK(x.write_frame(frame_of(sent), kPatience));
  const Result<Bytes> frame = y.read_frame(kPatience);
  EXPECT_TRUE(frame && *frame == frame_of(sent));
}

TEST_P(Conformance, a_reset_ends_a_writer_that_gives_its_frames_away) {
  auto [x, y] = open();
  Awaited<bool> was_reset;
  std::thread writer([&, &x = x] {
    Result<void> r;
    while ((r = x.write_frame(Bytes(100'000), kPatience))) {
    }
    was_reset.put(r.error().is(Errc::reset) || r.error().is(Errc::closed));
  });
  SK_EXPECT_OK(y.read_frame(kPatience));
  y.reset(Code::aborted, "enough");
  EXPECT_EQ(was_reset.next(), true);
  writer.join();
}

// By readiness: frames that leave together and are read where they lie.
TEST_P(Conformance, frames_by_readiness_keep_their_boundaries) {
  auto [x, y] = open();
  constexpr std::size_t kFrames = 20'000;
  const auto frame_of = [](std::size_t i) { return pattern_bytes(i % 300, static_cast<std::uint32_t>(i)); };
  std::size_t sent = 0, got = 0;
  std::function<void()> write, read;
  Awaited<bool> all_came;
  write = [&, &x = x] {
    for (; sent < kFrames; ++sent) {
      const Result<bool> queued = x.write_frame_some(frame_of(sent));
      SK_EXPECT_OK(queued);
      if (!queued) return;
      if (!*queued) return x.on_writable([&] { write(); });
    }
    SK_EXPECT_OK(x.close_write());
  };
  read = [&, &y = y] {
    while (true) {
      const Result<ByteView> frame = y.peek_frame();
      if (!frame && frame.error().is(Errc::would_block)) return y.on_readable([&] { read(); });
      if (!frame) return all_came.put(frame.error().is(Errc::eof) && got == kFrames);
      const Bytes expected = frame_of(got++);
      if (!std::equal(frame->begin(), frame->end(), expected.begin(), expected.end())) return all_came.put(false);
      y.consume_frame();
    }
  };
  {
    const io::Context::Lock lock(y.context());
    read();
  }
  {
    const io::Context::Lock lock(x.context());
    write();
    const Result<bool> large = x.write_frame_some(Bytes(Channel::kMaxQueuedFrame + 1));
    EXPECT_TRUE(!large && large.error().is(Errc::usage));
  }
  EXPECT_EQ(all_came.next(), true);
}

TEST(Readiness, a_frame_that_half_of_the_send_buffer_does_not_hold_is_refused_not_put_off) {
  PeerPair pair("inproc", [](PeerOptions& o) { o.limits.channels.send_buffer = 8 * 1024; });
  Awaited<Channel> accepted;
  std::thread acceptor([&] { accepted.put(pair.a->accept(kPatience).value()); });
  Channel x = pair.b->open("a", "test", {}, kPatience).value();
  acceptor.join();
  const io::Context::Lock lock(x.context());
  EXPECT_TRUE(x.write_frame_some(Bytes(4 * 1024)).value());
  const Result<bool> large = x.write_frame_some(Bytes(4 * 1024 + 1));
  EXPECT_TRUE(!large && large.error().is(Errc::usage));
}

// Small writes wait for each other for a moment; who writes and goes away has still written.
TEST_P(Conformance, a_burst_of_small_frames_arrives_without_its_writer_waiting_for_anything) {
  auto [x, y] = open();
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 50; ++i) SK_ASSERT_OK(x.write_frame(std::to_string(i), kPatience));
    for (int i = 0; i < 50; ++i) {
      const Result<Bytes> frame = y.read_frame(kPatience);
      SK_ASSERT_OK(frame);
      EXPECT_EQ(as_text(*frame), std::to_string(i));
    }
  }
}

TEST_P(Conformance, a_frame_over_max_frame_is_refused_before_it_is_sent) {
  auto [x, y] = open();
  const Bytes large(channel::kDefaultMaxFrame + 1);
  const Result<void> r = x.write_frame(large, kPatience);
  EXPECT_TRUE(!r && r.error().is(Errc::frame_too_large));
  SK_EXPECT_OK(x.write_frame("still here", kPatience));
  const Result<Bytes> frame = y.read_frame(kPatience);
  EXPECT_TRUE(frame && as_text(*frame) == "still here");
}

TEST_P(Conformance, a_claim_of_four_gigabytes_ends_that_channel_alone) {
  auto [x, y] = open();
  auto [x2, y2] = open();
  const std::array<std::byte, 4> claim = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  SK_ASSERT_OK(x.write(claim, kPatience));
  const Result<Bytes> frame = y.read_frame(kPatience);
  ASSERT_FALSE(frame);
  EXPECT_TRUE(frame.error().is(Errc::frame_too_large)) << frame.error().message();
  const Result<Closed> end = x.wait_closed(kPatience);
  ASSERT_FALSE(end);
  EXPECT_TRUE(end.error().is(Errc::reset)) << end.error().message();
  SK_EXPECT_OK(x2.write_frame("beside", kPatience));
  const Result<Bytes> beside = y2.read_frame(kPatience);
  EXPECT_TRUE(beside && as_text(*beside) == "beside");
}

TEST_P(Conformance, the_error_lane_runs_beside_the_data) {
  auto [x, y] = open();
  SK_EXPECT_OK(x.write_error(as_bytes("warning one"), kPatience));
  SK_EXPECT_OK(x.write("data"));
  SK_EXPECT_OK(x.write_error(as_bytes(""), kPatience));
  const Result<Bytes> one = y.read_error(kPatience);
  EXPECT_TRUE(one && as_text(*one) == "warning one");
  const Result<Bytes> two = y.read_error(kPatience);
  EXPECT_TRUE(two && two->empty());
  Bytes buffer(16);
  const Result<std::size_t> n = y.read(buffer, kPatience);
  EXPECT_TRUE(n && as_text(ByteView(buffer).first(*n)) == "data");
}

TEST_P(Conformance, half_close_then_a_megabyte_back_then_status_and_trailers) {
  auto [x, y] = open();
  const Bytes there = pattern_bytes(1 << 20, 3);
  std::thread server([&, &y = y] {
    const Result<Bytes> got = read_all(y);
    EXPECT_TRUE(got && *got == there);
    SK_EXPECT_OK(y.write(got ? *got : Bytes{}, kPatience));
    SK_EXPECT_OK(y.close(Status(Code::aborted, "why", "because"), {{"sum", "42"}, {"sum", "43"}}));
  });
  SK_ASSERT_OK(x.write(there, kPatience));
  SK_ASSERT_OK(x.close_write());
  const Result<Bytes> back = read_all(x);
  EXPECT_TRUE(back && *back == there);
  const Result<Closed> end = x.wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status, Status(Code::aborted, "why", "because"));
  EXPECT_EQ(end->trailers, (Headers{{"sum", "42"}, {"sum", "43"}}));
  server.join();
}

TEST_P(Conformance, a_write_after_close_write_is_refused) {
  auto [x, y] = open();
  SK_ASSERT_OK(x.close_write());
  const Result<void> r = x.write("more");
  EXPECT_TRUE(!r && r.error().is(Errc::closed));
  SK_EXPECT_OK(y.write("other way"));
  Bytes buffer(16);
  EXPECT_TRUE(x.read(buffer, kPatience));
}

TEST_P(Conformance, a_reset_is_seen_as_one) {
  auto [x, y] = open();
  x.reset(Code::aborted, "enough");
  Bytes buffer(16);
  const Result<std::size_t> n = y.read(buffer, kPatience);
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().is(Errc::reset)) << n.error().message();
  const Result<Closed> end = y.wait_closed(kPatience);
  ASSERT_FALSE(end);
  ASSERT_NE(end.error().remote(), nullptr);
  EXPECT_EQ(end.error().remote()->code, Code::aborted);
  EXPECT_EQ(end.error().remote()->message, "enough");
}

TEST_P(Conformance, a_dropped_handle_resets_its_channel) {
  auto [x, y] = open();
  { const Channel gone = std::move(x); }
  const Result<Closed> end = y.wait_closed(kPatience);
  ASSERT_FALSE(end);
  EXPECT_TRUE(end.error().is(Errc::reset));
}

TEST_P(Conformance, data_before_a_close_is_still_delivered) {
  auto [x, y] = open();
  const Bytes data = pattern_bytes(300000, 5);
  SK_ASSERT_OK(x.write(data, kPatience));
  SK_ASSERT_OK(x.close(Status(), {}));
  SK_ASSERT_OK(y.wait_closed(kPatience));
  const Result<Bytes> all = read_all(y);
  EXPECT_TRUE(all && *all == data);
}

TEST_P(Conformance, a_stalled_reader_stops_its_writer_while_another_channel_moves_10_mib) {
  auto [x, y] = open();
  auto [x2, y2] = open();
  const Bytes flood(64 << 20);
  const Result<void> stuck = x.write(flood, 300ms);
  ASSERT_FALSE(stuck);
  EXPECT_TRUE(stuck.error().is(Errc::timeout)) << stuck.error().message();
  const Bytes data = pattern_bytes(10 << 20, 7);
  std::thread writer([&, &x2 = x2] { SK_EXPECT_OK(x2.write(data, kPatience)); SK_EXPECT_OK(x2.close_write()); });
  const Result<Bytes> all = read_all(y2);
  EXPECT_TRUE(all && *all == data);
  writer.join();
}

TEST_P(Conformance, channels_on_channels_to_three_levels_from_either_side) {
  auto [x, y] = open();
  const auto nest = [](Channel& opener, Channel& accepter, const std::string& service) {
    Awaited<Channel> came;
    std::thread t([&] { if (Result<Channel> c = accepter.accept(kPatience)) came.put(std::move(*c)); });
    Result<Channel> opened = opener.open(service, {}, kPatience);
    t.join();
    if (!opened) throw std::runtime_error(opened.error().message());
    return std::pair<Channel, Channel>(std::move(*opened), std::move(*came.next()));
  };
  auto [x1, y1] = nest(x, y, "one");
  auto [y2, x2] = nest(y1, x1, "two");  // from the other side
  auto [x3, y3] = nest(x2, y2, "three");
  EXPECT_EQ(y3.info().service, "three");
  SK_EXPECT_OK(x3.write_frame("deep"));
  const Result<Bytes> deep = y3.read_frame(kPatience);
  EXPECT_TRUE(deep && as_text(*deep) == "deep");
}

TEST_P(Conformance, an_open_that_nobody_accepts_ends_at_its_deadline) {
  auto [x, y] = open();
  Awaited<Result<Channel>> done;
  x.async_open("child", {}, 50ms, [=](Result<Channel> c) { done.put(std::move(c)); });
  const auto late = done.next();
  ASSERT_TRUE(late && !*late);
  EXPECT_TRUE(late->error().is(Errc::timeout)) << late->error().message();
  const Result<Channel> blocking = x.open("child", {}, 50ms);
  EXPECT_TRUE(!blocking && blocking.error().is(Errc::timeout));
  SK_EXPECT_OK(x.write_frame("still good"));
  const Result<Bytes> frame = y.read_frame(kPatience);
  EXPECT_TRUE(frame && as_text(*frame) == "still good");
}

TEST_P(Conformance, an_open_on_a_closed_channel_fails) {
  auto [x, y] = open();
  SK_ASSERT_OK(y.close());
  SK_ASSERT_OK(x.wait_closed(kPatience));
  const Result<Channel> child = x.open("child", {}, kPatience);
  EXPECT_FALSE(child);
}

TEST_P(Conformance, join_keeps_half_close_and_counts_bytes) {
  auto [x, y] = open();
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Awaited<Result<JoinStats>> joined;
  std::thread joiner([&, &y = y] { joined.put(y.join(fds[0], kPatience)); });
  // The far end of the socket: reads all, then answers with the same, then ends.
  std::thread far([fd = fds[1]] {
    Bytes all;
    Bytes piece(65536);
    for (ssize_t n; (n = ::read(fd, piece.data(), piece.size())) > 0;) append(all, ByteView(piece).first(static_cast<std::size_t>(n)));
    for (std::size_t sent = 0; sent < all.size();) {
      const ssize_t n = ::write(fd, all.data() + sent, all.size() - sent);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    ::close(fd);
  });
  const Bytes data = pattern_bytes(3 << 20, 9);  // more than one turn takes
  SK_EXPECT_OK(x.write(data, kPatience));
  SK_EXPECT_OK(x.close_write());
  const Result<Bytes> back = read_all(x);
  EXPECT_TRUE(back && *back == data);
  const Result<Closed> end = x.wait_closed(kPatience);
  SK_EXPECT_OK(end);
  far.join(), joiner.join();
  const std::optional<Result<JoinStats>> stats = joined.next();
  ASSERT_TRUE(stats && *stats);
  EXPECT_EQ((*stats)->from_channel, data.size());
  EXPECT_EQ((*stats)->to_channel, data.size());
}

TEST_P(Conformance, join_of_two_channels_is_a_relay_hop) {
  auto [x, y] = open();
  auto [p, q] = open();
  Awaited<Result<JoinStats>> joined;
  std::thread joiner([&, &y = y, &p = p] { joined.put(y.join(std::move(p), kPatience)); });
  const Bytes data = pattern_bytes(3 << 20, 11);
  std::thread echo([&, &q = q] {
    const Result<Bytes> all = read_all(q);
    EXPECT_TRUE(all);
    SK_EXPECT_OK(q.write(all ? *all : Bytes{}, kPatience));
    SK_EXPECT_OK(q.close());
  });
  SK_EXPECT_OK(x.write(data, kPatience));
  SK_EXPECT_OK(x.close_write());
  const Result<Bytes> back = read_all(x);
  EXPECT_TRUE(back && *back == data);
  SK_EXPECT_OK(x.close());
  echo.join(), joiner.join();
  const std::optional<Result<JoinStats>> stats = joined.next();
  ASSERT_TRUE(stats && *stats);
  EXPECT_EQ((*stats)->from_channel, data.size());
}

TEST_P(Conformance, a_read_that_times_out_loses_nothing) {
  auto [x, y] = open();
  Bytes buffer(16);
  const Result<std::size_t> none = y.read(buffer, 20ms);
  EXPECT_TRUE(!none && none.error().is(Errc::timeout));
  SK_EXPECT_OK(x.write("late"));
  const Result<std::size_t> n = y.read(buffer, kPatience);
  EXPECT_TRUE(n && as_text(ByteView(buffer).first(*n)) == "late");
}

TEST_P(Conformance, a_stop_token_ends_a_wait) {
  auto [x, y] = open();
  std::stop_source source;
  std::thread stopper([&] { source.request_stop(); });
  const Result<Bytes> r = y.read_frame(Until(kNever, source.get_token()));
  EXPECT_TRUE(!r && r.error().is(Errc::cancelled));
  stopper.join();
}

TEST_P(Conformance, two_hundred_opens_at_once_each_arrive_once_with_their_own_data) {
  if (is_pair()) {
    // A pair is one channel: its 200 opens are on it, from both ends.
    auto [x, y] = open();
    peers_.reset();
  }
  Awaited<std::string> problems;
  constexpr int kOpens = 200;
  std::optional<std::pair<Channel, Channel>> parents;
  if (is_pair()) parents.emplace(open());
  const auto opener = [&](int side) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, side, t] {
        for (int i = t; i < kOpens; i += 8) {
          const std::string tag = std::to_string(side) + "/" + std::to_string(i);
          OpenOptions options;
          options.headers = {{"tag", tag}};
          Result<Channel> c = is_pair() ? (side == 0 ? parents->first : parents->second).open("s" + tag, options, kPatience)
                                        : (side == 0 ? peers_->a : peers_->b)->open(side == 0 ? "b" : "a", "s" + tag, options, kPatience);
          if (!c) {
            problems.put("open " + tag + ": " + c.error().message());
            continue;
          }
          if (!c->write_frame(tag, kPatience)) problems.put("write " + tag);
          const Result<Bytes> echo = c->read_frame(kPatience);
          if (!echo || as_text(*echo) != tag + "!") problems.put("echo " + tag + (echo ? "" : ": " + echo.error().message()));
          if (!c->close()) problems.put("close " + tag);
        }
      });
    for (std::thread& t : threads) t.join();
  };
  std::mutex mutex;
  std::set<std::string> seen;
  const auto accepter = [&](int side) {
    for (int i = 0; i < kOpens; ++i) {
      Result<Channel> c = is_pair() ? (side == 0 ? parents->first : parents->second).accept(kPatience)
                                    : (side == 0 ? peers_->a : peers_->b)->accept(kPatience);
      if (!c) return problems.put("accept: " + c.error().message());
      const std::string tag(c->info().headers.get_or("tag", "none"));
      if (c->info().service != "s" + tag) problems.put("service of " + tag);
      const Result<Bytes> frame = c->read_frame(kPatience);
      if (!frame || as_text(*frame) != tag) problems.put("data of " + tag);
      if (!c->write_frame(tag + "!", kPatience)) problems.put("answer to " + tag);
      if (!c->wait_closed(kPatience)) problems.put("end of " + tag);
      const std::lock_guard lock(mutex);
      if (!seen.insert(tag).second) problems.put("twice: " + tag);
    }
  };
  std::thread accept_a([&] { accepter(0); }), accept_b([&] { accepter(1); });
  std::thread open_a([&] { opener(0); }), open_b([&] { opener(1); });
  open_a.join(), open_b.join(), accept_a.join(), accept_b.join();
  EXPECT_EQ(seen.size(), 2u * kOpens);
  EXPECT_TRUE(problems.is_empty()) << *problems.next();
}

INSTANTIATE_TEST_SUITE_P(Kinds, Conformance, ::testing::Values("tcp", "unix", "inproc", "pair"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace streamkit::testing
