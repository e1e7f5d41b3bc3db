#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>
#include <streamkit/peer/trust.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <peer/keys.hpp>

using namespace streamkit;
using crypto::KeyType;
using crypto::PublicKey;
using test::key;
using test::text;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Verdict = KnownHosts::Verdict;

namespace {

Verdict verdict(const std::string& file, const char* host, std::uint16_t port = 22,
                const PublicKey& shown = key()) {
  return KnownHosts::parse(file).check(host, port, shown).verdict;
}

std::string hashed(const std::string& name, char salt = 's') {
  const Bytes bytes(20, std::byte(salt));
  const Bytes hash = crypto::hmac(crypto::Hash::sha1, bytes, as_bytes(name)).value();
  return "|1|" + base64_encode(bytes) + '|' + base64_encode(hash);
}

/// A well-formed line's key: the type, and base64 of a blob of these fields.
std::string blob_text(const std::string& type, std::initializer_list<std::string> fields) {
  Bytes blob;
  wire::Writer writer(blob);
  for (const std::string& field : fields) writer.string(field);
  return type + ' ' + base64_encode(blob);
}

// ---- known_hosts: who is known

TEST(KnownHosts, knows_a_host_by_its_key) {
  const KnownHosts hosts = KnownHosts::parse("# mine\n\nexample.org " + text() + " a comment\n");
  const auto answer = hosts.check("example.org", 22, key());
  EXPECT_EQ(answer.verdict, Verdict::known);
  EXPECT_EQ(answer.line, 3u);
  EXPECT_THAT(answer.expected, IsEmpty());
  EXPECT_THAT(hosts.problems(), IsEmpty());
  EXPECT_EQ(hosts.check("example.com", 22, key()).verdict, Verdict::unknown);
  EXPECT_EQ(hosts.check("example.com", 22, key()).line, 0u);
}

TEST(KnownHosts, calls_another_key_changed_and_says_which_were_expected) {
  const auto answer =
      KnownHosts::parse("h " + text(1) + "\nh " + text(2) + "\n").check("h", 22, key(3));
  EXPECT_EQ(answer.verdict, Verdict::changed);
  EXPECT_EQ(answer.line, 1u);
  EXPECT_THAT(answer.expected, ElementsAre(key(1), key(2)));
}

TEST(KnownHosts, calls_a_key_of_a_new_type_changed_and_not_unknown) {
  EXPECT_EQ(verdict("h " + text(0, KeyType::ecdsa_p256) + "\n", "h"), Verdict::changed);
}

TEST(KnownHosts, knows_any_of_several_keys_wherever_they_stand) {
  const std::string file =
      "h " + text(1) + "\nh " + text(0) + "\nh " + text(0, KeyType::ecdsa_p384) + "\n";
  EXPECT_EQ(verdict(file, "h"), Verdict::known);
  EXPECT_EQ(verdict(file, "h", 22, key(0, KeyType::ecdsa_p384)), Verdict::known);
  EXPECT_THAT(KnownHosts::parse(file).check("h", 22, key()).expected, IsEmpty());
  EXPECT_EQ(KnownHosts::parse(file + file).check("h", 22, key()).line, 2u) << "the first of them";
}

TEST(KnownHosts, compares_names_in_any_case) {
  EXPECT_EQ(verdict("Example.ORG " + text(), "exAmple.org"), Verdict::known);
  EXPECT_EQ(verdict(hashed("example.org") + ' ' + text(), "EXAMPLE.org"), Verdict::known);
}

TEST(KnownHosts, understands_patterns_and_lists) {
  const std::string file = "a?c,*.example.org,10.0.0.* " + text() + "\n";
  EXPECT_EQ(verdict(file, "abc"), Verdict::known);
  EXPECT_EQ(verdict(file, "x.example.org"), Verdict::known);
  EXPECT_EQ(verdict(file, "10.0.0.7"), Verdict::known);
  EXPECT_EQ(verdict(file, "example.org"), Verdict::unknown);
  EXPECT_EQ(verdict(file, "ac"), Verdict::unknown);
}

TEST(KnownHosts, c22_lets_a_negation_win_wherever_it_stands) {
  for (const char* list : {"*.example.org,!bad.example.org", "!bad.example.org,*.example.org",
                           "!BAD*,*.example.org"}) {
    const std::string file = std::string(list) + ' ' + text() + "\n";
    EXPECT_EQ(verdict(file, "bad.example.org"), Verdict::unknown) << list;
    EXPECT_EQ(verdict(file, "good.example.org"), Verdict::known) << list;
  }
  EXPECT_EQ(verdict("!bad " + text(), "good"), Verdict::unknown)
      << "a negation alone trusts nobody";
}

TEST(KnownHosts, takes_a_negation_for_its_own_line_only) {
  EXPECT_EQ(verdict("*,!h " + text() + "\nh " + text() + "\n", "h"), Verdict::known);
}

TEST(KnownHosts, writes_port_22_plainly_and_others_in_brackets) {
  EXPECT_EQ(verdict("h " + text(), "h", 22), Verdict::known);
  EXPECT_EQ(verdict("h " + text(), "h", 2222), Verdict::unknown);
  EXPECT_EQ(verdict("[h]:2222 " + text(), "h", 2222), Verdict::known);
  EXPECT_EQ(verdict("[h]:2222 " + text(), "h", 22), Verdict::unknown);
  EXPECT_EQ(verdict("[h]:22 " + text(), "h", 22), Verdict::unknown);
  EXPECT_EQ(verdict("[*]:2222 " + text(), "h", 2222), Verdict::known);
  EXPECT_EQ(verdict("[::1]:2222 " + text(), "::1", 2222), Verdict::known);
  EXPECT_EQ(verdict("::1 " + text(), "::1", 22), Verdict::known);
}

TEST(KnownHosts, understands_hashed_names) {
  EXPECT_EQ(verdict(hashed("h") + ' ' + text(), "h"), Verdict::known);
  EXPECT_EQ(verdict(hashed("h") + ' ' + text(), "other"), Verdict::unknown);
  EXPECT_EQ(verdict(hashed("h") + ' ' + text(1), "h"), Verdict::changed);
  EXPECT_EQ(verdict(hashed("[h]:2222") + ' ' + text(), "h", 2222), Verdict::known);
  EXPECT_EQ(verdict("@revoked " + hashed("h") + ' ' + text(), "h"), Verdict::revoked);
}

TEST(KnownHosts, c22_lets_a_revocation_win_wherever_it_stands) {
  for (const std::string& file :
       {"h " + text() + "\n@revoked * " + text() + "\n",
        "@revoked * " + text() + "\nh " + text() + "\n", "@revoked\t h " + text() + "\n"}) {
    const auto answer = KnownHosts::parse(file).check("h", 22, key());
    EXPECT_EQ(answer.verdict, Verdict::revoked) << file;
    EXPECT_GT(answer.line, 0u);
  }
  EXPECT_EQ(verdict("@revoked * " + text(1) + "\nh " + text() + "\n", "h"), Verdict::known);
  EXPECT_EQ(verdict("@revoked other " + text() + "\nh " + text() + "\n", "h"), Verdict::known);
  EXPECT_EQ(verdict("@revoked * " + text(1) + "\n", "h"), Verdict::unknown);
}

TEST(KnownHosts, trusts_nothing_with_an_empty_host_or_key) {
  EXPECT_EQ(verdict("* " + text(), ""), Verdict::changed);
  EXPECT_EQ(verdict("* " + text(), "h", 22, PublicKey()), Verdict::changed);
  EXPECT_EQ(verdict("", "h", 22, PublicKey()), Verdict::changed);
}

// ---- known_hosts: how lines are read

TEST(KnownHosts, takes_line_ends_of_either_kind_blanks_and_a_last_line_without_end) {
  const std::string file = " \t a\t " + text() + "\tcomment \r\n\r\n  # no\r\nb " + text();
  EXPECT_EQ(verdict(file, "a"), Verdict::known);
  EXPECT_EQ(verdict(file, "b"), Verdict::known);
  EXPECT_EQ(KnownHosts::parse(file).check("b", 22, key()).line, 4u);
  EXPECT_THAT(KnownHosts::parse(file).problems(), IsEmpty());
  EXPECT_EQ(verdict("\xef\xbb\xbfh " + text(), "h"), Verdict::known) << "a byte order mark";
}

TEST(KnownHosts, c22_reads_a_line_of_any_length_whole) {
  // A reader with a fixed buffer would see the tail of such a line as a line of its own.
  for (const std::size_t length : {1000u, 1023u, 1024u, 4096u, 8192u, 65536u, 300000u}) {
    const std::string file = std::string(length, 'x') + ",h " + text() + "\n";
    EXPECT_EQ(verdict(file, "h"), Verdict::known) << length;
    const std::string comment =
        "h " + text(1) + ' ' + std::string(length, ' ') + "evil " + text() + "\n";
    EXPECT_EQ(verdict(comment, "evil"), Verdict::unknown) << length;
  }
}

Verdict authority(const std::string& file, const std::string& host, std::uint16_t port = 22) {
  return KnownHosts::parse(file).check_authority(host, port, key()).verdict;
}

TEST(KnownHosts, takes_the_key_of_an_authority_for_nobody_s) {
  const KnownHosts hosts = KnownHosts::parse("@cert-authority * " + text() + "\n");
  EXPECT_EQ(hosts.check("h", 22, key()).verdict, Verdict::unknown);
  EXPECT_EQ(hosts.check_authority("h", 22, key()).verdict, Verdict::known);
  EXPECT_EQ(hosts.check_authority("h", 22, key(1)).verdict, Verdict::unknown);
  EXPECT_THAT(hosts.problems(), IsEmpty());
  EXPECT_EQ(authority("h " + text() + "\n", "h"), Verdict::unknown)
      << "nor a host's key for an authority";
}

TEST(KnownHosts, knows_an_authority_for_the_hosts_of_its_patterns_on_every_port) {
  const std::string file = "@cert-authority *.example.org,h,!bad.example.org " + text() + "\n";
  for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{2222}}) {
    EXPECT_EQ(authority(file, "A.example.org", port), Verdict::known);
    EXPECT_EQ(authority(file, "h", port), Verdict::known);
    EXPECT_EQ(authority(file, "bad.example.org", port), Verdict::unknown);
    EXPECT_EQ(authority(file, "example.org", port), Verdict::unknown);
    EXPECT_TRUE(KnownHosts::parse(file).has_authority("h", port));
    EXPECT_FALSE(KnownHosts::parse(file).has_authority("bad.example.org", port));
  }
  EXPECT_EQ(authority("@cert-authority [h]:2222 " + text() + "\n", "h", 2222), Verdict::known);
  EXPECT_EQ(authority("@cert-authority [h]:2222 " + text() + "\n", "h", 22), Verdict::unknown);
  EXPECT_EQ(authority("@cert-authority *,!h " + text() + "\n", "h", 2222), Verdict::unknown)
      << "the exception holds on every port";
  EXPECT_EQ(authority("@cert-authority *,![h]:2222 " + text() + "\n", "h", 2222), Verdict::unknown);
  EXPECT_EQ(authority("@cert-authority " + hashed("h") + " " + text() + "\n", "h", 2222),
            Verdict::known);
  EXPECT_EQ(authority("@cert-authority " + hashed("h") + " " + text() + "\n", "g"),
            Verdict::unknown);
}

