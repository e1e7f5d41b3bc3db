// Our channels through the connection of an `ssh -M`, to our peer and to an sshd.
#include "openssh_words.hpp"
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

/// A peer of ours that knows nobody and is attached to a control socket.
class Attached {
 public:
  explicit Attached(const std::string& path) : endpoint_("mux://" + path) {
    PeerOptions options;
    options.reconnect.on = false;
    peer_.emplace(Peer::make(std::move(options)).value());
  }
  Result<PeerInfo> connect() { return peer_->connect(endpoint_, kPatience); }
  Result<Channel> open(std::string what, OpenForm form = OpenForm::channel, Headers headers = {}) {
    OpenOptions options;
    options.form = form;
    options.headers = std::move(headers);
    return peer_->open(To::anyone(), std::move(what), std::move(options), kPatience);
  }
  Peer& peer() { return *peer_; }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  Endpoint endpoint_;
  std::optional<Peer> peer_;
};

/// An ssh that has logged in to our peer.
class Master {
 public:
  explicit Master(OurServer::Setup setup = {})
      : server_(std::move(setup)),
        ssh_(openssh_words(server_,
                           {"-N", "-M", "-S", path(), "-o", "RekeyLimit=1M", "127.0.0.1"})) {}
  bool is_up() { return ssh_.wait_for_errors("Entering interactive session"); }
  std::string path() const { return server_.folder().file("m"); }
  OurServer& server() { return server_; }
  Program& ssh() { return ssh_; }

 private:
  OurServer server_;
  Program ssh_;
};

#define SK_ATTACHED(master, attached)                   \
  SK_NEEDS("ssh", "openssh-client");                    \
  Master master;                                        \
  ASSERT_TRUE(master.is_up()) << master.ssh().errors(); \
  Attached attached(master.path());                     \
  SK_ASSERT_OK(attached.connect())

TEST(ControlSocket, carries_our_own_channels_through_rekeys_with_both_half_closes) {
  SK_ATTACHED(master, attached);
  for (const char* service : {"echo", "hold"}) {
    Result<Channel> channel = attached.open(service);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(channel->info().type, "channel@streamkit");
    EXPECT_EQ(echo_problem(*channel, 8 << 20), "");
    const Result<Closed> end = channel->wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_TRUE(end->status.ok());
  }
  ASSERT_EQ(master.server().peer().peers().size(), 1u);
  EXPECT_EQ(master.server().peer().peers()[0].name, kUser);
  EXPECT_FALSE(master.server().peer().peers()[0].native);
}

TEST(ControlSocket, carries_headers_the_error_lane_and_the_status) {
  SK_ATTACHED(master, attached);
  Result<Channel> channel =
      attached.open("say", OpenForm::channel, {{"CODE", "7"}, {"COLOUR", "deep blue"}});
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "CODE=7\nCOLOUR=deep blue\n");
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.code, Code::permission_denied);
  const Result<Bytes> beside = channel->read_error(kPatience);
  SK_ASSERT_OK(beside);
  EXPECT_EQ(as_text(*beside), "a word beside\n");
}

TEST(ControlSocket, carries_what_stock_clients_ask_for_too) {
  SK_ATTACHED(master, attached);
  const std::pair<OpenForm, const char*> forms[] = {{OpenForm::session_exec, "hold"},
                                                    {OpenForm::session_subsystem, "hold"},
                                                    {OpenForm::direct_tcpip, "hold:1"},
                                                    {OpenForm::direct_streamlocal, "/hold"}};
  for (const auto& [form, what] : forms) {
    Result<Channel> channel = attached.open(what, form);
    SK_ASSERT_OK(channel);
    EXPECT_EQ(echo_problem(*channel, 1 << 20), "") << what;
  }
}

TEST(ControlSocket, carries_channels_on_channels_that_this_side_opens) {
  SK_ATTACHED(master, attached);
  std::thread other([&master] {
    Result<Channel> parent = master.server().peer().accept(kPatience);
    Result<Channel> child = parent ? parent->accept(kPatience) : Result<Channel>(parent.error());
    if (!child) return;
    (void)child->write("from the child", kPatience);
    (void)child->close();
    (void)parent->wait_closed(kPatience);
  });
  Result<Channel> parent = attached.open("nested");
  SK_EXPECT_OK(parent);
  Result<Channel> child =
      parent ? parent->open("child", {}, kPatience) : Result<Channel>(parent.error());
  SK_EXPECT_OK(child);
  const Result<std::string> said = child ? read_all(*child) : Result<std::string>(child.error());
  EXPECT_TRUE(said && *said == "from the child");
  if (parent) (void)parent->close();
  other.join();
}

