// The ancestor's wire against a peer that behaves as go-streamkit does: peers/go/duplex.go, around
// golang.org/x/crypto/ssh. Both sides open channels, in both roles; and whatever is known to go
// wrong in the original is seen not to go wrong here.
#include "other_client.hpp"
#include "other_server.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kWire = "?wire=duplex";
constexpr std::size_t kMaxFrame = 1 << 20;
constexpr std::size_t kMaxUnaccepted = 8;

enum class Ours { server, client };

/// A link between a peer of ours and the Go peer, which makes one check (or none) at our side.
class GoDuplex : public ::testing::TestWithParam<Ours> {
 protected:
  void SetUp() override {
    if (const std::string why = missing(other_client("Go").needs); !why.empty())
      GTEST_SKIP() << why;
  }

  void start(const std::string& check = "none", std::function<void(PeerOptions&)> change = {}) {
    const auto changed = [change](PeerOptions& options) {
      options.limits.max_frame = kMaxFrame;
      options.limits.channels.max_unaccepted = kMaxUnaccepted;
      if (change) change(options);
    };
    is_server() ? start_server(check, changed) : start_client(check, changed);
  }
  bool is_server() const { return GetParam() == Ours::server; }
  Peer& ours() { return is_server() ? server_->peer() : client_->peer(); }
  /// Over the link that came up first.
  Result<Channel> open(std::string service, Headers headers = {}) {
    OpenOptions options;
    options.headers = std::move(headers);
    return ours().open(To::link(link_), std::move(service), std::move(options), kPatience);
  }
  /// Waits for what the Go peer's check has to say.
  bool says(std::string_view words) {
    return go_ ? go_->wait_for_errors(words) : running_->wait_for_errors(words);
  }
  std::string errors() { return go_ ? go_->errors() : running_->errors(); }
  /// The next link that goes down, or comes back.
  Error wait_down() { return down_.get_future().get(); }
  PeerInfo wait_back() { return back_.get_future().get(); }

 private:
  void listen(Peer& peer) {
    PeerEvents events;
    events.connected = [this](const PeerInfo& info) { up_.set_value(info); };
    events.disconnected = [this, is_first = true](const PeerInfo&, const Error& why) mutable {
      if (std::exchange(is_first, false)) down_.set_value(why);
    };
    events.reconnected = [this](const PeerInfo& info) { back_.set_value(info); };
    peer.events(std::move(events));
    serve_checks(peer);
  }
  void came_up(const char* name) {
    const PeerInfo info = up_.get_future().get();
    EXPECT_EQ(info.name, name);
    EXPECT_TRUE(info.native);
    link_ = info.link;
  }
  void start_server(const std::string& check, const std::function<void(PeerOptions&)>& change) {
    server_.emplace(OurServer::Setup{.change = change, .wire = kWire});
    listen(server_->peer());
    Words words = other_client("Go").words(*server_, {});
    words.insert(words.end(), {"--duplex", check});
    go_.emplace(words);
    came_up(kUser);
  }
  void start_client(const std::string& check, const std::function<void(PeerOptions&)>& change) {
    other_.emplace(other_server("Go"));
    other_->words = [check, plain = other_->words](const ServerSetup& setup) {
      Words words = plain(setup);
      words.insert(words.end(), {"--duplex", check});
      return words;
    };
    running_.emplace(*other_);
    ASSERT_TRUE(running_->is_up()) << running_->errors();
    OurClient::Setup setup = running_->client();
    setup.change = change;
    setup.wire = kWire;
    client_.emplace(setup);
    listen(client_->peer());
    SK_ASSERT_OK(client_->connect());
    came_up("go");
  }
  /// Our side of duplexChecks.
  void serve_checks(Peer& peer) {
    if (!is_server()) serve(peer);  // OurServer does anyway
    peer.on_open("headers", [](Incoming incoming) {
      const auto channel = std::make_shared<Channel>(incoming.accept().value());
      for (const auto& [key, value] : channel->info().headers)
        (void)channel->write_frame_some(as_bytes(key + "=" + value));
      (void)channel->close({}, {{"n", "1"}, {"", "bare"}});
    });
    peer.on_open("frames", [](Incoming incoming) {
      give_frames_back(std::make_shared<Channel>(incoming.accept().value()));
    });
    peer.on_open("parent", [](Incoming incoming) {
      const auto parent = std::make_shared<Channel>(incoming.accept().value());
      parent->async_accept([parent](Result<Channel> child) {
        EXPECT_TRUE(child && child->info().service == "child");
        if (child) give_frames_back(std::make_shared<Channel>(std::move(*child)));
      });
    });
  }
  static void give_frames_back(const std::shared_ptr<Channel>& channel) {
    channel->async_read_frame([channel](Result<Bytes> frame) {
      if (!frame) return;
      channel->async_write_frame(std::move(*frame), [channel](Result<void> written) {
        if (written) give_frames_back(channel);
      });
    });
  }

