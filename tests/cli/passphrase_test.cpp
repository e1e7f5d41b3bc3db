// A key file with a passphrase: asked on the terminal, or by the program that SSH_ASKPASS names.
#include "program.hpp"
#include "terminal.hpp"

#include <fstream>
#include <sys/stat.h>

namespace streamkit::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PassphraseTest : public ProgramTest {
 protected:
  /// Makes an encrypted key, and a relay that lets it in.
  void SetUp() override {
    Process make(
        {"ssh-keygen", "-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame", "-f", key_});
    if (!make.is_started() || make.wait() != 0)
      GTEST_SKIP() << "needs ssh-keygen: " << make.errors();
    relay_ = start_relay({"--authorized-keys", key_ + ".pub"});
  }
  std::vector<std::string> words() const {
    return {"http", "1", "--name", "shop", "--relay", relay_at_, "--key", key_};
  }
  std::unique_ptr<Process> run_with_askpass(const std::string& script) {
    const std::string askpass = folder_ / "askpass";
    std::ofstream(askpass) << "#!/bin/sh\n" << script << "\n";
    EXPECT_EQ(::chmod(askpass.c_str(), 0700), 0);
    std::vector<std::string> all = {"env", "SSH_ASKPASS=" + askpass, "SSH_ASKPASS_REQUIRE=force",
                                    "XDG_CONFIG_HOME=" + (folder_ / "config"), STREAMKIT_PROGRAM};
    for (const std::string& word : words()) all.push_back(word);
    return std::make_unique<Process>(std::move(all));
  }

  const std::string key_ = folder_ / "key";
  std::unique_ptr<Process> relay_;
};

TEST_F(PassphraseTest, is_asked_by_the_program_that_ssh_askpass_names) {
  const auto tunnel =
      run_with_askpass("echo \"$1\" > '" + (folder_ / "prompt") + "'; echo open sesame");
  EXPECT_EQ(tunnel->line(0), url_of("shop")) << tunnel->errors();
  std::string prompt;
  std::getline(std::ifstream(folder_ / "prompt"), prompt);
  EXPECT_EQ(prompt, "Passphrase for " + key_ + ": ");
}

TEST_F(PassphraseTest, that_is_wrong_or_missing_ends_the_program_with_the_file_s_name) {
  for (const auto& [script, words] :
       {std::pair("echo open", "wrong passphrase"), {"exit 1", "no passphrase was given"}}) {
    const auto tunnel = run_with_askpass(script);
    EXPECT_EQ(tunnel->wait(), 2);
    EXPECT_THAT(tunnel->errors(), HasSubstr(key_));
    EXPECT_THAT(tunnel->errors(), HasSubstr(words));
  }
}

TEST_F(PassphraseTest, of_more_than_a_kibibyte_is_none) {
  const auto tunnel = run_with_askpass("head -c 1025 /dev/zero | tr '\\0' x");
  EXPECT_EQ(tunnel->wait(), 2);
  EXPECT_THAT(tunnel->errors(), HasSubstr("at most 1024 bytes"));
}

TEST_F(PassphraseTest, needs_somebody_to_ask) {
  std::vector<std::string> all = {"env",    "-u",     "SSH_ASKPASS",
                                  "setsid", "--wait", STREAMKIT_PROGRAM};
  for (const std::string& word : words()) all.push_back(word);
  Process tunnel(std::move(all));
  EXPECT_EQ(tunnel.wait(), 2);
  EXPECT_THAT(tunnel.errors(), HasSubstr("SSH_ASKPASS"));
}

TEST_F(PassphraseTest, is_typed_on_the_terminal_and_not_shown) {
  std::vector<std::string> all = {"env", "-u", "SSH_ASKPASS",
                                  "XDG_CONFIG_HOME=" + (folder_ / "config"), STREAMKIT_PROGRAM};
  for (const std::string& word : words()) all.push_back(word);
  OnTerminal terminal(std::move(all));
  EXPECT_THAT(terminal.read_until(": "), HasSubstr("Passphrase for " + key_));
  EXPECT_FALSE(terminal.echoes());
  terminal.type("open sesame\n");
  EXPECT_THAT(terminal.read_until("online"), HasSubstr(url_of("shop")));
  EXPECT_TRUE(terminal.echoes());
  EXPECT_THAT(terminal.read_until("online"), Not(HasSubstr("sesame")));
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 0);
}

TEST_F(PassphraseTest, may_be_refused_with_ctrl_c_and_the_terminal_shows_again_what_is_typed) {
  std::vector<std::string> all = {"env", "-u", "SSH_ASKPASS", STREAMKIT_PROGRAM};
  for (const std::string& word : words()) all.push_back(word);
  OnTerminal terminal(std::move(all));
  terminal.read_until(": ");
  terminal.type("open ses\x03");
  EXPECT_THAT(terminal.read_until("given"), HasSubstr("no passphrase was given"));
  EXPECT_TRUE(terminal.echoes());
  EXPECT_EQ(terminal.wait(), 2);
}

}  // namespace
}  // namespace streamkit::cli