TEST(KnownHosts, believes_no_authority_that_is_revoked_wherever_the_line_stands) {
  const std::string known = "@cert-authority * " + text() + "\n",
                    cut = text().substr(0, text().size() - 4);
  for (const std::string& revoked : {"@revoked h " + text() + "\n", "@revoked * " + cut + "\n",
                                     "@revoked |1|x|y " + text() + "\n"}) {
    EXPECT_EQ(authority(known + revoked, "h", 2222), Verdict::revoked) << revoked;
    EXPECT_EQ(authority(revoked + known, "h"), Verdict::revoked) << revoked;
  }
  EXPECT_EQ(authority(known + "@revoked g " + text() + "\n", "h"), Verdict::known);
  EXPECT_EQ(authority(known + "@revoked * " + text(1) + "\n", "h"), Verdict::known);
}

TEST(KnownHosts, remembers_that_there_is_an_authority_whose_line_it_cannot_read) {
  const KnownHosts hosts = KnownHosts::parse("@cert-authority h ssh-ed25519 AAAA\n");
  EXPECT_TRUE(hosts.has_authority("h", 22));
  EXPECT_FALSE(hosts.has_authority("g", 22));
  EXPECT_EQ(hosts.check_authority("h", 22, key()).verdict, Verdict::unknown);
  EXPECT_THAT(hosts.problems(), ElementsAre(StartsWith("line 1: ")));
}

