// What OpenSSH's `sshd` does besides what server_test.cpp asks of every server: it does not find a
// program, does not know our channels, dies.
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

TEST(OpenSshServer, agrees_with_us_on_the_first_key_exchange_of_ours_that_it_has) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  // Its side before authentication says so for itself.
  EXPECT_TRUE(sshd.wait_for_errors("kex: algorithm: " + best_kex_with_openssh() + " [preauth]"))
      << sshd.errors();
}

TEST(OpenSshServer, that_wants_a_key_and_a_password_gets_both) {
  SK_NEEDS("sshd", "openssh-server");
  RunningServer sshd(
      other_server("OpenSsh"),
      {.login = Login::password, .more = "AuthenticationMethods publickey,password\n"});
  ASSERT_TRUE(sshd.is_up()) << sshd.errors();
  for (const bool with_password : {false, true})
    for (const bool with_key : {false, true}) {
      OurClient::Setup setup = sshd.client();
      if (!with_key) setup.key = new_key();
      setup.change = [&](PeerOptions& options) {
        if (with_password) options.trust.present_password = kPassword;
      };
      OurClient client(setup);
      const Result<PeerInfo> info = client.connect();
      EXPECT_EQ(info.has_value(), with_key && with_password)
          << (info ? "" : info.error().message());
      EXPECT_TRUE(info || info.error().is(Errc::auth_denied)) << info.error().message();
    }
  EXPECT_NE(sshd.errors().find("Partial publickey"), std::string::npos) << sshd.errors();
}

TEST(OpenSshServer, tells_us_that_it_does_not_find_a_program) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("/nonexistent/program");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.message, "127");
}

TEST(OpenSshServer, cannot_be_asked_for_a_channel_of_our_own_kind) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  const Result<Channel> channel = client.open("echo", OpenForm::channel);
  EXPECT_TRUE(!channel && channel.error().is(Errc::usage));
}

TEST(OpenSshServer, that_dies_ends_our_channel_with_a_lost_connection) {
  SK_NEEDS_SSHD(sshd);
  OurClient client(sshd.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("kill -KILL $PPID; cat");
  SK_ASSERT_OK(channel);
  const Result<Closed> end = channel->wait_closed(kPatience);
  ASSERT_FALSE(end);
  EXPECT_TRUE(end.error().is(Errc::connection_lost)) << end.error().message();
}

}  // namespace
}  // namespace streamkit::testing