  std::promise<PeerInfo> up_, back_;
  std::promise<Error> down_;
  std::uint64_t link_ = 0;
  std::optional<OtherServer> other_;
  std::optional<RunningServer> running_;
  std::optional<OurServer> server_;
  std::optional<OurClient> client_;
  std::optional<Program> go_;
};

std::string text_of(const Result<Bytes>& frame) {
  return frame ? std::string(as_text(*frame)) : "error: " + frame.error().message();
}

// ---------------------------------------------------------------- we open

TEST_P(GoDuplex, gives_our_bytes_back_and_its_trailers_behind_the_end_of_its_data) {
  start();
  Result<Channel> channel = open("echo", {{"colour", "deep blue"}});
  SK_ASSERT_OK(channel);
  EXPECT_EQ(channel->info().type, "@duplex");
  EXPECT_EQ(echo_problem(*channel, 4 << 20), "");
  const Result<Closed> closed = channel->wait_closed(kPatience);
  SK_ASSERT_OK(closed);
  EXPECT_EQ(closed->trailers, (Headers{{"seen", "all"}, {"", "bare"}}));
}

TEST_P(GoDuplex, gets_our_headers_as_they_are_and_none_that_its_commas_would_split) {
  start();
  const Result<Channel> split = open("headers", {{"list", "a,b"}});
  ASSERT_FALSE(split);
  EXPECT_TRUE(split.error().is(Errc::usage)) << split.error().message();
  const Result<Channel> empty = open("headers", {{"", ""}});
  ASSERT_FALSE(empty);
  EXPECT_TRUE(empty.error().is(Errc::usage)) << empty.error().message();

  Result<Channel> channel = open("headers", {{"colour", "deep blue"}, {"", "bare"}});
  SK_ASSERT_OK(channel);
  EXPECT_EQ(text_of(channel->read_error(kPatience)), "a word beside");
  EXPECT_EQ(text_of(channel->read_frame(kPatience)), "colour=deep blue");
  EXPECT_EQ(text_of(channel->read_frame(kPatience)), "bare");
  EXPECT_TRUE(channel->read_frame(kPatience).error().is(Errc::eof));
  SK_EXPECT_OK(channel->wait_closed(kPatience));  // a CLOSE alone is all that it says
}

TEST_P(GoDuplex, may_send_frames_in_pieces_of_any_size) {
  start();
  Result<Channel> channel = open("frames");
  SK_ASSERT_OK(channel);
  for (const std::string& text : {std::string(), std::string("short"), std::string(3000, 'x')}) {
    SK_ASSERT_OK(channel->write_frame(text, kPatience));
    EXPECT_EQ(text_of(channel->read_frame(kPatience)), text);
  }
}

TEST_P(GoDuplex, that_announces_a_frame_of_4_GiB_loses_its_channel_and_no_other) {
  start();
  Result<Channel> channel = open("huge");
  SK_ASSERT_OK(channel);
  EXPECT_TRUE(channel->read_frame(kPatience).error().is(Errc::frame_too_large));
  Result<Channel> other = open("echo");
  SK_ASSERT_OK(other);
  EXPECT_EQ(echo_problem(*other, 1000), "");
}