TEST(ControlSocket, carries_a_hundred_channels_of_two_peers_at_once) {
  SK_ATTACHED(master, attached);
  Attached second(master.path());
  SK_ASSERT_OK(second.connect());
  std::vector<Channel> channels;
  for (int i = 0; i < 100; ++i) {
    Result<Channel> channel = (i % 2 == 0 ? attached : second).open("hold");
    SK_ASSERT_OK(channel);
    channels.push_back(std::move(*channel));
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    SK_ASSERT_OK(channels[i].write(std::to_string(i), kPatience));
    SK_ASSERT_OK(channels[i].close_write());
  }
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const Result<std::string> out = read_all(channels[i]);
    SK_ASSERT_OK(out);
    EXPECT_EQ(*out, std::to_string(i));
  }
}

TEST(ControlSocket, says_that_a_service_was_refused_and_goes_on) {
  SK_ATTACHED(master, attached);
  master.server().peer().on_open(
      "*", [](Incoming incoming) { incoming.refuse(Code::not_found, "no service of this name"); });
  const Result<Channel> none = attached.open("nothing");
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(Errc::no_such_service)) << none.error().message();
  Result<Channel> channel = attached.open("hold");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 1000), "");
}

TEST(ControlSocket, stays_when_a_peer_leaves_it) {
  SK_ATTACHED(master, attached);
  Result<Channel> channel = attached.open("echo");
  SK_ASSERT_OK(channel);
  SK_ASSERT_OK(attached.peer().disconnect(attached.endpoint()));
  EXPECT_FALSE(channel->wait_closed(kPatience));
  SK_ASSERT_OK(attached.connect());
  Result<Channel> again = attached.open("echo");
  SK_ASSERT_OK(again);
  EXPECT_EQ(echo_problem(*again, 1000), "");
}

TEST(ControlSocket, that_goes_with_its_ssh_ends_our_channels) {
  SK_ATTACHED(master, attached);
  Result<Channel> channel = attached.open("echo");
  SK_ASSERT_OK(channel);
  (void)master.ssh().stop();
  const Result<Closed> end = channel->wait_closed(kPatience);
  ASSERT_FALSE(end);
  EXPECT_TRUE(end.error().is(Errc::connection_lost)) << end.error().message();
}

TEST(ControlSocket, of_an_ssh_at_sshd_gives_its_programs_and_forwardings) {
  SK_NEEDS("ssh", "openssh-client");
  SK_NEEDS("sshd", "openssh-server");
  RunningServer sshd(other_server("OpenSsh"));
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  const Folder folder;
  const OurClient::Setup setup = sshd.client();
  Program ssh({"ssh",      "-F",
               "none",     "-v",
               "-N",       "-M",
               "-S",       folder.file("m"),
               "-p",       std::to_string(setup.port),
               "-l",       setup.user,
               "-i",       folder.write("key", text_of(setup.key)),
               "-o",       "IdentitiesOnly=yes",
               "-o",       "IdentityAgent=none",
               "-o",       "BatchMode=yes",
               "-o",       "StrictHostKeyChecking=no",
               "-o",       "UserKnownHostsFile=/dev/null",
               "127.0.0.1"});
  ASSERT_TRUE(ssh.wait_for_errors("Entering interactive session")) << ssh.errors();
  Attached attached(folder.file("m"));
  SK_ASSERT_OK(attached.connect());
  Result<Channel> channel = attached.open("cat", OpenForm::session_exec);
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, 8 << 20), "");
  Result<Channel> code = attached.open("exit 7", OpenForm::session_exec);
  SK_ASSERT_OK(code);
  const Result<Closed> end = code->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.message, "7");
  Result<Channel> subsystem = attached.open("echo", OpenForm::session_subsystem);
  SK_ASSERT_OK(subsystem);
  EXPECT_EQ(echo_problem(*subsystem, 1 << 20), "");
  const Result<Channel> own = attached.open("echo");
  ASSERT_FALSE(own);
  EXPECT_TRUE(own.error().is(Errc::refused) || own.error().is(Errc::no_such_service))
      << own.error().message();
}

}  // namespace
}  // namespace streamkit::testing
