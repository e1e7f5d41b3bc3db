// --via and --ssh-config: the program gets to a relay through others' SSH servers, as OpenSSH's
// configuration says.
#include "program.hpp"

#include <filesystem>
#include <fstream>

namespace streamkit::cli {
namespace {

using ::testing::HasSubstr;

class SshConfigTest : public ProgramTest {
 protected:
  /// Puts a program called ssh into a folder that comes first in PATH.
  void make_ssh(const std::string& script) {
    std::filesystem::create_directory(folder_ / "bin");
    std::ofstream(folder_ / "bin/ssh") << "#!/bin/sh\n" << script;
    std::filesystem::permissions(folder_ / "bin/ssh", std::filesystem::perms::owner_all);
  }
  /// The real one, with this configuration.
  void configure_ssh(const std::string& config) {
    std::ofstream(folder_ / "ssh_config") << config;
    make_ssh("PATH=/usr/bin:/bin exec ssh -F " + (folder_ / "ssh_config") + " \"$@\"\n");
  }
  std::unique_ptr<Process> start(std::vector<std::string> more,
                                 const std::string& path_before = {}) {
    std::vector<std::string> words = {STREAMKIT_PROGRAM, "http", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const std::string path =
        path_before.empty() ? (folder_ / "bin") + ":/usr/bin:/bin" : path_before;
    return std::make_unique<Process>(
        std::move(words), std::vector<std::string>{"PATH=" + path, "HOME=" + folder_.path(),
                                                   "XDG_CONFIG_HOME=" + (folder_ / "config")});
  }
  /// Its last words, with the exit code that they came with.
  void expect_end(std::vector<std::string> more, int code, const std::string& words,
                  const std::string& path = {}) {
    const auto program = start(std::move(more), path);
    EXPECT_EQ(program->wait(), code) << program->errors();
    EXPECT_THAT(program->errors(), HasSubstr(words));
  }
};

TEST_F(SshConfigTest, a_way_is_gone_server_by_server) {
  expect_end({"--relay", "relay.invalid", "--via", "me@127.0.0.1:1,two.invalid"}, 3,
             "no connection to the bastion tcp://me@127.0.0.1:1");
}

TEST_F(SshConfigTest, c23_a_way_that_could_be_an_option_is_wrong_usage) {
  expect_end({"--via", "-oProxyCommand=x"}, 2, "begin with '-'");
  expect_end({"--via=-lx@h"}, 2, "begin with '-'");
  expect_end({"--via", "a b"}, 2, "letters, digits");
}

TEST_F(SshConfigTest, the_configuration_says_where_the_relay_is_and_by_which_way) {
  if (Process({"ssh", "-V"}).wait() != 0) GTEST_SKIP() << "there is no ssh here";
  configure_ssh(
      "Host work\n  HostName relay.invalid\n  Port 2299\n  User deploy\n  ProxyJump far\n"
      "Host far\n  HostName 127.0.0.1\n  Port 1\n  User jumper\n");
  expect_end({"--ssh-config", "--relay", "work"}, 3,
             "no connection to the bastion tcp://jumper@127.0.0.1:1");
  configure_ssh("Host work\n  HostName 127.0.0.1\n  Port 1\n  User deploy\n");
  expect_end({"--ssh-config", "--relay", "work"}, 3, "relay running at tcp://deploy@127.0.0.1:1?");
}

TEST_F(SshConfigTest, the_configuration_says_which_key_and_known_hosts) {
  if (Process({"ssh", "-V"}).wait() != 0) GTEST_SKIP() << "there is no ssh here";
  const std::string key = folder_ / "my key", known = folder_ / "my_known_hosts";
  const auto made = start({"--key", key, "--relay", "127.0.0.1:1"});
  ASSERT_EQ(made->wait(), 3);
  std::filesystem::copy_file(key + ".pub", folder_ / "authorized_keys");
  const auto relay = start_relay({"--authorized-keys", folder_ / "authorized_keys"});
  configure_ssh("Host work\n  HostName 127.0.0.1\n  Port " + std::to_string(port_of(relay_at_)) +
                "\n  IdentityFile \"" + key + "\"\n  UserKnownHostsFile " + known + "\n");
  const auto program = start({"--ssh-config", "--relay", "work"});
  EXPECT_TRUE(program->wait_for_output("http://")) << program->errors();
  EXPECT_TRUE(std::filesystem::exists(known));
}

TEST_F(SshConfigTest, a_proxy_command_is_not_run) {
  if (Process({"ssh", "-V"}).wait() != 0) GTEST_SKIP() << "there is no ssh here";
  configure_ssh("Host work\n  ProxyCommand touch " + (folder_ / "mark") + "\n");
  expect_end({"--ssh-config", "--relay", "work"}, 2, "ProxyCommand, which is not run here");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mark"));
}

TEST_F(SshConfigTest, c23_ssh_is_asked_without_a_shell_and_not_about_options) {
  make_ssh("printf '%s\\n' \"$@\" > " + (folder_ / "asked") +
           "\necho hostname 127.0.0.1\necho port 1\n");
  expect_end({"--ssh-config", "--relay", "a;b $(touch x)"}, 3, "127.0.0.1:1");
  std::ifstream asked(folder_ / "asked");
  const std::string words{std::istreambuf_iterator<char>(asked), {}};
  EXPECT_EQ(words, "-G\n--\na;b $(touch x)\n");
  std::filesystem::remove(folder_ / "asked");
  for (const char* const name :
       {"-oProxyCommand=x", "me@-oProxyCommand=x", "-oProxyCommand=x@h", "h:-x"})
    expect_end({"--ssh-config", std::string("--relay=") + name}, 2, "could be an option");
  expect_end({"--ssh-config", "--relay", std::string(1025, 'h')}, 2, "can be asked about");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "asked"));
  expect_end({"--ssh-config", "--relay", std::string(1024, 'h')}, 3, "127.0.0.1:1");
}

TEST_F(SshConfigTest, c23_what_ssh_says_is_not_believed_further_than_endpoints_go) {
  make_ssh("echo 'hostname -oProxyCommand=x'\necho port 22\n");
  expect_end({"--ssh-config"}, 2, "begin with '-'");
  make_ssh("echo hostname h\necho port 65536\n");
  expect_end({"--ssh-config"}, 2, "did not say where");
  make_ssh("echo hostname h\necho port 22\necho 'proxyjump -oProxyCommand=x'\n");
  expect_end({"--ssh-config"}, 2, "could be an option");
}

TEST_F(SshConfigTest, what_ssh_may_say_and_how_long_it_may_take_is_limited) {
  make_ssh("exec yes hostname\n");
  expect_end({"--ssh-config"}, 2, "more than 256 KiB");
  make_ssh("exec sleep 60\n");
  expect_end({"--ssh-config"}, 2, "within 10 s");
  make_ssh("echo hostname h\necho port 22\nexit 3\n");
  expect_end({"--ssh-config"}, 2, "`ssh -G` failed");
  make_ssh("echo hostname h\necho port 22\necho proxyjump a,b,c,d,e,f,g,h,i\n");
  expect_end({"--ssh-config"}, 2, "at most 8");
}

TEST_F(SshConfigTest, without_ssh_it_says_what_to_install) {
  expect_end({"--ssh-config"}, 2, "install openssh-client", folder_ / "nothing");
}

}  // namespace
}  // namespace streamkit::cli
