// What the program says about itself and about wrong arguments.
#include "program.hpp"

#include <fstream>
#include <regex>
#include <sstream>

namespace streamkit::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ArgumentsTest : public ProgramTest {
 protected:
  /// Runs to its end: exit code, with stdout and stderr kept.
  int finish(std::vector<std::string> words) {
    const auto program = run(std::move(words));
    const int code = program->wait().value_or(-1);
    out_ = program->output();
    err_ = program->errors();
    return code;
  }
  std::string out_, err_;
};

TEST_F(ArgumentsTest, help_goes_to_stdout_and_leads_with_examples) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--help"}, {"relay", "--help"}, {"http", "-h"}, {"tcp", "--help"}, {"bench", "--help"}}) {
    EXPECT_EQ(finish(words), 0) << words.front();
    EXPECT_EQ(err_, "");
    EXPECT_LT(out_.find("Examples:"), out_.find("Usage:")) << out_;
    EXPECT_THAT(out_, HasSubstr("Exit codes:"));
  }
}

TEST_F(ArgumentsTest, help_fits_80_columns) {
  for (const char* command : {"relay", "http", "tcp", "bench", ""}) {
    ASSERT_EQ(finish(*command == '\0' ? std::vector<std::string>{"--help"}
                                      : std::vector<std::string>{"help", command}),
              0);
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

TEST_F(ArgumentsTest, help_with_a_command_is_that_commands_help) {
  EXPECT_EQ(finish({"help", "http"}), 0);
  EXPECT_THAT(out_, HasSubstr("--host-header"));
  EXPECT_EQ(finish({"help"}), 0);
  EXPECT_THAT(out_, HasSubstr("Subcommands:"));
}

TEST_F(ArgumentsTest, version_names_the_libraries_of_the_build_and_of_the_run) {
  EXPECT_EQ(finish({"--version"}), 0);
  EXPECT_THAT(out_, StartsWith("streamkit "));
  EXPECT_THAT(out_, HasSubstr("built with OpenSSL 3."));
  EXPECT_THAT(out_, HasSubstr("runs with OpenSSL 3."));
  EXPECT_THAT(out_, ContainsRegex("AES-GCM by (OpenSSL|ipsec-mb) [0-9]"));
}

TEST_F(ArgumentsTest, nothing_at_all_shows_the_help_on_stderr) {
  EXPECT_EQ(finish({}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("Examples:"));
}

TEST_F(ArgumentsTest, an_unknown_command_is_answered_with_the_nearest_one) {
  EXPECT_EQ(finish({"htpp", "3000"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("did you mean \"http\"?"));
  EXPECT_EQ(finish({"frobnicate"}), 2);
  EXPECT_THAT(err_, HasSubstr("--help"));
}

TEST_F(ArgumentsTest, wrong_usage_is_one_line_on_stderr_and_exit_code_2) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"http"},
                                             {"http", "3000", "--nonsense"},
                                             {"http", "no-port"},
                                             {"http", "https://example.com"},
                                             {"http", "3000", "--relay-key", "MD5:x"},
                                             {"http", "3000", "--relay", "a b:1"},
                                             {"tcp", "22", "--port", "70000"},
                                             {"tcp", "22", "--name", "x"},
                                             {"relay", "--listen", "nowhere"},
                                             {"relay", "--ports", "9-1"},
                                             {"relay", "--linger", "-1"},
                                             {"relay", "extra"}}) {
    EXPECT_EQ(finish(words), 2) << words.front() << ' ' << words.back();
    EXPECT_EQ(out_, "");
    EXPECT_THAT(err_, StartsWith("streamkit: "));
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  }
}

TEST_F(ArgumentsTest, exit_codes_are_documented_as_help_shows_them) {
  ASSERT_EQ(finish({"--help"}), 0);
  std::ifstream file(STREAMKIT_SOURCE_DIR "/docs/cli.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  const std::regex row("  ([0-9]+) +[a-z].*");
  std::istringstream lines(out_.substr(out_.find("Exit codes:")));
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    ++rows;
    EXPECT_THAT(document, HasSubstr("\n| " + match[1].str() + " |")) << line;
  }
  EXPECT_EQ(rows, 8);
}

TEST_F(ArgumentsTest, every_flag_is_documented) {
  std::ifstream file(STREAMKIT_SOURCE_DIR "/docs/cli.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  const std::regex flag("--[a-z][a-z-]+");
  for (const char* command : {"relay", "http", "tcp", "bench"}) {
    ASSERT_EQ(finish({command, "--help"}), 0);
    for (std::sregex_iterator at(out_.begin(), out_.end(), flag), end; at != end; ++at) {
      EXPECT_THAT(document, HasSubstr("`" + at->str())) << command;
    }
  }
}

}  // namespace
}  // namespace streamkit::cli
