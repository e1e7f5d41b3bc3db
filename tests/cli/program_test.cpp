// The program at work: what it prints, how it ends, and that a tunnel survives its relay.
#include "program.hpp"

#include <streamkit/crypto/key.hpp>

#include <fstream>

namespace streamkit::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ProgramTest, prints_the_url_on_stdout_and_nothing_else_there) {
  const auto relay = start_relay();
  Origin origin("hello");
  const auto tunnel =
      run({"http", std::to_string(origin.port()), "--name", "shop", "--relay", relay_at_});
  EXPECT_EQ(tunnel->line(0), url_of("shop")) << tunnel->errors();
  EXPECT_TRUE(tunnel->wait_for_errors("online")) << tunnel->errors();
  EXPECT_THAT(tunnel->errors(), HasSubstr("first contact: key " + relay_key_));
  EXPECT_EQ(http_get(http_port(), "shop.localhost").status, 200);
  tunnel->signal(SIGINT);
  EXPECT_EQ(tunnel->wait(), 0);
  EXPECT_EQ(tunnel->output(), url_of("shop") + "\n");
}

TEST_F(ProgramTest, says_nothing_but_the_url_when_quiet) {
  const auto relay = start_relay();
  const auto tunnel = run({"http", "1", "--name", "shop", "--relay", relay_at_, "-q"});
  EXPECT_EQ(tunnel->line(0), url_of("shop")) << tunnel->errors();
  tunnel->signal(SIGTERM);
  EXPECT_EQ(tunnel->wait(), 0);
  EXPECT_EQ(tunnel->output(), url_of("shop") + "\n");
  EXPECT_EQ(tunnel->errors(), "");
}

TEST_F(ProgramTest, tells_events_as_json) {
  const auto relay = start_relay();
  EXPECT_THAT(event(*relay, 0)["url"].get<std::string>(), StartsWith("http://*.localhost:"));
  Origin origin("hello");
  const auto tunnel = run(
      {"http", std::to_string(origin.port()), "--name", "shop", "--relay", relay_at_, "--json"});
  const Json online = event(*tunnel, 0);
  EXPECT_EQ(online["event"], "online") << tunnel->errors();
  EXPECT_EQ(online["url"], url_of("shop"));
  EXPECT_EQ(online["name"], "shop");
  EXPECT_EQ(online["relay_key"], relay_key_);
  EXPECT_EQ(online["first_contact"], true);
  EXPECT_EQ(online["again"], false);

  EXPECT_EQ(http_get(http_port(), "shop.localhost", "/p?q").status, 200);
  EXPECT_EQ(event(*tunnel, 1)["event"], "visit");
  EXPECT_EQ(event(*tunnel, 2)["event"], "visit_end");
  const Json claimed = event(*relay, 1);
  EXPECT_EQ(claimed["event"], "claimed");
  EXPECT_EQ(claimed["kind"], "http");
  EXPECT_EQ(claimed["target"], "127.0.0.1:" + std::to_string(origin.port()));
  const Json request = event(*relay, 2);
  EXPECT_EQ(request["event"], "request");
  EXPECT_EQ(request["method"], "GET");
  EXPECT_EQ(request["path"], "/p");
  EXPECT_EQ(request["status"], 200);

  tunnel->signal(SIGINT);
  EXPECT_EQ(tunnel->wait(), 0);
  EXPECT_EQ(event(*tunnel, 3)["event"], "stopping");
  const Json closed = event(*tunnel, 4);
  EXPECT_EQ(closed["event"], "closed");
  EXPECT_EQ(closed["reason"], "stopped");
  EXPECT_EQ(closed["exit_code"], 0);
  EXPECT_EQ(event(*relay, 3)["event"], "released");
  EXPECT_EQ(event(*relay, 3)["reason"], "closed");
  EXPECT_EQ(tunnel->errors(), "");
}

TEST_F(ProgramTest, brings_a_tcp_service_to_a_port) {
  const auto relay = start_relay();
  PlainServer server([](PlainSocket socket) { socket.send("got " + socket.receive_all()); });
  const auto tunnel = run({"tcp", std::to_string(server.port()), "--relay", relay_at_, "--json"});
  const Json online = event(*tunnel, 0);
  ASSERT_EQ(online["event"], "online") << tunnel->errors();
  const auto port = online["port"].get<std::uint16_t>();
  EXPECT_EQ(online["url"], "tcp://localhost:" + std::to_string(port));
  PlainSocket visitor = PlainSocket::connect(port);
  visitor.send("abc");
  visitor.shutdown_write();
  EXPECT_EQ(visitor.receive_all(), "got abc");
}

