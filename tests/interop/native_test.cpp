// PROTOCOL.md's own channels against another implementation of them: peers/go, which was written
// from PROTOCOL.md around golang.org/x/crypto/ssh. Both sides open, in both roles.
#include "other_client.hpp"
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(20);  // at another program

/// Says which cell this is, and skips it where the Go peer was not built.
#define SK_BEGIN(role, name)                                                     \
  cell("Go", role, "native", name);                                              \
  if (const std::string why = missing(other_client("Go").needs); !why.empty()) { \
    RecordProperty("missing", why);                                              \
    GTEST_SKIP() << why;                                                         \
  }

/// An exchange with the Go peer's service: our bytes come back behind those that rode along, then
/// trailers and the status.
void expect_go_echo(Result<Channel> channel) {
  SK_ASSERT_OK(channel);
  Bytes expected;
  append(expected, as_bytes("ride along"));
  append(expected, Pattern::at(0, 1 << 20));
  std::thread writer([&] {
    SK_EXPECT_OK(channel->write(ByteView(expected).subspan(10), kPatience));
    SK_EXPECT_OK(channel->close_write());
  });
  const Result<std::string> all = read_all(*channel);
  writer.join();
  SK_ASSERT_OK(all);
  EXPECT_TRUE(*all == as_text(expected)) << all->size() << " bytes";
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(static_cast<int>(end->status.code), 7);
  EXPECT_EQ(end->status.reason, "because");
  EXPECT_EQ(end->status.message, "the tester wants it");
  EXPECT_EQ(end->trailers.get_or("seen", ""), "all");
}

OpenOptions riding_along() {
  OpenOptions options;
  const ByteView first = as_bytes("ride along");
  options.first.assign(first.begin(), first.end());
  options.headers = {{"colour", "deep blue"}};
  return options;
}

Words go_client(const OurServer& server, const std::string& service) {
  Words words = other_client("Go").words(server, {});
  words.insert(words.end(), {"--native", service});
  return words;
}

/// The Go server, as it serves and opens channels of our kind.
const OtherServer& go_server() {
  static const OtherServer server = [] {
    OtherServer out = other_server("Go");
    out.words = [plain = out.words](const ServerSetup& setup) {
      Words words = plain(setup);
      words.insert(words.end(), {"--native", "serve"});
      return words;
    };
    return out;
  }();
  return server;
}

TEST(GoClientNative, opens_our_service_and_hears_its_status) {
  SK_BEGIN("client", "opens");
  const OurServer server;
  Program go(go_client(server, "echo"));
  EXPECT_EQ(go.echo_problem(8 << 20), "");
  EXPECT_EQ(go.wait(), 7) << go.errors();
}

TEST(GoClientNative, is_told_that_there_is_no_such_service) {
  SK_BEGIN("client", "is refused");
  OurServer server;
  server.peer().on_open(
      "*", [](Incoming incoming) { incoming.refuse(Code::not_found, "no service named nothing"); });
  Program go(go_client(server, "nothing"));
  EXPECT_EQ(go.talk(), "");
  EXPECT_EQ(go.wait(), 255);
  EXPECT_NE(go.errors().find("not_found: no service named nothing"), std::string::npos)
      << go.errors();
}

TEST(GoClientNative, takes_the_channels_that_we_open_at_it) {
  SK_BEGIN("client", "accepts");
  OurServer server;
  std::promise<PeerInfo> came;
  PeerEvents events;
  events.connected = [&](const PeerInfo& info) { came.set_value(info); };
  server.peer().events(std::move(events));
  Program go(go_client(server, "serve"));
  std::future<PeerInfo> coming = came.get_future();
  while (go.is_running() && coming.wait_for(kBetweenLooks) != std::future_status::ready) {
  }
  ASSERT_EQ(coming.wait_for(kBetweenLooks), std::future_status::ready) << go.errors();
  const PeerInfo info = coming.get();
  EXPECT_TRUE(info.native);
  EXPECT_EQ(info.name, kUser);
  expect_go_echo(server.peer().open(To::link(info.link), "go-echo", riding_along(), kPatience));
  const Result<Channel> none =
      server.peer().open(To::link(info.link), "nothing", OpenOptions(), kPatience);
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(Errc::no_such_service)) << none.error().message();
}

TEST(GoServerNative, takes_the_channels_that_we_open_at_it) {
  SK_BEGIN("server", "accepts");
  RunningServer server(go_server());
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient client(server.client());
  const Result<PeerInfo> info = client.connect();
  SK_ASSERT_OK(info);
  EXPECT_TRUE(info->native);
  expect_go_echo(client.peer().open(To::link(info->link), "go-echo", riding_along(), kPatience));
}

TEST(GoServerNative, opens_our_service_and_is_refused_a_channel_of_a_type_that_nobody_knows) {
  SK_BEGIN("server", "opens");
  OtherServer opening = go_server();
  opening.environment = [](const ServerSetup&) { return Words{"STREAMKIT_GO_OPENS=echo"}; };
  RunningServer server(opening);
  ASSERT_TRUE(server.is_up()) << server.errors();
  OurClient client(server.client());
  serve(client.peer());
  SK_ASSERT_OK(client.connect());
  EXPECT_TRUE(server.wait_for_errors("opened echo: same true, code 7, error <nil>\n"))
      << server.errors();
  EXPECT_TRUE(server.wait_for_errors("nonsense: refused 3\n")) << server.errors();
}

}  // namespace
}  // namespace streamkit::testing