TEST(KnownHosts, c22_neither_trusts_nor_forgets_a_host_whose_line_it_cannot_read) {
  const std::string good = text();
  const std::string base64 = good.substr(good.find(' ') + 1);
  const std::string p256 = text(0, KeyType::ecdsa_p256);
  const std::string lines[] = {
      "h",
      "h ssh-ed25519",
      "h " + base64,
      "h ssh-ed25519 " + base64.substr(1),
      "h ssh-ed25519 " + base64 + "AAAA",
      "h ssh-ed25519 " + base64.substr(0, base64.size() - 4),
      "h ssh-ed25519 !" + base64,
      "h ssh-rsa " + base64,  // the declared type is not the key's
      "h ecdsa-sha2-nistp384 " + p256.substr(p256.find(' ') + 1),
      "h SSH-ED25519 " + base64,
      "h ssh-ed25519," + base64,
      "h \"" + good + "\"",
      "h name=\"a\" " + good,     // options belong into authorized_keys
      "h 2048 65537 1234567890",  // SSH 1
      "h ssh-dss " + base64,
      "@unknown h " + good,
      "@Revoked h " + good,
      "@ h " + good,
      "@revoked-not h " + good,
      "h " + good + "\r garbage",
      "h " + good + std::string("\0", 1),
      "h " + good + " \x1b[2J",
  };
  for (const std::string& line : lines) {
    const KnownHosts hosts = KnownHosts::parse(line + "\n");
    const auto answer = hosts.check("h", 22, key());
    EXPECT_EQ(answer.verdict, Verdict::changed) << line;
    EXPECT_EQ(answer.line, 1u) << line;
    EXPECT_THAT(answer.expected, IsEmpty()) << line;
    EXPECT_THAT(hosts.problems(), ElementsAre(StartsWith("line 1: "))) << line;
    EXPECT_EQ(escape(hosts.problems()[0]), hosts.problems()[0]) << "has to be safe to print";
    EXPECT_EQ(hosts.check("other", 22, key()).verdict, Verdict::unknown) << line;
    EXPECT_EQ(verdict(line + "\nh " + good + "\n", "h"), Verdict::known) << line;
  }
}

