// What OpenSSH's `sshd` does besides what server_test.cpp asks of every server: it does not find a
// program, does not know our channels, dies.
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

#define SK_NEEDS_SSHD(server)                    \
  SK_NEEDS("sshd", "openssh-server");            \
  RunningServer server(other_server("OpenSsh")); \
  ASSERT_TRUE(server.is_up()) << server.errors()

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
