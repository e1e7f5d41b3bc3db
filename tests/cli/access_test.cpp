// Who may have tunnels, as the relay's files say it: authorities, revoked keys, and files that are
// read again while tunnels are up.
#include "program.hpp"
#include "terminal.hpp"

#include <streamkit/crypto/key.hpp>

#include <fstream>

namespace streamkit::cli {
namespace {

using ::testing::HasSubstr;

class AccessTest : public ProgramTest {
 protected:
  /// Makes a key of the name, with its public half beside it.
  crypto::PublicKey make_key(const std::string& name) const {
    const auto key = crypto::PrivateKey::generate();
    const auto text = key->to_text();
    std::ofstream(folder_ / name, std::ios::binary) << as_text(text->view());
    std::filesystem::permissions(
        folder_ / name, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    write(name + ".pub", key->public_key().text() + "\n");
    return key->public_key();
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  /// The first event of that kind.
  static Json wait_for_event(Process& program, const std::string& kind) {
    for (std::size_t i = 0;; ++i) {
      const Json one = event(program, i);
      if (!one.is_object() || one.value("event", "") == kind) return one;
    }
  }
  static Json next_reload(Process& relay, std::size_t& seen) {
    for (;; ++seen) {
      const Json one = event(relay, seen);
      if (!one.is_object()) return one;
      if (one.value("event", "") == "reloaded") return ++seen, one;
    }
  }
};

TEST_F(AccessTest, exits_1_when_a_file_of_keys_cannot_be_read_or_not_be_understood) {
  write("garbage", "no key\n");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--user-ca", folder_ / "missing"},
                                             {"--revoked-keys", folder_ / "missing"},
                                             {"--revoked-keys", folder_ / "garbage"}}) {
    std::vector<std::string> all = {"relay", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"};
    all.insert(all.end(), words.begin(), words.end());
    const auto relay = run(all);
    EXPECT_EQ(relay->wait(), 1) << words[1];
    EXPECT_THAT(relay->errors(), HasSubstr(words[1]));
  }
}

TEST_F(AccessTest, lets_in_who_has_a_certificate_by_the_authority_that_was_named) {
  if (Process({"ssh", "-V"}).wait() != 0) GTEST_SKIP() << "needs ssh";
  make_key("ca");
  make_key("user");
  const auto relay = start_relay({"--user-ca", folder_ / "ca.pub"});
  Origin origin("certified");
  const auto ssh = [&](const std::string& name) {
    std::vector<std::string> words = {
        "ssh",    "-F", "none",          "-N", "-p", std::to_string(port_of(relay_at_)), "-l",
        "anyone", "-i", folder_ / "user"};
    for (const std::string& option :
         {std::string("IdentitiesOnly=yes"), std::string("IdentityAgent=none"),
          std::string("BatchMode=yes"), std::string("StrictHostKeyChecking=no"),
          std::string("UserKnownHostsFile=/dev/null"), std::string("ExitOnForwardFailure=yes")})
      words.insert(words.end(), {"-o", option});
    words.insert(words.end(),
                 {"-R", name + ":80:127.0.0.1:" + std::to_string(origin.port()), "127.0.0.1"});
    return std::make_unique<Process>(std::move(words));
  };
  const auto sign = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"ssh-keygen", "-q",   "-s", folder_ / "ca",
                                      "-I",         "user", "-n", "anyone"};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(folder_ / "user.pub");
    return Process(std::move(words)).wait();
  };
  EXPECT_EQ(ssh("shop")->wait(), 255) << "the key alone";
  ASSERT_EQ(sign({"-O", "no-port-forwarding"}), 0);
  EXPECT_EQ(ssh("shop")->wait(), 255) << "a certificate without forwarding";
  ASSERT_EQ(sign({}), 0);
  const auto tunnel = ssh("shop");
  EXPECT_EQ(wait_for_event(*relay, "claimed").value("name", ""), "shop") << tunnel->errors();
  EXPECT_EQ(http_get(http_port(), "shop.localhost").status, 200);
}

TEST_F(AccessTest,
       reads_its_files_again_on_sighup_and_goes_on_with_the_old_ones_when_they_are_bad) {
  const crypto::PublicKey gone = make_key("gone"), stays = make_key("stays");
  write("keys", gone.text() + "\n" + stays.text() + "\n");
  write("revoked", "");
  const auto relay =
      start_relay({"--authorized-keys", folder_ / "keys", "--revoked-keys", folder_ / "revoked"});
  const auto tunnel = [&](const std::string& key) {
    return run({"http", "1", "--name", key, "--relay", relay_at_, "--key", folder_ / key, "--json"},
               "config-of-" + key);
  };
  const auto first = tunnel("gone"), second = tunnel("stays");
  ASSERT_EQ(wait_for_event(*first, "online").value("name", ""), "gone") << first->output();
  ASSERT_EQ(wait_for_event(*second, "online").value("name", ""), "stays") << second->output();

  std::size_t seen = 0;
  write("keys", "no-such-option " + stays.text() + "\n");
  relay->signal(SIGHUP);
  EXPECT_THAT(next_reload(*relay, seen).value("error", ""), HasSubstr("keys: line 1: "));
  EXPECT_TRUE(relay->wait_for_errors("keys: line 1: "));

  write("keys", gone.text() + "\n" + stays.text() + "\n");
  write("revoked", gone.text() + "\n");
  relay->signal(SIGHUP);
  EXPECT_EQ(next_reload(*relay, seen).value("error", "none"), "");
  EXPECT_EQ(first->wait(), 4) << first->output();
  EXPECT_FALSE(second->output().find("reconnecting") != std::string::npos);
  relay->signal(SIGTERM);
  EXPECT_EQ(relay->wait(), 0);
}

TEST_F(AccessTest, holds_tunnels_of_our_own_client_to_what_the_line_permits) {
  const crypto::PublicKey shop = make_key("shop"), none = make_key("none");
  write("keys", "permitlisten=\"shop:80\" " + shop.text() + "\nrestrict " + none.text() + "\n");
  const auto relay = start_relay({"--authorized-keys", folder_ / "keys"});
  const auto tunnel = [&](const std::string& key, std::vector<std::string> more) {
    std::vector<std::string> words = {more.front(), "1",     "--relay",
                                      relay_at_,    "--key", folder_ / key};
    words.insert(words.end(), more.begin() + 1, more.end());
    return run(words);
  };
  EXPECT_EQ(tunnel("shop", {"http", "--name", "shop"})->line(0), url_of("shop"));
  for (const auto& [key, words] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"shop", {"http", "--name", "other"}},
           {"shop", {"http"}},
           {"shop", {"tcp"}},
           {"none", {"http"}},
           {"none", {"tcp", "--port", "45000"}}}) {
    const auto refused = tunnel(key, words);
    EXPECT_EQ(refused->wait(), 5) << refused->errors();
    EXPECT_THAT(refused->errors(), HasSubstr("this key may not have"));
  }
}

TEST_F(AccessTest, ends_when_its_terminal_hangs_up) {
  OnTerminal relay({"env", "XDG_CONFIG_HOME=" + (folder_ / "config"), STREAMKIT_PROGRAM, "relay",
                    "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"});
  EXPECT_THAT(relay.read_until("or       ssh -p "), HasSubstr("ready"));
  relay.hang_up();
  EXPECT_EQ(relay.wait(), 0);
}

}  // namespace
}  // namespace streamkit::cli
