// Our reader of known_hosts beside three others: `ssh-keygen -F`, libssh and libssh2. The files are
// random: names, wildcards, negations, ports, hashed names, capitals, lists, markers. Each line has
// a key of its own, so that a reader can be asked about a line. Where a reader is known to leave
// something out of the format, lines that have it are not compared with it: libssh skips markers,
// lets a negated name exclude nothing, and takes [host]:22 for host; libssh2 knows none of that, no
// wildcards, no capitals, and no names of one or two letters, which are therefore nowhere.
//
// The files are the same in every run. STREAMKIT_SEED=N begins with another one; a failure says
// which.
#include "our_server.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/digest.hpp>

#include <algorithm>
#include <libssh/libssh.h>
#include <libssh2.h>
#include <map>
#include <random>
#include <sstream>

namespace streamkit::testing {
namespace {

using Verdict = KnownHosts::Verdict;

constexpr std::size_t kFiles = 40, kLines = 20;

/// The key of line `number` of every file; that of line 0 is in none.
const crypto::PublicKey& key_of(std::size_t number) {
  static std::map<std::size_t, crypto::PublicKey> keys;
  crypto::PublicKey& key = keys[number];
  if (key.is_empty()) key = new_key().public_key();
  return key;
}

struct Line {
  std::string marker, hosts;
  bool is_hashed = false;
  std::string text(std::size_t number) const {
    return (marker.empty() ? "" : marker + " ") + hosts + " " + key_of(number).text();
  }
  bool has(std::string_view any) const {
    return !is_hashed && hosts.find_first_of(any) != std::string::npos;
  }
};

/// What is asked for, and how it stands in a file.
struct Name {
  std::string host;
  std::uint16_t port;
  std::string text() const { return port == 22 ? host : "[" + host + "]:" + std::to_string(port); }
};

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  Name name() {
    constexpr std::uint16_t kPorts[] = {22, 22, 2222, 2200};
    return {word(one_in(4) ? "ab." : "ab"), kPorts[random_() % 4]};
  }
  Line line() {
    Line line;
    if (one_in(5)) line.marker = one_in(2) ? "@revoked" : "@cert-authority";
    if (one_in(4)) {
      line.is_hashed = true;
      line.hosts = hashed(name().text());
      return line;
    }
    for (auto n = 1 + random_() % 3; n > 0; --n) {
      if (!line.hosts.empty()) line.hosts += ',';
      line.hosts += pattern();
    }
    return line;
  }

 private:
  bool one_in(unsigned n) { return random_() % n == 0; }
  std::string word(std::string_view letters) {
    std::string word(1, letters.front());
    for (auto n = 2 + random_() % 2; n > 0; --n) word += letters[random_() % letters.size()];
    return word;
  }
  std::string pattern() {
    std::string text = word(one_in(3) ? "*ab.?" : one_in(4) ? "ABb" : "ab");
    if (one_in(25)) text = one_in(2) ? "*" : "?";
    if (one_in(3)) text = "[" + text + (one_in(4) ? "]:*" : one_in(2) ? "]:2222" : "]:22");
    return one_in(5) ? "!" + text : text;
  }
  /// As ssh-keygen -H writes a name.
  std::string hashed(const std::string& name) {
    Bytes salt(crypto::hash_size(crypto::Hash::sha1));
    for (std::byte& byte : salt) byte = static_cast<std::byte>(random_());
    const Bytes hash = crypto::hmac(crypto::Hash::sha1, salt, as_bytes(name)).value();
    return "|1|" + base64_encode(salt) + "|" + base64_encode(hash);
  }

