// The readers of known_hosts and authorized_keys held against the real ssh-keygen: what it finds we
// find, and what it does not take for a key we do not take for one.
#include <streamkit/io/file.hpp>
#include <streamkit/peer/trust.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <map>
#include <peer/folder.hpp>
#include <peer/keys.hpp>
#include <random>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace streamkit;
using crypto::KeyType;
using crypto::PublicKey;
using test::Folder;
using test::key;
using test::text;
using Verdict = KnownHosts::Verdict;

namespace {

struct Ran {
  int status = -1;  // 127: there is no such program
  std::string output;
};

/// Runs ssh-keygen, without a shell, and gives what it wrote to stdout.
Ran ssh_keygen(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ssh-keygen");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ran ran;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    ran.output.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  if (failed != 0) return {127, ""};
  int status = 0;
  if (::waitpid(child, &status, 0) == child && WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

class AgainstOpenSsh : public testing::Test {
 protected:
  void SetUp() override {
    if (ssh_keygen({"-l", "-f", "/dev/null"}).status == 127)
      GTEST_SKIP() << "there is no ssh-keygen";
  }
  Folder folder_;
};

/// Line numbers that `ssh-keygen -F` finds for a host, each with its marker ("", "CA", "REVOKED").
std::map<std::size_t, std::string> lines_found(const std::string& host, const std::string& file) {
  std::map<std::size_t, std::string> found;
  std::istringstream output(ssh_keygen({"-F", host, "-f", file}).output);
  for (std::string line; std::getline(output, line);) {
    const auto at = line.find(" found: line ");
    if (!line.starts_with("# Host ") || at == std::string::npos) continue;
    std::istringstream rest(line.substr(at + 13));
    std::size_t number = 0;
    std::string marker;
    rest >> number >> marker;
    found[number] = marker;
  }
  return found;
}

/// Line i (from 1) of such a file has key(i), so that check() can be asked about one line.
void expect_agreement(const std::string& path, std::size_t lines, const std::string& host,
                      std::uint16_t port, std::size_t& found_count) {
  const auto found =
      lines_found(port == 22 ? host : '[' + host + "]:" + std::to_string(port), path);
  const KnownHosts ours = KnownHosts::parse(io::read_file(path).value());
  for (std::size_t line = 1; line <= lines; ++line) {
    const auto answer = ours.check(host, port, key(static_cast<unsigned>(line)));
    const auto theirs = found.find(line);
    const Verdict verdict = answer.line == line ? answer.verdict : Verdict::unknown;
    if (theirs == found.end() || theirs->second == "CA") {
      EXPECT_NE(verdict, Verdict::known) << "line " << line << " for " << host << ':' << port;
      EXPECT_NE(verdict, Verdict::revoked) << "line " << line << " for " << host << ':' << port;
    } else {
      ++found_count;
      EXPECT_EQ(verdict, theirs->second == "REVOKED" ? Verdict::revoked : Verdict::known)
          << "line " << line << " for " << host << ':' << port;
    }
  }
}

const std::vector<std::string>& written_patterns() {
  static const std::vector<std::string> patterns = {"h",
                                                    "H.Example.ORG",
                                                    "*.example.org",
                                                    "*.example.org,!bad.example.org",
                                                    "!bad.example.org,*",
                                                    "[h]:2222",
                                                    "[*]:2222",
                                                    "[*.example.org]:*",
                                                    "10.0.0.?",
                                                    "10.0.0.1,::1",
                                                    "[::1]:2222",
                                                    "a,b,c",
                                                    "a,,c",
                                                    ",",
                                                    "!h",
                                                    "!*,h",
                                                    "h,!*",
                                                    "*",
                                                    "?",
                                                    "??",
                                                    "*h*",
                                                    "**",
                                                    "h*",
                                                    "!!h",
                                                    "@revoked h",
                                                    "@revoked *.example.org",
                                                    "@cert-authority *",
                                                    "@revoked *,!h",
                                                    "\\h",
                                                    "[h]",
                                                    "h:22",
                                                    "[h]:22",
                                                    "[hH]",
                                                    "h!,h",
                                                    "*,!*.example.org,h"};
  return patterns;
}

std::string file_of(const std::vector<std::string>& patterns) {
  std::string file;
  for (std::size_t i = 0; i < patterns.size(); ++i)
    file += patterns[i] + ' ' + text(static_cast<unsigned>(i + 1)) + "\n";
  return file;
}

const std::vector<std::string> kHosts = {
    "h",        "a",         "b",   "hh",          "c",  "bad.example.org", "h.example.org",
    "10.0.0.1", "10.0.0.12", "::1", "example.org", "\\h"};

TEST_F(AgainstOpenSsh, c22_finds_the_lines_that_it_finds) {
  const std::string path = folder_.write("known_hosts", file_of(written_patterns()));
  std::size_t found = 0;
  for (const std::string& host : kHosts)
    for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{2222}})
      expect_agreement(path, written_patterns().size(), host, port, found);
  EXPECT_GT(found, 100u) << "the sample has to have both kinds";
}

TEST_F(AgainstOpenSsh, c22_finds_the_lines_that_it_finds_in_random_files) {
  std::minstd_rand random(11);
  const std::string alphabet = "ab.*?!,,";
  const auto random_word = [&](std::size_t most, std::size_t letters) {
    std::string word;
    for (auto n = 1 + random() % most; n > 0; --n) word += alphabet[random() % letters];
    return word;
  };
  std::vector<std::string> patterns;
  for (int i = 0; i < 300; ++i) patterns.push_back(random_word(9, alphabet.size()));
  const std::string path = folder_.write("known_hosts", file_of(patterns));
  std::size_t found = 0;
  for (int i = 0; i < 30; ++i) {
    const std::string host = random_word(5, 3);
    expect_agreement(path, patterns.size(), host, 22, found);
  }
  EXPECT_GT(found, 100u) << "the sample has to have both kinds";
}

TEST_F(AgainstOpenSsh, finds_hosts_in_a_file_that_it_hashed) {
  const std::vector<std::string> names = {"h",   "H.Example.ORG", "[h]:2222",       "10.0.0.1",
                                          "::1", "[::1]:2222",    "bad.example.org"};
  const std::string path = folder_.write("known_hosts", file_of(names));
  ASSERT_EQ(ssh_keygen({"-H", "-f", path}).status, 0);
  const std::string content = io::read_file(path).value();
  EXPECT_EQ(content.find("example"), std::string::npos);
  EXPECT_TRUE(content.starts_with("|1|"));
  EXPECT_TRUE(KnownHosts::parse(content).problems().empty());
  std::size_t found = 0;
  for (const std::string& host : kHosts)
    for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{2222}})
      expect_agreement(path, names.size(), host, port, found);
  EXPECT_GE(found, 6u);
}