TEST(KnownHosts, skips_lines_that_name_nobody) {
  const std::string salt = base64_encode(Bytes(20)), wrong = base64_encode(Bytes(19));
  const std::string fields[] = {"|1|",
                                "|1|" + salt,
                                "|1|" + salt + "|",
                                "|1|" + salt + "|" + wrong,
                                "|1|" + wrong + "|" + salt,
                                "|2|" + salt + "|" + salt,
                                "|1|" + salt + "|" + salt + "|",
                                "|",
                                "|1|!|" + salt,
                                hashed("h") + ",h"};
  for (const std::string& field : fields) {
    const KnownHosts hosts = KnownHosts::parse(field + ' ' + text() + "\n");
    EXPECT_EQ(hosts.check("h", 22, key()).verdict, Verdict::unknown) << field;
    EXPECT_THAT(hosts.problems(), ElementsAre("line 1: the hashed host name is malformed"));
  }
}

TEST(KnownHosts, c22_takes_what_it_cannot_read_of_a_revocation_for_all) {
  const std::string good = text(), cut = good.substr(0, good.size() - 4);
  EXPECT_EQ(verdict("@revoked h " + cut + "\nh " + text() + "\n", "h"), Verdict::revoked);
  EXPECT_EQ(verdict("@revoked g " + cut + "\nh " + text() + "\n", "h"), Verdict::known);
  EXPECT_EQ(verdict("@revoked |1|x|y " + good + "\n", "h"), Verdict::revoked);
  EXPECT_EQ(verdict("@revoked |1|x|y " + good + "\n", "h", 22, key(1)), Verdict::unknown);
  EXPECT_EQ(verdict("@revoked @cert-authority h " + good + "\n", "h"), Verdict::revoked);
  EXPECT_EQ(verdict("@cert-authority @revoked h " + good + "\n", "h"), Verdict::revoked);
  EXPECT_EQ(verdict("@revoked\n", "h"), Verdict::revoked);
}