  std::mt19937_64 random_;
};

/// How many lines a reader found, and how many it did not: a sample with one kind only says
/// nothing.
struct Tally {
  std::size_t found = 0, not_found = 0;
  void count(bool is_found) { ++(is_found ? found : not_found); }
};
void expect_both(const Tally& tally) {
  EXPECT_GT(tally.found, 40u);
  EXPECT_GT(tally.not_found, 100u);
}

/// A file of random lines, and what is asked about it.
struct File {
  explicit File(std::uint64_t with_seed) : seed(with_seed) {
    Maker maker(seed);
    for (std::size_t i = 0; i < kLines; ++i) lines.push_back(maker.line());
    for (std::size_t i = 0; i < 10; ++i) names.push_back(maker.name());
    for (std::size_t i = 0; i < kLines; ++i) text += lines[i].text(i + 1) + "\n";
    ours = KnownHosts::parse(text);
    EXPECT_EQ(ours.problems(), std::vector<std::string>());
  }
  /// What we say of the line `number`; `unknown` when another line decides or none.
  Verdict verdict(const Name& name, std::size_t number) const {
    const auto answer = ours.check(name.host, name.port, key_of(number));
    return answer.line == number ? answer.verdict : Verdict::unknown;
  }
  std::string where(const Name& name, std::size_t number) const {
    return "STREAMKIT_SEED=" + std::to_string(seed) + ", " + name.text() + ", line " +
           std::to_string(number) + ": " + lines[number - 1].marker + " " + lines[number - 1].hosts;
  }