TEST_F(AgainstOpenSsh, has_its_own_lines_found_by_it) {
  std::string file;
  for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{7000}})
    for (const char* host : {"example.org", "::1", "10.0.0.1"})
      file += KnownHosts::line(host, port, key()) + "\n";
  const std::string path = folder_.write("known_hosts", file);
  for (const char* name :
       {"example.org", "::1", "10.0.0.1", "[example.org]:7000", "[::1]:7000", "[10.0.0.1]:7000"})
    EXPECT_EQ(lines_found(name, path).size(), 1u) << name;
}

TEST_F(AgainstOpenSsh, prints_the_same_fingerprints) {
  std::string file, expected;
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::ecdsa_p384,
                             KeyType::ecdsa_p521, KeyType::rsa})
    file += "name=\"a b\\\"\",restrict " + text(0, type) + " a comment\n";
  // The names have a blank, which we refuse; ssh-keygen does not look into them.
  std::string ours = file;
  for (auto at = ours.find("a b"); at != std::string::npos; at = ours.find("a b"))
    ours.replace(at, 3, "a_b");
  const std::string output = ssh_keygen({"-l", "-f", folder_.write("keys", file)}).output;
  const AuthorizedKeys keys = AuthorizedKeys::parse(ours);
  ASSERT_EQ(keys.entries().size(), 5u);
  for (const auto& entry : keys.entries())
    EXPECT_NE(output.find(' ' + entry.key.fingerprint() + ' '), std::string::npos) << output;
}

TEST_F(AgainstOpenSsh, c22_takes_nothing_for_a_key_that_it_does_not) {
  const std::string good = text(), base64 = good.substr(good.find(' ') + 1);
  std::minstd_rand random(3);
  std::vector<std::string> lines = {good, "restrict " + good, "name=\"a\" " + good + " c",
                                    good.substr(0, good.size() - 1), "ssh-rsa " + base64};
  for (int i = 0; i < 60; ++i) {
    std::string line = i % 2 ? good : "name=\"a\",restrict " + good;
    const std::size_t at = random() % line.size();
    switch (random() % 3) {
      case 0:
        line[at] = static_cast<char>(' ' + random() % 95);
        break;
      case 1:
        line.erase(at, 1 + random() % 4);
        break;
      default:
        line.insert(at, 1, static_cast<char>(' ' + random() % 95));
    }
    lines.push_back(line);
  }
  std::size_t taken = 0;
  for (const std::string& line : lines) {
    const AuthorizedKeys ours = AuthorizedKeys::parse(line + "\n");
    if (ours.entries().empty()) continue;
    ++taken;
    const Ran theirs = ssh_keygen({"-l", "-f", folder_.write("keys", line + "\n")});
    EXPECT_EQ(theirs.status, 0) << line;
    EXPECT_NE(theirs.output.find(ours.entries()[0].key.fingerprint()), std::string::npos) << line;
  }
  EXPECT_GE(taken, 3u);
  EXPECT_LT(taken, lines.size());
}

TEST_F(AgainstOpenSsh, makes_identities_that_it_reads) {
  const std::string path = folder_.path("id");
  const PublicKey ours = load_or_create_identity(path).value().public_key();
  const Ran read = ssh_keygen({"-y", "-P", "", "-f", path});
  EXPECT_EQ(read.status, 0);
  EXPECT_EQ(PublicKey::from_text(read.output).value(), ours);
  EXPECT_NE(ssh_keygen({"-l", "-f", path + ".pub"}).output.find(ours.fingerprint()),
            std::string::npos);
}

TEST_F(AgainstOpenSsh, reads_identities_that_it_makes) {
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    const std::string path = folder_.path(std::string("id_") + type);
    ASSERT_EQ(ssh_keygen({"-q", "-t", type, "-N", "", "-f", path}).status, 0);
    const auto key = load_or_create_identity(path);
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(PublicKey::from_text(io::read_file(path + ".pub").value()).value(),
              key->public_key());
  }
}

TEST_F(AgainstOpenSsh, asks_for_the_passphrase_of_an_encrypted_identity) {
  const std::string path = folder_.path("id");
  ASSERT_EQ(
      ssh_keygen({"-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame", "-f", path}).status, 0);
  const auto without = load_identity(path);
  ASSERT_FALSE(without);
  EXPECT_TRUE(without.error().is(Errc::key_encrypted));
  EXPECT_NE(without.error().message().find(path), std::string::npos);
  const auto with = load_or_create_identity(
      path, [] { return Result<SecretBytes>(SecretBytes(as_bytes("open sesame"))); });
  ASSERT_TRUE(with) << with.error().message();
}

}  // namespace
