// The real `ssh` as a tunnel client, with nothing of ours on its side.
#include "stock_ssh.hpp"

#include "names.hpp"
#include "relay_world.hpp"

#include <fstream>

namespace streamkit::tunnel::testing {
namespace {

using ::testing::HasSubstr;

class StockSshTest : public RelayWorld {
 protected:
  void SetUp() override {
    if (Process({"ssh", "-V"}).wait() != 0) GTEST_SKIP() << "there is no ssh here";
    key_file_ = folder_ / "key";
    const auto text = ann_.to_text();
    ASSERT_TRUE(text);
    std::ofstream(key_file_, std::ios::binary) << as_text(text->view());
    std::filesystem::permissions(
        key_file_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    start_relay();
  }

  std::vector<std::string> ssh(std::vector<std::string> more) const {
    std::vector<std::string> words = {"ssh", "-F",     "none", "-p", std::to_string(ssh_port()),
                                      "-i",  key_file_};
    for (const std::string& option :
         {std::string("IdentitiesOnly=yes"), std::string("IdentityAgent=none"),
          std::string("BatchMode=yes"), std::string("StrictHostKeyChecking=accept-new"),
          "UserKnownHostsFile=" + (folder_ / "known_hosts"),
          std::string("GlobalKnownHostsFile=/dev/null"), std::string("LogLevel=INFO")}) {
      words.insert(words.end(), {"-o", option});
    }
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("127.0.0.1");
    return words;
  }
  std::string to(std::uint16_t port) const { return "127.0.0.1:" + std::to_string(port); }

  Scratch folder_;
  std::string key_file_;
};

TEST_F(StockSshTest, gets_the_name_that_belongs_to_its_key_for_port_80) {
  Origin origin("by ssh");
  Process ssh_process(ssh({"-N", "-R", "80:" + to(origin.port())}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed")) << ssh_process.errors();
  const std::string name = *derived_name(ann_.public_key());
  EXPECT_TRUE(relay_diary_.wait_for("claimed http://" + name + ".localhost"));
  const auto answer = visit(name, "/x");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr("by ssh"));
}

TEST_F(StockSshTest, gets_the_name_it_asks_for) {
  Origin origin("by ssh");
  Process ssh_process(ssh({"-N", "-R", "web:80:" + to(origin.port())}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed http://web.localhost")) << ssh_process.errors();
  EXPECT_EQ(visit("web").status, 200);
  EXPECT_THAT(visit("web").body, HasSubstr("Host: web.localhost"))
      << "a stock client has no say about Host";
}

TEST_F(StockSshTest, gets_a_name_by_a_path_too) {
  Origin origin("by path");
  Process ssh_process(ssh({"-N", "-R", "/web:" + to(origin.port())}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed http://web.localhost")) << ssh_process.errors();
  EXPECT_EQ(visit("web").status, 200);
}

TEST_F(StockSshTest, sees_its_addresses_in_its_session_and_why_one_was_refused) {
  Origin origin("text");
  Process ssh_process(
      ssh({"-T", "-R", "web:80:" + to(origin.port()), "-R", "www:80:" + to(origin.port())}));
  EXPECT_TRUE(ssh_process.wait_for_output("http://web.localhost:" + std::to_string(http_port()) +
                                          " -> your side\r\n"))
      << ssh_process.errors();
  EXPECT_TRUE(ssh_process.wait_for_output("refused: \"www\" is reserved")) << ssh_process.output();
  EXPECT_TRUE(ssh_process.wait_for_errors("remote port forwarding failed"));
  EXPECT_EQ(visit("web").status, 200) << "the session stays although the client has no input";
}

TEST_F(StockSshTest, gets_a_tcp_port_and_keeps_half_close) {
  const std::string down(1 << 20, 'd');
  PlainServer server([&](PlainSocket socket) {
    const std::string all = socket.receive_all();
    socket.send(std::to_string(all.size()) + "\n" + down);
  });
  Process ssh_process(ssh({"-N", "-R", "0:" + to(server.port())}));
  ASSERT_TRUE(ssh_process.wait_for_errors("Allocated port ")) << ssh_process.errors();
  ASSERT_TRUE(relay_diary_.wait_for("claimed tcp://localhost:"));
  const std::uint16_t port = relay_->tunnels().front().port;
  EXPECT_TRUE(ssh_process.wait_for_errors("Allocated port " + std::to_string(port)));
  PlainSocket visitor = PlainSocket::connect(port);
  ASSERT_TRUE(visitor.send(std::string(1 << 20, 'u')));
  visitor.shutdown_write();
  EXPECT_TRUE(visitor.receive_all() == "1048576\n" + down);
}

TEST_F(StockSshTest, gets_the_tcp_port_it_asks_for) {
  Origin origin("tcp");
  const std::uint16_t port = free_port();
  Process ssh_process(ssh({"-N", "-R", std::to_string(port) + ":" + to(origin.port())}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed tcp://localhost:" + std::to_string(port)))
      << ssh_process.errors();
  EXPECT_THAT(http_get(port, "any").body, HasSubstr("tcp"));
}

TEST_F(StockSshTest, leads_to_502_while_nothing_listens_on_its_side) {
  Process ssh_process(ssh({"-N", "-R", "web:80:" + to(free_port())}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed")) << ssh_process.errors();
  EXPECT_EQ(visit("web").status, 502);
}

TEST_F(StockSshTest, takes_over_from_our_client_with_the_same_key_and_back) {
  Origin ours("ours");
  Origin theirs("theirs");
  Diary diary;
  auto options = tunnel_options(ann_, Kind::http, ours.port());
  options.name = "web";
  {
    const Tunnel tunnel = start_tunnel(options, diary);
    Process ssh_process(ssh({"-T", "-R", "web:80:" + to(theirs.port())}));
    ASSERT_TRUE(diary.wait_for("closed refused another client with the same key"))
        << ssh_process.errors();
    EXPECT_THAT(visit("web").body, HasSubstr("theirs"));
    const Tunnel again = start_tunnel(options, diary);
    EXPECT_TRUE(ssh_process.wait_for_output("took over http://web.localhost"));
    EXPECT_THAT(visit("web").body, HasSubstr("ours"));
  }
}

TEST_F(StockSshTest, is_refused_a_name_of_another_key) {
  Diary diary;
  auto options = tunnel_options(bob_, Kind::http, 1);
  options.name = "web";
  const Tunnel tunnel = start_tunnel(options, diary);
  Process ssh_process(ssh({"-N", "-o", "ExitOnForwardFailure=yes", "-R", "web:80:" + to(1)}));
  EXPECT_EQ(ssh_process.wait(), 255) << ssh_process.errors();
  EXPECT_TRUE(relay_diary_.wait_for("refused name \"web\" is held by key " +
                                    bob_.public_key().fingerprint()));
}

TEST_F(StockSshTest, frees_its_name_when_it_says_goodbye) {
  Process ssh_process(ssh({"-N", "-R", "web:80:" + to(1)}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed")) << ssh_process.errors();
  ssh_process.signal(SIGTERM);
  EXPECT_TRUE(ssh_process.wait());
  EXPECT_TRUE(relay_diary_.wait_for("released")) << relay_diary_.all();
}

TEST_F(StockSshTest, that_is_killed_leaves_its_name_waiting_for_its_key) {
  Process ssh_process(ssh({"-N", "-R", "web:80:" + to(1)}));
  ASSERT_TRUE(relay_diary_.wait_for("claimed")) << ssh_process.errors();
  ssh_process.signal(SIGKILL);
  EXPECT_TRUE(relay_diary_.wait_for("lost")) << relay_diary_.all();
  EXPECT_EQ(visit("web").status, 503);
}

// -------------------------------------------------------------------------------------- meanings

ForwardRequest request(std::string bind, std::uint32_t port, bool is_path = false) {
  ForwardRequest asked;
  asked.bind = std::move(bind);
  asked.port = port;
  asked.is_path = is_path;
  return asked;
}

TEST(ForwardMeaning, of_ports_80_and_443_without_a_name_is_the_name_of_the_key) {
  for (const char* bind : {"", "localhost", "*", "0.0.0.0", "127.0.0.1", "::"}) {
    for (const std::uint32_t port : {80U, 443U}) {
      const auto meaning = meaning_of(request(bind, port), "localhost");
      ASSERT_TRUE(meaning) << bind;
      EXPECT_EQ(meaning->kind, Kind::http);
      EXPECT_EQ(meaning->name, "");
    }
  }
}

TEST(ForwardMeaning, of_a_name_is_that_name) {
  EXPECT_EQ(meaning_of(request("web", 80), "localhost")->name, "web");
  EXPECT_EQ(meaning_of(request("web", 0), "localhost")->name, "web");
  EXPECT_EQ(meaning_of(request("web.t.example.com", 80), "t.example.com")->name, "web");
  EXPECT_EQ(meaning_of(request("/web", 0, true), "localhost")->name, "web");
}

TEST(ForwardMeaning, of_another_port_is_that_tcp_port) {
  EXPECT_EQ(meaning_of(request("", 5432), "localhost")->kind, Kind::tcp);
  EXPECT_EQ(meaning_of(request("localhost", 5432), "localhost")->port, 5432);
  EXPECT_EQ(meaning_of(request("", 0), "localhost")->port, 0);
}

TEST(ForwardMeaning, c24_is_refused_for_what_is_no_name) {
  EXPECT_FALSE(meaning_of(request("192.0.2.1", 80), "localhost"));
  EXPECT_FALSE(meaning_of(request("a.b", 80), "localhost"));
  EXPECT_FALSE(meaning_of(request("www", 80), "localhost"));
  EXPECT_FALSE(meaning_of(request("web", 0, true), "localhost"));
  EXPECT_FALSE(meaning_of(request("/a/b", 0, true), "localhost"));
  EXPECT_FALSE(meaning_of(request("", 65536), "localhost"));
}

}  // namespace
}  // namespace streamkit::tunnel::testing
