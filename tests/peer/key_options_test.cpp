// Options of authorized_keys lines, one by one: what they take, what they refuse, what they mean.
#include <streamkit/peer/trust.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <peer/keys.hpp>
#include <stdlib.h>
#include <time.h>

using namespace streamkit;
using test::key;
using test::text;
using testing::HasSubstr;
using testing::IsEmpty;
using Entry = AuthorizedKeys::Entry;

namespace {

/// The line with these options in front of a key; nothing is in it (the key is empty) when it was
/// refused.
Entry line(const std::string& options) {
  const AuthorizedKeys keys = AuthorizedKeys::parse(options + ' ' + text());
  return keys.entries().empty() ? Entry() : keys.entries().front();
}
bool is_good(const std::string& options) {
  return !line(options).key.is_empty();
}

void expect_refused(const std::string& options, const std::string& because) {
  const AuthorizedKeys keys = AuthorizedKeys::parse("\n" + options + ' ' + text());
  EXPECT_THAT(keys.entries(), IsEmpty()) << options;
  ASSERT_EQ(keys.problems().size(), 1u) << options;
  EXPECT_THAT(keys.problems()[0], HasSubstr("line 2: ")) << options;
  EXPECT_THAT(keys.problems()[0], HasSubstr(because)) << options;
}

/// `one` a number of times, with commas between.
std::string times(std::size_t n, const std::string& one) {
  std::string all = one;
  for (std::size_t i = 1; i < n; ++i) all += ',' + one;
  return all;
}

/// The time zone of a test, and the one before again.
class TimeZone {
 public:
  explicit TimeZone(const char* name) {
    if (const char* old = ::getenv("TZ")) old_ = old;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~TimeZone() {
    old_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", old_.c_str(), 1);
    ::tzset();
  }

 private:
  std::string old_;
};

// ---- from

bool comes(const std::string& patterns, const std::string& host) {
  const Entry entry = line("from=\"" + patterns + "\"");
  EXPECT_FALSE(entry.key.is_empty()) << patterns;
  return AuthorizedKeys::allows_source(entry, host);
}

TEST(KeyOptionFrom, c22_takes_addresses_networks_and_wildcards) {
  EXPECT_TRUE(comes("10.1.2.3", "10.1.2.3"));
  EXPECT_FALSE(comes("10.1.2.3", "10.1.2.30"));
  EXPECT_TRUE(comes("10.0.0.0/8", "10.1.2.3"));
  EXPECT_FALSE(comes("10.0.0.0/8", "11.1.2.3"));
  EXPECT_TRUE(comes("10.1.*", "10.1.2.3"));
  EXPECT_FALSE(comes("10.1.*", "10.10.2.3"));
  EXPECT_TRUE(comes("192.0.2.?", "192.0.2.7"));
  EXPECT_FALSE(comes("192.0.2.?", "192.0.2.77"));
  EXPECT_TRUE(comes("2001:DB8::/32", "2001:db8:1::5"));
  EXPECT_TRUE(comes("2001:DB8:*", "2001:db8:1::5"));
  EXPECT_TRUE(comes("0:0:0:0:0:0:0:1", "::1")) << "addresses are compared, not texts";
  EXPECT_TRUE(comes("fe80::/10", "fe80::1%eth0")) << "whatever the zone";
  EXPECT_TRUE(comes("192.0.2.1,10.0.0.0/8", "10.9.9.9"));
}

TEST(KeyOptionFrom, c22_lets_a_negation_win_wherever_it_stands) {
  for (const char* patterns :
       {"10.0.0.0/8,!10.1.0.0/16", "!10.1.0.0/16,10.0.0.0/8", "10.*,!10.1.*", "!10.1.2.3,10.*"}) {
    EXPECT_FALSE(comes(patterns, "10.1.2.3")) << patterns;
    EXPECT_TRUE(comes(patterns, "10.2.2.3")) << patterns;
  }
}

TEST(KeyOptionFrom, c22_lets_nobody_in_who_has_no_address) {
  for (const char* host : {"", "/run/socket", "localhost", "10.0.0"}) {
    EXPECT_FALSE(comes("*", host)) << host;
    EXPECT_TRUE(AuthorizedKeys::allows_source(Entry(), host)) << "nothing said, nothing asked";
  }
}

TEST(KeyOptionFrom, c22_refuses_host_names_and_what_does_not_parse) {
  for (const char* patterns : {"localhost", "*.example.org", "!evil.example.org,*", "10.0.0.0/33",
                               "10.0.0.1/8", "10.0.0.0/", "cafe", "10.0.0.1:80", "*,!!10.*"})
    expect_refused("from=\"" + std::string(patterns) + "\"", "addresses");
  for (const char* patterns : {"", ",", "10.*,", "10.*, 11.*", "!"})
    expect_refused("from=\"" + std::string(patterns) + "\"", "empty or has a blank");
  expect_refused("from=\"!10.0.0.1\"", "only what is not allowed");
  expect_refused("from=\"10.*\",from=\"11.*\"", "twice");
}

// ---- expiry-time

TEST(KeyOptionExpiryTime, c22_is_read_in_its_three_lengths) {
  EXPECT_EQ(line("expiry-time=\"20300102Z\"").expires, 1893542400u);
  EXPECT_EQ(line("expiry-time=\"203001020304Z\"").expires, 1893542400u + 3 * 3600 + 4 * 60);
  EXPECT_EQ(line("expiry-time=\"20300102030405Z\"").expires, 1893542400u + 3 * 3600 + 4 * 60 + 5);
  EXPECT_EQ(line("expiry-time=\"20280229Z\"").expires, 1835395200u) << "a leap year";
  EXPECT_EQ(line("restrict").expires, ~std::uint64_t(0));
}

TEST(KeyOptionExpiryTime, c22_is_local_time_without_a_z) {
  const TimeZone there("XST-5:30");  // east of Greenwich
  EXPECT_EQ(line("expiry-time=\"203001020304\"").expires,
            1893542400u + 3 * 3600 + 4 * 60 - (5 * 3600 + 30 * 60));
  EXPECT_EQ(line("expiry-time=\"203001020304Z\"").expires, 1893542400u + 3 * 3600 + 4 * 60);
}

TEST(KeyOptionExpiryTime, c22_refuses_what_is_no_time) {
  for (const char* time : {"",
                           "Z",
                           "2030",
                           "2030-01-02",
                           "20300132",
                           "20301301",
                           "20300001",
                           "20300100",
                           "20290229",
                           "2030010224",
                           "203001022400",
                           "203001020060",
                           "20300102000060",
                           "203001020",
                           "20300102030405060",
                           "20300102z",
                           "20300102ZZ",
                           "+2030010",
                           "19691231Z",
                           "x0300102"})
    expect_refused("expiry-time=\"" + std::string(time) + "\"", "YYYYMMDD");
  expect_refused("expiry-time=\"20300102\",expiry-time=\"20300103\"", "twice");
}

// ---- forwarding

TEST(KeyOptionPortForwarding, c22_is_taken_by_restrict_and_given_back_in_the_order_of_the_line) {
  EXPECT_TRUE(line("no-pty").port_forwarding);
  EXPECT_FALSE(line("restrict").port_forwarding);
  EXPECT_FALSE(line("no-port-forwarding").port_forwarding);
  EXPECT_TRUE(line("restrict,port-forwarding").port_forwarding);
  EXPECT_FALSE(line("port-forwarding,restrict").port_forwarding);
  EXPECT_FALSE(line("Restrict,No-Port-Forwarding").port_forwarding);
}

TEST(KeyOptionFlags, about_what_is_never_given_are_taken) {
  for (const char* name : {"pty", "agent-forwarding", "X11-forwarding", "user-rc"}) {
    EXPECT_TRUE(is_good(name)) << name;
    EXPECT_TRUE(is_good(std::string("no-") + name)) << name;
    expect_refused(std::string(name) + "=\"x\"", "not known");
  }
  expect_refused("no-restrict", "not known");
  expect_refused("no-cert-authority", "not known");
}

TEST(KeyOptionPermitOpen, c22_names_places_literally) {
  const Entry entry = line(
      "permitopen=\"db:5432\",permitopen=\"[::1]:80\",permitopen=\"any:*\",permitopen=\"*:9\"");
  EXPECT_TRUE(AuthorizedKeys::allows_open(entry, "db", 5432));
  EXPECT_FALSE(AuthorizedKeys::allows_open(entry, "db", 5433));
  EXPECT_FALSE(AuthorizedKeys::allows_open(entry, "dbx", 5432));
  EXPECT_TRUE(AuthorizedKeys::allows_open(entry, "::1", 80));
  EXPECT_TRUE(AuthorizedKeys::allows_open(entry, "any", 1));
  EXPECT_TRUE(AuthorizedKeys::allows_open(entry, "what", 9));
  EXPECT_FALSE(AuthorizedKeys::allows_open(line("permitopen=\"d*:1\""), "db", 1)) << "no pattern";
  EXPECT_TRUE(AuthorizedKeys::allows_open(line("permitopen=\"*:*\""), "db", 1));
  EXPECT_FALSE(AuthorizedKeys::allows_open(line("permitopen=\"*:*\",restrict"), "db", 1));
  EXPECT_TRUE(AuthorizedKeys::allows_listen(entry, "db", 1)) << "the other direction";
}

TEST(KeyOptionPermitListen, c22_names_ports_and_patterns_of_hosts) {
  const Entry entry =
      line("permitlisten=\"8080\",permitlisten=\"shop*:80\",permitlisten=\"[::1]:*\"");
  EXPECT_TRUE(AuthorizedKeys::allows_listen(entry, "localhost", 8080));
  EXPECT_FALSE(AuthorizedKeys::allows_listen(entry, "localhost", 8081));
  EXPECT_FALSE(AuthorizedKeys::allows_listen(entry, "localhost", 0)) << "any port is more than one";
  EXPECT_TRUE(AuthorizedKeys::allows_listen(entry, "shop2", 80));
  EXPECT_FALSE(AuthorizedKeys::allows_listen(entry, "ashop", 80));
  EXPECT_TRUE(AuthorizedKeys::allows_listen(entry, "::1", 0));
  EXPECT_TRUE(AuthorizedKeys::allows_open(entry, "db", 1)) << "the other direction";
  EXPECT_FALSE(
      AuthorizedKeys::allows_listen(line("permitlisten=\"*\",no-port-forwarding"), "a", 1));
}

TEST(KeyOptionPermits, c22_refuse_what_is_no_place) {
  for (const char* place : {"", ":", "db", "db:", "db:0", "db:65536", "db:-1", "db:http", "db:1x",
                            ":1", "[]:1", "::1:80", "[::1:80", "d b:1", "a:1,b:2", "[a]b:1"})
    expect_refused("permitopen=\"" + std::string(place) + "\"", "HOST:PORT");
  for (const char* place : {"", ":", "0", "65536", "a:0", "x", "::1:80", "80,81"})
    expect_refused("permitlisten=\"" + std::string(place) + "\"", "[HOST:]PORT");
  EXPECT_TRUE(is_good("permitlisten=\"*\""));
}

// ---- services

TEST(KeyOptionServices, c22_says_which_may_be_opened) {
  const Entry entry = line("services=\"db.*,log,!db.admin\"");
  EXPECT_TRUE(AuthorizedKeys::allows_service(entry, "db.read"));
  EXPECT_TRUE(AuthorizedKeys::allows_service(entry, "log"));
  EXPECT_FALSE(AuthorizedKeys::allows_service(entry, "db.admin"));
  EXPECT_FALSE(AuthorizedKeys::allows_service(entry, "logs"));
  EXPECT_TRUE(AuthorizedKeys::allows_service(Entry(), "anything"));
  expect_refused("services=\"\"", "empty");
  expect_refused("services=\"!a\"", "only what is not allowed");
}

TEST(KeyOptionCommand, c22_is_the_one_service) {
  const Entry entry = line("command=\"echo\"");
  EXPECT_TRUE(AuthorizedKeys::allows_service(entry, "echo"));
  EXPECT_FALSE(AuthorizedKeys::allows_service(entry, "echo2"));
  EXPECT_FALSE(AuthorizedKeys::allows_listen(entry, "localhost", 80));
  EXPECT_FALSE(AuthorizedKeys::allows_service(line("command=\"e*\""), "echo")) << "no pattern";
  EXPECT_FALSE(AuthorizedKeys::allows_service(line("command=\"echo\",services=\"x\""), "echo"));
  expect_refused("command=\"\"", "empty");
  expect_refused("command=\"a\",command=\"b\"", "twice");
}

// ---- numbers

TEST(KeyOptionLimits, c22_are_numbers_from_one) {
  EXPECT_EQ(line("max-channels=\"7\"").max_channels, 7u);
  EXPECT_EQ(line("max-links=\"4294967295\"").max_links, 4294967295u);
  for (const char* option : {"max-channels", "max-links"}) {
    for (const char* number : {"", "0", "-1", "+1", "1x", " 1", "4294967296", "x"})
      expect_refused(option + ("=\"" + std::string(number)) + "\"", "a number from 1");
    expect_refused(option, "not known");
    expect_refused(std::string(option) + "=7", "not in quotes");
  }
}

TEST(KeyOptionLimits, c22_of_lists_are_kept) {
  for (const std::string option : {"name", "services", "from"}) {
    EXPECT_TRUE(is_good(option + "=\"" + times(kMaxKeyPatterns, "::") + "\"")) << option;
    expect_refused(option + "=\"" + times(kMaxKeyPatterns + 1, "::") + "\"", "more than 256");
  }
  EXPECT_TRUE(is_good("cert-authority,principals=\"" + times(kMaxKeyPatterns, "a") + "\""));
  expect_refused("cert-authority,principals=\"" + times(kMaxKeyPatterns + 1, "a") + "\"",
                 "more than 256");
  for (const std::string option : {"permitopen", "permitlisten"}) {
    EXPECT_TRUE(is_good(times(kMaxKeyPatterns, option + "=\"a:1\""))) << option;
    expect_refused(times(kMaxKeyPatterns + 1, option + "=\"a:1\""), "more than 256");
  }
}

TEST(KeyOptions, c22_of_a_second_line_for_a_key_have_to_be_the_same) {
  const std::string options[] = {"from=\"10.*\"",      "expiry-time=\"20300101Z\"",
                                 "restrict",           "permitopen=\"a:1\"",
                                 "permitlisten=\"1\"", "command=\"a\"",
                                 "services=\"a\"",     "max-links=\"1\"",
                                 "max-channels=\"1\"", "name=\"a\""};
  for (const std::string& one : options) {
    EXPECT_THAT(AuthorizedKeys::parse(one + ' ' + text() + "\n" + one + ' ' + text()).problems(),
                IsEmpty())
        << one;
    const AuthorizedKeys keys = AuthorizedKeys::parse(one + ' ' + text() + "\n" + text());
    ASSERT_EQ(keys.problems().size(), 1u) << one;
    EXPECT_THAT(keys.problems()[0],
                HasSubstr("line 2: the key is on line 1 already, with other options"))
        << one;
    EXPECT_EQ(keys.find(key())->line, 1u);
  }
}

}  // namespace