TEST_F(ProgramTest, shows_what_a_new_relay_needs_to_be_known_by) {
  const auto relay = run({"relay", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"});
  ASSERT_TRUE(relay->wait_for_errors("or       ssh -p ")) << relay->errors();
  EXPECT_THAT(relay->errors(), HasSubstr("key SHA256:"));
  EXPECT_THAT(relay->errors(), HasSubstr("relay_ed25519"));
  EXPECT_THAT(relay->errors(), HasSubstr("this user's key"));
  relay->signal(SIGINT);
  EXPECT_EQ(relay->wait(), 0);
  EXPECT_EQ(relay->output(), "");
}

TEST_F(ProgramTest, keeps_its_keys_private) {
  const auto relay = start_relay();
  const auto tunnel = run({"http", "1", "--relay", relay_at_, "-q"});
  ASSERT_TRUE(tunnel->line(0)) << tunnel->errors();
  using std::filesystem::perms;
  for (const char* name : {"relay_ed25519", "id_ed25519"}) {
    const auto status =
        std::filesystem::status(folder_ / (std::string("config/streamkit/") + name));
    EXPECT_EQ(status.permissions(), perms::owner_read | perms::owner_write) << name;
  }
}

// -------------------------------------------------------------------------------------- exit codes

TEST_F(ProgramTest, exits_1_when_an_address_is_in_use) {
  const auto relay = start_relay();
  const auto second = run({"relay", "--listen", relay_at_, "--http", "127.0.0.1:0"});
  EXPECT_EQ(second->wait(), 1);
  EXPECT_THAT(second->errors(), HasSubstr(relay_at_));
}

TEST_F(ProgramTest, exits_1_when_the_authorized_keys_cannot_be_read) {
  const auto relay = run({"relay", "--authorized-keys", folder_ / "missing"});
  EXPECT_EQ(relay->wait(), 1);
  EXPECT_THAT(relay->errors(), HasSubstr("missing"));
}

TEST_F(ProgramTest, exits_3_when_no_relay_is_there) {
  const std::string nowhere = "127.0.0.1:" + std::to_string(streamkit::testing::free_port());
  const auto tunnel = run({"http", "3000", "--relay", nowhere});
  EXPECT_EQ(tunnel->wait(), 3) << tunnel->errors();
  EXPECT_EQ(tunnel->output(), "");
  EXPECT_THAT(tunnel->errors(), HasSubstr("streamkit relay"));
}

TEST_F(ProgramTest, waits_for_the_relay_when_asked_to) {
  const std::string later = "127.0.0.1:" + std::to_string(streamkit::testing::free_port());
  const auto tunnel = run({"http", "1", "--name", "shop", "--relay", later, "--wait"});
  ASSERT_TRUE(tunnel->wait_for_errors("waiting")) << tunnel->errors();
  relay_at_ = later;
  const auto relay = start_relay();
  EXPECT_EQ(tunnel->line(0), url_of("shop")) << tunnel->errors();
}

TEST_F(ProgramTest, exits_4_when_the_relay_does_not_know_the_key_and_shows_the_line_to_add) {
  const auto relay = start_relay();
  const auto stranger = run({"http", "3000", "--relay", relay_at_}, "elsewhere");
  EXPECT_EQ(stranger->wait(), 4) << stranger->errors();
  EXPECT_THAT(stranger->errors(), HasSubstr("ssh-ed25519 "));

  // The line as shown, put where the relay looks, lets it in without a restart.
  const std::string said = stranger->errors();
  const std::string line = said.substr(said.find("ssh-ed25519 "));
  std::ofstream(folder_ / "config/streamkit/authorized_keys") << line;
  const auto friendly = run({"http", "3000", "--name", "shop", "--relay", relay_at_}, "elsewhere");
  EXPECT_EQ(friendly->line(0), url_of("shop")) << friendly->errors();
}

TEST_F(ProgramTest, exits_5_when_another_key_holds_the_name) {
  const auto key = crypto::PrivateKey::generate();
  const auto text = key->to_text();
  std::ofstream(folder_ / "other", std::ios::binary) << as_text(text->view());
  std::filesystem::permissions(
      folder_ / "other", std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto relay = start_relay();
  std::ofstream(folder_ / "config/streamkit/authorized_keys") << key->public_key().text() << "\n";
  const auto holder =
      run({"http", "1", "--name", "shop", "--relay", relay_at_, "--key", folder_ / "other", "-q"});
  ASSERT_TRUE(holder->line(0)) << holder->errors();
  const auto second = run({"http", "2", "--name", "shop", "--relay", relay_at_});
  EXPECT_EQ(second->wait(), 5) << second->errors();
  EXPECT_THAT(second->errors(), HasSubstr(key->public_key().fingerprint()));
  EXPECT_EQ(second->output(), "");
}

TEST_F(ProgramTest, exits_5_when_another_client_with_the_same_key_takes_over) {
  const auto relay = start_relay();
  const auto first = run({"http", "1", "--name", "shop", "--relay", relay_at_, "-q"});
  ASSERT_TRUE(first->line(0)) << first->errors();
  const auto second = run({"http", "2", "--name", "shop", "--relay", relay_at_, "-q"});
  ASSERT_TRUE(second->line(0)) << second->errors();
  EXPECT_EQ(first->wait(), 5);
  EXPECT_THAT(first->errors(), HasSubstr("took over"));
}

TEST_F(ProgramTest, exits_6_when_the_relay_has_another_key_than_the_pinned_one) {
  const auto relay = start_relay();
  const auto tunnel = run({"http", "1", "--relay", relay_at_, "--relay-key",
                           crypto::PrivateKey::generate()->public_key().fingerprint()});
  EXPECT_EQ(tunnel->wait(), 6) << tunnel->errors();
}

TEST_F(ProgramTest, exits_6_when_the_relay_has_another_key_than_before) {
  auto relay = start_relay({"--key", folder_ / "first_key"});
  {
    const auto tunnel = run({"http", "1", "--relay", relay_at_, "-q"});
    ASSERT_TRUE(tunnel->line(0)) << tunnel->errors();
  }
  relay->signal(SIGKILL);
  relay->wait();
  relay = start_relay({"--key", folder_ / "second_key"});
  const auto tunnel = run({"http", "1", "--relay", relay_at_});
  EXPECT_EQ(tunnel->wait(), 6) << tunnel->errors();
  EXPECT_THAT(tunnel->errors(), HasSubstr("known_hosts"));
  EXPECT_EQ(tunnel->output(), "");
}

TEST_F(ProgramTest, exits_130_at_a_second_signal_while_it_is_ending) {
  const auto relay = start_relay();
  const auto tunnel = run({"http", "1", "--relay", relay_at_, "--json"});
  ASSERT_EQ(event(*tunnel, 0)["event"], "online") << tunnel->errors();
  relay->signal(SIGSTOP);  // so that saying goodbye takes its time
  tunnel->signal(SIGINT);
  ASSERT_TRUE(tunnel->wait_for_output("stopping"));
  tunnel->signal(SIGINT);
  EXPECT_EQ(tunnel->wait(), 130);
  relay->signal(SIGCONT);
}

// -------------------------------------------------------------------------------------- staying up

TEST_F(ProgramTest, has_its_tunnel_back_within_5_seconds_after_the_relay_was_killed) {
  auto relay = start_relay();
  Origin origin("still here");
  const auto tunnel = run(
      {"http", std::to_string(origin.port()), "--name", "shop", "--relay", relay_at_, "--json"});
  ASSERT_EQ(event(*tunnel, 0)["event"], "online") << tunnel->errors();
  ASSERT_EQ(http_get(http_port(), "shop.localhost").status, 200);
  relay->signal(SIGKILL);
  ASSERT_TRUE(relay->wait());
  ASSERT_TRUE(tunnel->wait_for_output("reconnecting"));
  relay = start_relay();
  EXPECT_TRUE(tunnel->wait_for_output("\"again\":true", 5s)) << tunnel->output();
  const auto answer = http_get(http_port(), "shop.localhost");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("still here"));
}

TEST_F(ProgramTest, tells_visits_when_verbose) {
  const auto relay = start_relay();
  Origin origin("hello");
  const auto tunnel =
      run({"http", std::to_string(origin.port()), "--name", "shop", "--relay", relay_at_, "-v"});
  ASSERT_TRUE(tunnel->line(0)) << tunnel->errors();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http_get(http_port(), "shop.localhost").status, 200);
  EXPECT_TRUE(tunnel->wait_for_errors("visit      1 ended"));
}

}  // namespace
}  // namespace streamkit::cli
