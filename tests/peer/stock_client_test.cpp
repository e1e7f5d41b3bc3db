// What an authenticated client that keeps to no rules can reach of a peer, and that it hurts nobody
// but its own link.
#include "support/stock_client.hpp"

#include "support/peer_pair.hpp"

namespace streamkit::testing {
namespace {

/// A peer with the service "echo", a good link beside the bad one, and sockets and files nearby.
struct Reachable {
  crypto::PrivateKey server_key = new_key(), stock_key = new_key(), good_key = new_key();
  TemporaryFolder folder;
  std::atomic<int> visits{0};
  PlainServer neighbour{[this](PlainSocket) { ++visits; }};
  std::optional<Peer> server, good;
  Endpoint endpoint{"inproc://none"};
  Awaited<std::string> asked;

  Reachable() {
    PeerOptions options = options_for("s", server_key, stock_key.public_key());
    options.trust.authorized_keys.push_back(good_key.public_key());
    options.authorize = [asked = asked](const OpenRequest& r) -> Result<void> {
      if (r.service == "echo") return {};
      asked.put(r.service);
      return Error(Errc::refused, "there is only echo");
    };
    server.emplace(Peer::make(options).value());
    server->on_open("echo", [](Incoming incoming) {
      Result<Channel> accepted = incoming.accept();
      if (!accepted) return;
      const auto channel = std::make_shared<Channel>(std::move(*accepted));
      channel->async_read_frame([channel](Result<Bytes> got) {
        if (!got) return;
        channel->async_write_frame(std::move(*got), [channel](Result<void>) {
          channel->async_wait_closed([channel](Result<Closed>) {});
        });
      });
    });
    endpoint = server->bind("tcp://127.0.0.1:0").value();
    good.emplace(Peer::make(options_for("good", good_key, server_key.public_key())).value());
    good->connect(endpoint, kPatience).value();
  }
  StockClient stock() { return StockClient(endpoint.port(), stock_key); }
  /// The other link works as if nothing had been.
  void expect_good_link() {
    Result<Channel> channel = good->open("s", "echo", {}, kPatience);
    SK_ASSERT_OK(channel);
    SK_ASSERT_OK(channel->write_frame("still here", kPatience));
    const Result<Bytes> back = channel->read_frame(kPatience);
    SK_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "still here");
  }
};

TEST(StockClients, c24_forwards_reach_services_and_no_socket_or_file) {
  Reachable r;
  StockClient stock = r.stock();
  ASSERT_TRUE(stock.is_live());
  const auto direct = [&](std::string_view host, std::uint32_t port) {
    return stock.answer(
        Message(open_message("direct-tcpip")).str(host).u32(port).str("127.0.0.1").u32(4),
        {91, 92});
  };
  EXPECT_EQ(direct("127.0.0.1", r.neighbour.port()), 92);
  EXPECT_EQ(r.asked.next(),
            "127.0.0.1");  // a service of that name was looked for, and nothing else
  EXPECT_EQ(direct("localhost", r.neighbour.port()), 92);
  EXPECT_EQ(r.asked.next(), "localhost");
  EXPECT_EQ(direct("echo", 65536 + 22), 92);  // not wrapped
  EXPECT_EQ(direct("", 22), 92);
  const auto local = [&](std::string_view path) {
    return stock.answer(
        Message(open_message("direct-streamlocal@openssh.com")).str(path).str("").u32(0), {91, 92});
  };
  EXPECT_EQ(local("/etc/passwd"), 92);
  EXPECT_EQ(r.asked.next(), "etc/passwd");
  EXPECT_EQ(local(r.folder.path() + "/socket"), 92);
  EXPECT_TRUE(r.asked.next());
  EXPECT_EQ(local("/"), 92);
  EXPECT_TRUE(r.asked.is_empty());
  EXPECT_EQ(
      stock.answer(Message(open_message("direct-tcpip")).str("echo").u32(65535).str("").u32(0),
                   {91, 92}),
      91);
  EXPECT_EQ(r.visits, 0);
  r.expect_good_link();
}

TEST(StockClients, c24_listening_is_refused_where_nobody_grants_it) {
  Reachable r;
  StockClient stock = r.stock();
  for (const std::uint32_t port : {0u, 22u, 8080u, 65535u, 65536u + 22, 0xffffffffu})
    EXPECT_EQ(
        stock.answer(Message(80).str("tcpip-forward").u8(1).str("127.0.0.1").u32(port), {81, 82}),
        82);
  EXPECT_EQ(
      stock.answer(Message(80).str("streamlocal-forward@openssh.com").u8(1).str(r.folder.file("s")),
                   {81, 82}),
      82);
  EXPECT_FALSE(std::filesystem::exists(r.folder.file("s")));
  std::vector<std::uint32_t> granted;
  r.server->on_forward([&](const ForwardRequest& f) -> Result<std::uint32_t> {
    return granted.push_back(f.port), f.port;
  });
  EXPECT_EQ(stock.answer(Message(80).str("tcpip-forward").u8(1).str("").u32(65536 + 22), {81, 82}),
            82);
  EXPECT_EQ(
      stock.answer(Message(80).str("tcpip-forward").u8(1).str("").u32(22).str("more"), {81, 82}),
      82);
  EXPECT_EQ(stock.answer(Message(80).str("tcpip-forward").u8(1).str("").u32(22), {81, 82}), 81);
  EXPECT_EQ(granted, std::vector<std::uint32_t>{22});
}

/// A session in which a request is refused (100), and which then gets what there is.
void expect_refused_in_session(const Message& request) {
  Reachable r;
  StockClient stock = r.stock();
  ASSERT_EQ(stock.answer(open_message("session"), {91, 92}), 91);
  EXPECT_EQ(stock.answer(request, {99, 100}), 100);
  EXPECT_EQ(stock.answer(Message(98).u32(0).str("exec").u8(1).str("echo"), {99, 100}), 99);
  r.expect_good_link();
}

/// A channel of this type is refused, and sessions are not.
void expect_refused_type(std::string_view type) {
  Reachable r;
  StockClient stock = r.stock();
  EXPECT_EQ(stock.answer(open_message(type, 1), {91, 92}), 92);
  EXPECT_EQ(stock.answer(open_message("session", 2), {91, 92}), 91);
  r.expect_good_link();
}

TEST(StockClients, c25_there_is_no_x11) {
  expect_refused_in_session(
      Message(98).u32(0).str("x11-req").u8(1).u8(0).str("MIT-MAGIC-COOKIE-1").str("00").u32(0));
  expect_refused_type("x11");
}

TEST(StockClients, c25_no_agent_is_forwarded) {
  expect_refused_in_session(Message(98).u32(0).str("auth-agent-req@openssh.com").u8(1));
  expect_refused_type("auth-agent@openssh.com");
}

TEST(StockClients, c25_there_is_no_tunnel_device) {
  expect_refused_type("tun@openssh.com");
}

TEST(StockClients, c25_there_is_no_terminal) {
  expect_refused_in_session(
      Message(98).u32(0).str("pty-req").u8(1).str("xterm").u32(80).u32(24).u32(0).u32(0).str(""));
  expect_refused_in_session(
      Message(98).u32(0).str("window-change").u8(1).u32(80).u32(24).u32(0).u32(0));
  expect_refused_in_session(Message(98).u32(0).str("signal").u8(1).str("KILL"));
}

TEST(StockClients, c24_a_connection_from_where_nothing_was_asked_for_is_refused) {
  expect_refused_type("forwarded-tcpip");
  expect_refused_type("forwarded-streamlocal@openssh.com");
}

TEST(StockClients, c23_no_command_is_run_and_no_shell_asked) {
  Reachable r;
  StockClient stock = r.stock();
  const std::string mark = r.folder.file("mark");
  std::uint32_t id = 0;
  for (const std::string& command :
       {"touch " + mark, "$(touch " + mark + ")", "`touch " + mark + "`", "echo; touch " + mark,
        "-oProxyCommand=touch " + mark, "sh -c 'touch " + mark + "'"}) {
    ASSERT_EQ(stock.answer(open_message("session", id), {91}), 91);
    const int got = stock.answer(Message(98).u32(id).str("exec").u8(1).str(command), {99, 100});
    EXPECT_EQ(got, 100) << command;
    ++id;
  }
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(StockClients, c8_c10_c12_a_violation_ends_the_link_with_reason_2_and_no_other) {
  const std::pair<const char*, std::function<void(StockClient&)>> violations[] = {
      {"an unknown channel", [](StockClient& s) { s.send(Message(94).u32(77).str("x")); }},
      {"a window over 2^32",
       [](StockClient& s) {
         for (int i = 0; i < 2; ++i) s.send(Message(93).u32(0).u32(0xffffffff));
       }},
      {"data over the window",
       [](StockClient& s) {
         for (std::uint32_t left = channel::Limits().initial_window; left > 0; left -= 32768)
           s.send(Message(94).u32(0).str(std::string(32768, 'x')));
         s.send(Message(94).u32(0).str("x"));
       }},
      {"data over the packet size",
       [](StockClient& s) { s.send(Message(94).u32(0).str(std::string(32769, 'x'))); }},
      {"data after an end",
       [](StockClient& s) {
         s.send(Message(96).u32(0));
         s.send(Message(94).u32(0).str("x"));
       }},
      {"two closes",
       [](StockClient& s) {
         s.send(Message(97).u32(0));
         s.send(Message(97).u32(0));
       }},
      {"half a message", [](StockClient& s) { s.send(Message(94).u32(0).u32(5)); }},
  };
  Reachable r;
  for (const auto& [words, violate] : violations) {
    SCOPED_TRACE(words);
    StockClient stock = r.stock();
    ASSERT_EQ(stock.answer(open_message("session"), {91, 92}), 91);
    violate(stock);
    while (stock.next()) {
    }
    EXPECT_FALSE(stock.is_live());
    EXPECT_EQ(stock.reason(), 2u);
    r.expect_good_link();
  }
}

TEST(StockClients, c9_one_channel_more_than_there_may_be_is_refused_and_the_link_lives) {
  Reachable r;
  StockClient stock = r.stock();
  for (std::uint32_t i = 0; i < 1024; ++i)
    ASSERT_EQ(stock.answer(open_message("session", i), {91, 92}), 91) << i;
  stock.send(open_message("session", 1024));
  const auto refusal = stock.next({91, 92});
  ASSERT_TRUE(refusal);
  wire::Reader in(*refusal);
  EXPECT_EQ(in.u8(), 92);
  EXPECT_EQ(in.u32(), 1024u);
  EXPECT_EQ(in.u32(), 4u);
  EXPECT_EQ(stock.answer(Message(80).str("keepalive@openssh.com").u8(1), {81, 82}), 81);
  r.expect_good_link();
}

}  // namespace
}  // namespace streamkit::testing
