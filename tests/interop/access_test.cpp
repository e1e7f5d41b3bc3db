// Options of authorized_keys held against OpenSSH's: what its `sshd` makes of a line, we make of
// it, and its `ssh` is permitted the same.
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

/// A server of ours that goes by a file of authorised keys.
class ByFile {
 public:
  ByFile()
      : server_({.change = [this](PeerOptions& options) {
          options.trust.authorized_keys.clear();
          options.trust.authorized_keys_file = folder_.file("authorized_keys");
        }}) {
    server_.peer().on_open("*", [](Incoming incoming) { (void)incoming.accept(); });
    server_.peer().on_forward(
        [](const ForwardRequest& request) { return Result<std::uint32_t>(request.port); });
  }
  void write(const std::string& options, const crypto::PrivateKey& key) {
    folder_.write("authorized_keys", options + " " + key.public_key().text() + "\n");
  }
  OurServer* operator->() { return &server_; }

 private:
  Folder folder_;
  OurServer server_;
};

/// sshd and our server, which one key logs in to by the same line.
struct Both {
  RunningServer sshd{other_server("OpenSsh")};
  std::optional<ByFile> ours;  // a new one for each line: a bad file does not replace a good one

  void write(const std::string& options) {
    ours.emplace();
    ours->write(options, sshd.client().key);
    sshd.folder().write("authorized_keys",
                        options + " " + sshd.client().key.public_key().text() + "\n");
  }
  OurClient::Setup at_ours() {
    OurClient::Setup setup = sshd.client();
    setup.port = (*ours)->port();
    setup.host_key_fingerprint = (*ours)->host_key().fingerprint();
    return setup;
  }
  static bool logs_in(const OurClient::Setup& setup) {
    OurClient client(setup);
    return client.connect().has_value();
  }
  static bool opens(const OurClient::Setup& setup, const std::string& place) {
    OurClient client(setup);
    EXPECT_TRUE(client.connect());
    return client.open(place, OpenForm::direct_tcpip).has_value();
  }
};

TEST(OpenSshAccess, c22_lets_in_by_the_same_lines) {
  SK_NEEDS("sshd", "openssh-server");
  Both both;
  ASSERT_TRUE(both.sshd.is_up()) << both.sshd.errors();
  int let_in = 0;
  const Words lines = {"from=\"127.0.0.1\"",
                       "from=\"127.0.0.0/8\"",
                       "from=\"127.0.*\"",
                       "from=\"127.0.0.?\"",
                       "from=\"*,!127.0.0.1\"",
                       "from=\"!127.0.0.0/8,*\"",
                       "from=\"10.0.0.0/8\"",
                       "from=\"10.0.0.0/8,127.0.0.1\"",
                       "from=\"127.0.0.1/8\"",
                       "from=\"127.0.0.0/33\"",
                       "from=\"::1\"",
                       "expiry-time=\"20200101\"",
                       "expiry-time=\"20200101Z\"",
                       "expiry-time=\"29990101\"",
                       "expiry-time=\"299901011200\"",
                       "expiry-time=\"29990101120000Z\"",
                       "expiry-time=\"2999010\"",
                       "expiry-time=\"29991301\"",
                       "expiry-time=\"299901012500\"",
                       "restrict",
                       "restrict,port-forwarding,no-pty",
                       "Restrict,No-X11-Forwarding,no-agent-forwarding,no-user-rc",
                       "pty,X11-forwarding,agent-forwarding,user-rc,no-port-forwarding",
                       "permitopen=\"127.0.0.1:80\",permitopen=\"[::1]:*\"",
                       "permitopen=\"127.0.0.1:0\"",
                       "permitopen=\"127.0.0.1\"",
                       "permitopen=\"127.0.0.1:x\"",
                       "permitlisten=\"8080\",permitlisten=\"localhost:*\"",
                       "permitlisten=\"0\"",
                       "permitlisten=\"localhost:65536\"",
                       "no-such-option",
                       "from=127.0.0.1",
                       "from=\"127.0.0.1\"restrict",
                       "cert-authority"};
  for (const std::string& line : lines) {
    both.write(line);
    const bool theirs = Both::logs_in(both.sshd.client());
    EXPECT_EQ(Both::logs_in(both.at_ours()), theirs) << line;
    let_in += theirs;
  }
  EXPECT_GT(let_in, 8) << "the sample has to have both kinds";
  EXPECT_LT(let_in, static_cast<int>(lines.size()) - 8);
}