TEST(KnownHosts, passes_over_revoked_keys_of_kinds_that_it_accepts_from_nobody) {
  const std::string small(128, '\x7f');
  for (const std::string& never :
       {blob_text("ssh-rsa", {"ssh-rsa", std::string("\1\0\1", 3), small}),
        blob_text("ssh-dss", {"ssh-dss", small, "q", "g", "y"}),
        blob_text("sk-ssh-ed25519@openssh.com", {"sk-ssh-ed25519@openssh.com", small, "ssh:"})}) {
    const std::string file = "@revoked * " + never + "\nh " + text() + "\n";
    EXPECT_EQ(verdict(file, "h"), Verdict::known) << never;
    EXPECT_EQ(KnownHosts::parse(file).problems().size(), 1u);
  }
}

TEST(KnownHosts, lists_so_many_problems_and_not_more) {
  std::string file;
  for (std::size_t i = 0; i < kMaxTrustProblems; ++i) file += "h\n";
  EXPECT_EQ(KnownHosts::parse(file).problems().size(), kMaxTrustProblems);
  EXPECT_THAT(KnownHosts::parse(file).problems().back(), StartsWith("line 100: "));
  file += "h\nh\nh\n";
  EXPECT_EQ(KnownHosts::parse(file).problems().size(), kMaxTrustProblems + 1);
  EXPECT_EQ(KnownHosts::parse(file).problems().back(), "further lines have problems too");
  EXPECT_EQ(verdict(file + "z " + text(), "z"), Verdict::known) << "reading goes on";
}

TEST(KnownHosts, writes_lines_that_it_reads) {
  EXPECT_EQ(KnownHosts::line("Example.org", 22, key()), "example.org " + text());
  EXPECT_EQ(KnownHosts::line("example.org", 7000, key()), "[example.org]:7000 " + text());
  for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{2222}})
    for (const char* host : {"h", "::1", "fe80::1%eth0", "10.0.0.1", "/run/a.sock"}) {
      const std::string line = KnownHosts::line(host, port, key());
      EXPECT_EQ(verdict(line, host, port), Verdict::known) << line;
      EXPECT_EQ(verdict(line, "other", port), Verdict::unknown) << line;
    }
}

TEST(KnownHosts, writes_no_line_that_would_say_more_than_it_was_told) {
  for (const char* host :
       {"", "*", "a,b", "a b", "a?", "a\nb", "!a", "|1|a|b", "@revoked", "#a", "a\tb", "a\r",
        "b\xc3\xbc"
        "cher",
        "*.example.org"})
    EXPECT_EQ(KnownHosts::line(host, 2222, key()), "") << host;
  EXPECT_EQ(KnownHosts::line("h", 22, PublicKey()), "");
}

// ---- authorized_keys

TEST(AuthorizedKeys, reads_keys_with_comments_and_options) {
  const AuthorizedKeys keys = AuthorizedKeys::parse(
      "# who may come\n" + text(0) + " ann@home of mine\r\n\n" + "restrict " + text(1) +
      "\nname=\"web*,!web0\",restrict\t" + text(2, KeyType::ecdsa_p256) +
      "  \nRestrict,Name=\"a\" " + text(3, KeyType::rsa));
  EXPECT_THAT(keys.problems(), IsEmpty());
  ASSERT_EQ(keys.entries().size(), 4u);
  EXPECT_EQ(keys.entries()[0].comment, "ann@home of mine");
  EXPECT_EQ(keys.entries()[0].line, 2u);
  EXPECT_THAT(keys.entries()[0].names, IsEmpty());
  EXPECT_EQ(keys.entries()[1].line, 4u);
  EXPECT_THAT(keys.entries()[2].names, ElementsAre("web*", "!web0"));
  EXPECT_EQ(keys.entries()[2].comment, "");
  EXPECT_THAT(keys.entries()[3].names, ElementsAre("a"));
}

TEST(AuthorizedKeys, finds_the_key_and_no_other) {
  const AuthorizedKeys keys = AuthorizedKeys::parse(text(0) + "\n" + text(1) + "\n");
  ASSERT_NE(keys.find(key(1)), nullptr);
  EXPECT_EQ(keys.find(key(1))->line, 2u);
  EXPECT_EQ(keys.find(key(2)), nullptr);
  EXPECT_EQ(keys.find(PublicKey()), nullptr);
  EXPECT_EQ(AuthorizedKeys::parse("").find(PublicKey()), nullptr);
}