TEST_P(GoDuplex, opens_channels_on_the_channels_that_we_opened) {
  start();
  Result<Channel> parent = open("nest");
  SK_ASSERT_OK(parent);
  Result<Channel> child = parent->accept(kPatience);
  SK_ASSERT_OK(child);
  EXPECT_EQ(child->info().service, "child");
  EXPECT_EQ(child->info().headers, (Headers{{"depth", "1"}}));
  EXPECT_EQ(text_of(child->read_frame(kPatience)), "from below");
}

TEST_P(GoDuplex, has_our_many_opens_at_once_none_swapped_or_lost) {
  start();
  std::atomic<int> right{0};
  std::vector<std::thread> openers;
  for (int n = 0; n < 16; ++n)
    openers.emplace_back([&, n] {
      Result<Channel> channel = open("headers", {{"number", std::to_string(n)}});
      if (!channel) return;
      const std::string expected = "number=" + std::to_string(n);
      if (text_of(channel->read_frame(kPatience)) == expected) ++right;
    });
  for (std::thread& opener : openers) opener.join();
  EXPECT_EQ(right, 16);
}

TEST_P(GoDuplex, is_joined_to_a_socket_with_half_close_both_ways) {
  start();
  Result<Channel> channel = open("hold");
  SK_ASSERT_OK(channel);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  std::thread joined([&] { SK_EXPECT_OK(channel->join(ends[1], kPatience)); });
  EXPECT_EQ(::send(ends[0], "half", 4, MSG_NOSIGNAL), 4);
  ::shutdown(ends[0], SHUT_WR);
  std::string got;
  char buffer[256];
  for (ssize_t n = 0; (n = ::recv(ends[0], buffer, sizeof buffer, 0)) > 0;)
    got.append(buffer, static_cast<std::size_t>(n));
  EXPECT_EQ(got, "half and all of it");
  joined.join();
  ::close(ends[0]);
}

// ---------------------------------------------------------------- it opens

TEST_P(GoDuplex, has_its_bytes_back_from_us_and_hears_our_end) {
  start("echo");
  EXPECT_TRUE(says("echo: same true, trailers \n")) << errors();
}

TEST_P(GoDuplex, opens_64_channels_at_once_and_each_is_its_own) {
  start("swap", [](PeerOptions& o) { o.limits.channels.max_unaccepted = 64; });
  EXPECT_TRUE(says("swap: 64 right\n")) << errors();
}

TEST_P(GoDuplex, sends_us_frames_byte_by_byte) {
  start("frames");
  EXPECT_TRUE(says("frames: kept\n")) << errors();
}

TEST_P(GoDuplex, that_sends_us_a_frame_of_4_GiB_has_its_channel_closed) {
  start("huge");
  EXPECT_TRUE(says("huge: closed\n")) << errors();
}

TEST_P(GoDuplex, attaches_a_channel_to_one_that_it_opened) {
  start("nested");
  EXPECT_TRUE(says("nested: from below\n")) << errors();
}

TEST_P(GoDuplex, that_attaches_to_a_channel_which_nobody_has_is_told_so) {
  start("orphan");
  EXPECT_TRUE(says("orphan: refused 2 ")) << errors();
}

TEST_P(GoDuplex, that_asks_for_a_type_which_nobody_knows_is_answered) {
  start("unknown");
  EXPECT_TRUE(says("unknown: refused 3 ")) << errors();
}

TEST_P(GoDuplex, that_asks_for_a_channel_of_our_own_wire_is_answered) {
  start("ours");
  EXPECT_TRUE(says("ours: refused 3 ")) << errors();
}

TEST_P(GoDuplex, that_sends_an_empty_header_is_refused) {
  start("empty");
  EXPECT_TRUE(says("empty: refused 1 a header is empty\n")) << errors();
}

TEST_P(GoDuplex, has_its_last_words_heard_when_it_closes_without_an_end_of_data) {
  start("abrupt");
  Result<Channel> channel = ours().accept(kPatience);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(text_of(channel->read_frame(kPatience)), "last words");
  EXPECT_TRUE(channel->read_frame(kPatience).error().is(Errc::eof));
  const Result<Closed> closed = channel->wait_closed(kPatience);
  SK_ASSERT_OK(closed);
  EXPECT_EQ(closed->trailers, (Headers{{"", "bye"}}));
}