  std::uint64_t seed;
  std::vector<Line> lines;
  std::vector<Name> names;
  std::string text;
  KnownHosts ours;
};

/// Calls with each file; stops after one that failed.
template <class Function>
void for_each_file(Function function) {
  const char* chosen = std::getenv("STREAMKIT_SEED");
  const std::uint64_t first = chosen ? std::strtoull(chosen, nullptr, 10) : 1;
  for (std::uint64_t seed = first; seed < first + kFiles && !::testing::Test::HasFailure(); ++seed)
    function(File(seed));
}

// ---------------------------------------------------------------- ssh-keygen

/// The lines that `ssh-keygen -F` finds, each with its marker ("", "CA", "REVOKED").
std::map<std::size_t, std::string> found_by_openssh(const std::string& path, const Name& name) {
  Program find({"ssh-keygen", "-F", name.text(), "-f", path});
  std::map<std::size_t, std::string> found;
  std::istringstream output(find.talk());
  for (std::string line; std::getline(output, line);) {
    const std::size_t at = line.find(" found: line ");
    if (!line.starts_with("# Host ") || at == std::string::npos) continue;
    std::istringstream rest(line.substr(at + std::string_view(" found: line ").size()));
    std::size_t number = 0;
    std::string marker;
    rest >> number >> marker;
    found[number] = marker;
  }
  return found;
}

TEST(KnownHostsReaders, ssh_keygen_finds_the_lines_that_we_find) {
  SK_NEEDS("ssh-keygen", "openssh-client");
  std::map<std::string, Tally> tallies;  // by marker
  Tally strangers;
  for_each_file([&](const File& file) {
    const Folder folder;
    const std::string path = folder.write("known_hosts", file.text);
    for (const Name& name : file.names) {
      const std::map<std::size_t, std::string> found = found_by_openssh(path, name);
      bool is_known_host = false;
      for (std::size_t i = 1; i <= kLines; ++i) {
        const auto theirs = found.find(i);
        const std::string& marker = file.lines[i - 1].marker;
        const bool is_found = theirs != found.end();
        tallies[marker].count(is_found);
        is_known_host = is_known_host || (is_found && marker.empty());
        // An authority is asked about for a host, with every port.
        if (marker == "@cert-authority" && name.port == 22) {
          const auto answer = file.ours.check_authority(name.host, name.port, key_of(i));
          EXPECT_EQ(answer.verdict == Verdict::known, is_found) << file.where(name, i);
        }
        const Verdict expected = !is_found || marker == "@cert-authority" ? Verdict::unknown
                                 : marker == "@revoked"                   ? Verdict::revoked
                                                                          : Verdict::known;
        EXPECT_EQ(file.verdict(name, i), expected) << file.where(name, i);
      }
      // Another key is a changed one where a line is for the host, and a first contact where none
      // is.
      strangers.count(is_known_host);
      EXPECT_EQ(file.ours.check(name.host, name.port, key_of(0)).verdict,
                is_known_host ? Verdict::changed : Verdict::unknown)
          << "STREAMKIT_SEED=" << file.seed << ", " << name.text();
    }
  });
  for (const char* marker : {"", "@revoked", "@cert-authority"}) {
    SCOPED_TRACE(marker);
    EXPECT_GT(tallies[marker].found, 20u);
    EXPECT_GT(tallies[marker].not_found, 100u);
  }
  EXPECT_GT(strangers.found, 10u);
  EXPECT_GT(strangers.not_found, 10u);
}

// ---------------------------------------------------------------- libssh

bool libssh_finds(const std::string& line, const Name& name) {
  ssh_knownhosts_entry* entry = nullptr;
  const int answer = ssh_known_hosts_parse_line(name.text().c_str(), line.c_str(), &entry);
  if (entry) ssh_knownhosts_entry_free(entry);
  EXPECT_TRUE(answer == SSH_OK || answer == SSH_AGAIN) << line;
  return answer == SSH_OK;
}

TEST(KnownHostsReaders, libssh_finds_the_lines_that_we_find) {
  Tally tally;
  for_each_file([&](const File& file) {
    for (const Name& name : file.names)
      for (std::size_t i = 1; i <= kLines; ++i) {
        const Line& line = file.lines[i - 1];
        if (!line.marker.empty() || line.has(name.port == 22 ? "![" : "!")) continue;
        const bool is_found = libssh_finds(line.text(i), name);
        tally.count(is_found);
        EXPECT_EQ(file.verdict(name, i), is_found ? Verdict::known : Verdict::unknown)
            << file.where(name, i);
      }
  });
  expect_both(tally);
}

// ---------------------------------------------------------------- libssh2

struct FreeSession {
  void operator()(LIBSSH2_SESSION* s) const { libssh2_session_free(s); }
};
struct FreeHosts {
  void operator()(LIBSSH2_KNOWNHOSTS* h) const { libssh2_knownhost_free(h); }
};

TEST(KnownHostsReaders, libssh2_finds_the_lines_that_we_find) {
  ASSERT_EQ(libssh2_init(0), 0);
  const std::unique_ptr<LIBSSH2_SESSION, FreeSession> session(libssh2_session_init());
  Tally tally;
  for_each_file([&](const File& file) {
    const std::unique_ptr<LIBSSH2_KNOWNHOSTS, FreeHosts> hosts(
        libssh2_knownhost_init(session.get()));
    std::vector<std::size_t> compared;
    for (std::size_t i = 1; i <= kLines; ++i) {
      const Line& line = file.lines[i - 1];
      if (!line.marker.empty() || line.has("!*?AB")) continue;
      const std::string text = line.text(i) + "\n";
      EXPECT_EQ(libssh2_knownhost_readline(hosts.get(), text.data(), text.size(),
                                           LIBSSH2_KNOWNHOST_FILE_OPENSSH),
                0)
          << text;
      compared.push_back(i);
    }
    for (const Name& name : file.names)
      for (const std::size_t i : compared) {
        const ByteView blob = key_of(i).blob();
        const int answer =
            libssh2_knownhost_check(hosts.get(), name.text().c_str(),
                                    reinterpret_cast<const char*>(blob.data()), blob.size(),
                                    LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW |
                                        LIBSSH2_KNOWNHOST_KEY_ED25519,
                                    nullptr);
        const bool is_found = answer == LIBSSH2_KNOWNHOST_CHECK_MATCH;
        tally.count(is_found);
        EXPECT_EQ(file.verdict(name, i), is_found ? Verdict::known : Verdict::unknown)
            << file.where(name, i);
      }
  });
  expect_both(tally);
}

}  // namespace
}  // namespace streamkit::testing