TEST(OpenSshAccess, c24_opens_the_same_places) {
  SK_NEEDS("sshd", "openssh-server");
  Both both;
  ASSERT_TRUE(both.sshd.is_up()) << both.sshd.errors();
  // Something has to be there where sshd connects: itself.
  const std::string port = std::to_string(both.sshd.client().port), place = "127.0.0.1:" + port;
  int opened = 0;
  const Words lines = {"no-pty",
                       "restrict",
                       "no-port-forwarding",
                       "restrict,port-forwarding",
                       "port-forwarding,restrict",
                       "permitopen=\"" + place + "\"",
                       "permitopen=\"127.0.0.1:*\"",
                       "permitopen=\"127.0.0.*:" + port + "\"",
                       "permitopen=\"localhost:" + port + "\"",
                       "permitopen=\"127.0.0.1:1\"",
                       "permitopen=\"127.0.0.1:1\",permitopen=\"" + place + "\"",
                       "permitopen=\"" + place + "\",no-port-forwarding",
                       "permitlisten=\"1\""};
  for (const std::string& line : lines) {
    both.write(line);
    const bool theirs = Both::opens(both.sshd.client(), place);
    EXPECT_EQ(Both::opens(both.at_ours(), place), theirs) << line;
    opened += theirs;
  }
  EXPECT_GT(opened, 3) << "the sample has to have both kinds";
  EXPECT_LT(opened, static_cast<int>(lines.size()) - 3);
}

/// What `ssh -R` exits with.
std::optional<int> forwards(std::uint16_t port, const std::string& user,
                            const std::string& key_file, const std::string& forward,
                            const std::string& command) {
  Words words = {"ssh", "-F", "none", "-T", "-p", std::to_string(port), "-l", user, "-i", key_file};
  for (const char* option : {"StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                             "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes",
                             "IdentityAgent=none", "BatchMode=yes", "ExitOnForwardFailure=yes"})
    words.insert(words.end(), {"-o", option});
  words.insert(words.end(), {"-R", forward, "127.0.0.1", command});
  Program ssh(words);
  (void)ssh.talk();
  return ssh.wait();
}

TEST(OpenSshAccess, c24_listens_at_the_same_places) {
  SK_NEEDS("sshd", "openssh-server");
  SK_NEEDS("ssh", "openssh-client");
  Both both;
  ASSERT_TRUE(both.sshd.is_up()) << both.sshd.errors();
  const std::string key_file = both.sshd.folder().write("key", text_of(both.sshd.client().key));
  const std::string port = std::to_string(free_port());
  int granted = 0;
  const Words lines = {"no-pty",
                       "restrict",
                       "permitlisten=\"" + port + "\"",
                       "permitlisten=\"*\"",
                       "permitlisten=\"1\"",
                       "permitlisten=\"localhost:" + port + "\"",
                       "permitlisten=\"local*:" + port + "\"",
                       "permitlisten=\"127.0.0.1:" + port + "\"",
                       "permitlisten=\"1\",permitlisten=\"" + port + "\"",
                       "permitopen=\"a:1\""};
  for (const std::string& line : lines) {
    both.write(line);
    const auto theirs = forwards(both.sshd.client().port, both.sshd.client().user, key_file,
                                 port + ":127.0.0.1:9", "true");
    EXPECT_EQ(forwards((*both.ours)->port(), kUser, key_file, port + ":127.0.0.1:9", "echo"),
              theirs)
        << line;
    granted += theirs == 0;
  }
  EXPECT_GT(granted, 3) << "the sample has to have both kinds";
  EXPECT_LT(granted, static_cast<int>(lines.size()) - 2);
}

TEST(OpenSshAccess, c24_of_a_command_is_that_service_alone) {
  SK_NEEDS("ssh", "openssh-client");
  ByFile server;
  server.write("command=\"echo\"", server->user_key());
  const auto run = [&](const std::string& command) {
    Program ssh({"ssh",       "-F",
                 "none",      "-T",
                 "-p",        std::to_string(server->port()),
                 "-l",        kUser,
                 "-i",        server->user_key_file(),
                 "-o",        "UserKnownHostsFile=" + server->known_hosts_file(),
                 "-o",        "IdentitiesOnly=yes",
                 "-o",        "IdentityAgent=none",
                 "-o",        "BatchMode=yes",
                 "127.0.0.1", command});
    const std::string said = ssh.talk("hello");
    return std::pair(ssh.wait(), said);
  };
  EXPECT_EQ(run("echo"), std::pair(std::optional<int>(0), std::string("hello")));
  EXPECT_NE(run("say").first, 0);
}

}  // namespace
}  // namespace streamkit::testing