TEST_P(GoDuplex, waits_until_somebody_accepts) {
  std::promise<std::string> came;
  start("later", [&](PeerOptions& o) {
    o.authorize = [&](const OpenRequest& r) {
      came.set_value(r.service);
      return Result<void>();
    };
  });
  EXPECT_EQ(came.get_future().get(), "later");
  Result<Channel> other = open("hold");  // a round trip behind it
  SK_ASSERT_OK(other);
  EXPECT_EQ(errors().find("later:"), std::string::npos) << errors();
  Result<Channel> channel = ours().accept(kPatience);
  SK_ASSERT_OK(channel);
  EXPECT_TRUE(says("later: opened\n")) << errors();
}

TEST_P(GoDuplex, that_opens_more_than_may_wait_is_refused) {
  start("flood");
  EXPECT_TRUE(says("flood: refused 4 ")) << errors();
}

// ---------------------------------------------------------------- links

TEST_P(GoDuplex, that_dies_is_no_longer_listed) {
  start();
  ASSERT_EQ(ours().peers().size(), 1u);
  Result<Channel> channel = open("die");
  (void)wait_down();
  EXPECT_TRUE(ours().peers().empty());
  if (channel) {
    EXPECT_FALSE(channel->wait_closed(kPatience));
  }
}

TEST_P(GoDuplex, that_goes_silent_is_noticed) {
  start("none", [](PeerOptions& o) { o.heartbeat = 50ms; });
  Result<Channel> channel = open("faint");
  const Error why = wait_down();
  EXPECT_TRUE(why.is(Errc::connection_lost)) << why.message();
  EXPECT_TRUE(ours().peers().empty());
}

TEST_P(GoDuplex, is_shut_down_in_the_middle_of_everything_and_twice) {
  start();
  Result<Channel> channel = open("echo");
  SK_ASSERT_OK(channel);
  std::thread acceptor([&] { EXPECT_FALSE(ours().accept(kPatience)); });
  (void)ours().shutdown(100ms);
  (void)ours().shutdown(100ms);
  acceptor.join();
  EXPECT_FALSE(open("echo"));
}

INSTANTIATE_TEST_SUITE_P(Roles, GoDuplex, ::testing::Values(Ours::server, Ours::client),
                         [](const auto& role) {
                           return role.param == Ours::server ? "client" : "server";
                         });  // which the Go peer is

class GoDuplexServer : public GoDuplex {};

TEST_P(GoDuplexServer, that_leaves_is_dialed_again) {
  start("none", [](PeerOptions& o) { o.reconnect.on = true; });
  (void)open("leave");
  (void)wait_down();
  EXPECT_EQ(wait_back().name, "go");
}

TEST_P(GoDuplexServer, with_another_host_key_is_refused) {
  RunningServer server(other_server("Go"));
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient::Setup setup = server.client();
  setup.host_key_fingerprint = new_key().public_key().fingerprint();
  setup.wire = kWire;
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
}

INSTANTIATE_TEST_SUITE_P(Roles, GoDuplexServer, ::testing::Values(Ours::client));

TEST(GoDuplexClient, cannot_take_a_name_that_its_key_does_not_have) {
  if (const std::string why = missing(other_client("Go").needs); !why.empty()) GTEST_SKIP() << why;
  const Folder folder;
  OurServer server({.change =
                        [&](PeerOptions& o) {
                          const std::string key = o.trust.authorized_keys.at(0).text();
                          o.trust.authorized_keys.clear();
                          o.trust.authorized_keys_file =
                              folder.write("keys", "name=\"somebody\" " + key + "\n");
                        },
                    .wire = kWire});
  Words words = other_client("Go").words(server, {});
  words.insert(words.end(), {"--duplex", "none"});
  Program go(words);
  EXPECT_EQ(go.wait(), 255) << go.errors();
  EXPECT_TRUE(server.peer().peers().empty());
}

}  // namespace
}  // namespace streamkit::testing