TEST(AuthorizedKeys, allows_the_names_of_the_option_or_any) {
  AuthorizedKeys::Entry entry;
  EXPECT_TRUE(AuthorizedKeys::allows_name(entry, "anyone"));
  entry.names = {"web*", "!web0", "db?"};
  EXPECT_TRUE(AuthorizedKeys::allows_name(entry, "web1"));
  EXPECT_TRUE(AuthorizedKeys::allows_name(entry, "db1"));
  EXPECT_FALSE(AuthorizedKeys::allows_name(entry, "web0"));
  EXPECT_FALSE(AuthorizedKeys::allows_name(entry, "Web1")) << "names are exact";
  EXPECT_FALSE(AuthorizedKeys::allows_name(entry, "db"));
  EXPECT_FALSE(AuthorizedKeys::allows_name(entry, ""));
}

void expect_refused(const std::string& line, const std::string& because) {
  const AuthorizedKeys keys = AuthorizedKeys::parse("# one\n" + line + "\n" + text(9) + "\n");
  EXPECT_EQ(keys.find(key()), nullptr) << line;
  ASSERT_EQ(keys.entries().size(), 1u) << line;
  EXPECT_NE(keys.find(key(9)), nullptr) << "the next line stands";
  ASSERT_EQ(keys.problems().size(), 1u) << line;
  EXPECT_THAT(keys.problems()[0], StartsWith("line 2: "));
  EXPECT_THAT(keys.problems()[0], HasSubstr(because)) << line;
  EXPECT_EQ(escape(keys.problems()[0]), keys.problems()[0]) << "has to be safe to print";
}

TEST(AuthorizedKeys, c22_refuses_options_that_it_does_not_know) {
  for (const char* options : {"tunnel=\"1\"",
                              "no-touch-required",
                              "cert-authority=\"x\"",
                              "principals",
                              "names=\"a\"",
                              "restrict=\"a\"",
                              "name",
                              "x",
                              "=",
                              "=\"a\"",
                              "\"a\"",
                              "environment=\"A=ssh-ed25519 B\"",
                              "\xff[2J",
                              "verify-required",
                              "name:\"a\"",
                              ",restrict",
                              "restrict,,name=\"a\"",
                              "restrict,"})
    expect_refused(std::string(options) + ' ' + text(), "not known");
}

TEST(AuthorizedKeys, c22_refuses_options_that_do_not_parse) {
  expect_refused("name=a " + text(), "not in quotes");
  expect_refused("name= " + text(), "not in quotes");
  expect_refused("name='a' " + text(), "not in quotes");
  expect_refused("name=\"a " + text(), "not closed");
  expect_refused("name=\"a\\\" " + text(), "not closed");
  expect_refused("name=\"a\"restrict " + text(), "comma");
  expect_refused("name=\"a\"\"b\" " + text(), "comma");
  expect_refused("name=\"a\",name=\"b\" " + text(), "twice");
  for (const char* value : {"", ",", "a,", ",a", "a,,b", "a, b", "!", "a,!", "a\tb"})
    expect_refused("name=\"" + std::string(value) + "\" " + text(), "empty or has a blank");
  expect_refused("name=\"!a\" " + text(), "only what is not");
  expect_refused("principals=\"a\" " + text(), "for lines with cert-authority");
  expect_refused("cert-authority,principals=a " + text(), "not in quotes");
  expect_refused("cert-authority,principals=\"a\",principals=\"b\" " + text(), "twice");
  for (const char* value : {"", ",", "a,", ",a", "a,,b"})
    expect_refused("cert-authority,principals=\"" + std::string(value) + "\" " + text(),
                   "principal");
  expect_refused("restrict , name=\"a\" " + text(), "");
}

TEST(AuthorizedKeys, keeps_authorities_apart_from_keys_that_are_somebody_s) {
  const AuthorizedKeys keys =
      AuthorizedKeys::parse("principals=\"a,b c\",cert-authority,name=\"x*\" " + text() + "\n" +
                            text(1) + "\ncert-authority " + text(1) + "\n");
  EXPECT_THAT(keys.problems(), IsEmpty());
  EXPECT_EQ(keys.find(key()), nullptr);
  const AuthorizedKeys::Entry* entry = keys.find_authority(key());
  ASSERT_NE(entry, nullptr);
  EXPECT_THAT(entry->principals, ElementsAre("a", "b c"));
  EXPECT_TRUE(AuthorizedKeys::allows_name(*entry, "xyz"));
  EXPECT_EQ(keys.find(key(1))->line, 2u) << "a key may be both";
  EXPECT_EQ(keys.find_authority(key(1))->line, 3u);
  const AuthorizedKeys twice = AuthorizedKeys::parse(
      "cert-authority " + text() + "\ncert-authority,principals=\"a\" " + text() + "\n");
  EXPECT_THAT(twice.find_authority(key())->principals, IsEmpty());
  EXPECT_THAT(twice.problems(), ElementsAre(HasSubstr("other options")));
}

TEST(AuthorizedKeys, reads_an_escaped_quote_as_a_quote) {
  const AuthorizedKeys keys = AuthorizedKeys::parse("name=\"a\\\"b,c\\d\" " + text() + "\n");
  ASSERT_EQ(keys.entries().size(), 1u);
  EXPECT_THAT(keys.entries()[0].names, ElementsAre("a\"b", "c\\d"));
}

TEST(AuthorizedKeys, c22_refuses_keys_that_do_not_parse) {
  const std::string base64 = text().substr(text().find(' ') + 1);
  expect_refused("restrict", "missing or incomplete");
  expect_refused("restrict ssh-ed25519", "missing or incomplete");
  expect_refused("ssh-ed25519", "missing or incomplete");
  expect_refused("ssh-ed25519 " + base64.substr(4), "");
  expect_refused("ssh-ed25519 " + base64 + "=", "");
  expect_refused("ssh-rsa " + base64, "");
  expect_refused("ecdsa-sha2-nistp256 " + base64, "");
  expect_refused("ssh-dss " + base64, "");
  expect_refused("sk-ssh-ed25519@openssh.com " + base64, "");
  expect_refused("ssh-ed25519-cert-v01@openssh.com " + base64, "");
  expect_refused(base64, "not known");
  expect_refused("SSH-ED25519 " + base64, "not known");
  expect_refused("restrict restrict " + text(), "");
  expect_refused(text() + std::string("\0 x", 3), "control character");
  expect_refused(text() + " \x1b[2J", "control character");
  expect_refused(text() + "\r" + text(1), "control character");
  expect_refused("h " + text(), "not known");  // a line of known_hosts
}

TEST(AuthorizedKeys, c22_never_sees_a_line_where_another_one_ends_in_its_middle) {
  for (const std::size_t length : {1000u, 1023u, 1024u, 4096u, 8192u, 65536u, 300000u}) {
    const std::string padding(length, ' ');
    const AuthorizedKeys keys =
        AuthorizedKeys::parse(text(1) + padding + text(0) + "\n" + "no-pty," + padding + text(2));
    ASSERT_EQ(keys.entries().size(), 1u);
    EXPECT_EQ(keys.find(key(0)), nullptr) << length;
    EXPECT_EQ(keys.find(key(2)), nullptr) << length;
  }
}

TEST(AuthorizedKeys, keeps_the_first_of_two_lines_with_one_key) {
  const AuthorizedKeys same = AuthorizedKeys::parse(text() + " a\n" + text() + " b\n");
  EXPECT_EQ(same.entries().size(), 1u);
  EXPECT_THAT(same.problems(), IsEmpty());
  const AuthorizedKeys other =
      AuthorizedKeys::parse("name=\"a\" " + text() + "\nname=\"b\" " + text() + "\n");
  ASSERT_EQ(other.entries().size(), 1u);
  EXPECT_THAT(other.entries()[0].names, ElementsAre("a"));
  EXPECT_THAT(other.problems(), ElementsAre(HasSubstr("line 2: the key is on line 1 already")));
}

TEST(AuthorizedKeys, lists_so_many_problems_and_not_more) {
  std::string file;
  for (std::size_t i = 0; i < 3 * kMaxTrustProblems; ++i) file += "no\n";
  EXPECT_EQ(AuthorizedKeys::parse(file).problems().size(), kMaxTrustProblems + 1);
}

}  // namespace
