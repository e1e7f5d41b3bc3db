// Address: how it is written and what counts as loopback.
#include "awaited.hpp"

namespace streamkit::io {
namespace {

TEST(Address, writes_ipv6_hosts_in_brackets) {
  EXPECT_EQ(tcp("127.0.0.1", 80).text(), "127.0.0.1:80");
  EXPECT_EQ(tcp("::1", 80).text(), "[::1]:80");
  EXPECT_EQ(tcp("example.org", 65535).text(), "example.org:65535");
  EXPECT_EQ(tcp("", 8080).text(), "*:8080");
  EXPECT_EQ(unix_path("/run/x").text(), "/run/x");
}

TEST(Address, knows_loopback) {
  for (const char* host : {"127.0.0.1", "127.255.255.254", "::1", "localhost", "::ffff:127.0.0.1"})
    EXPECT_TRUE(tcp(host).is_loopback()) << host;
  for (const char* host :
       {"", "128.0.0.1", "10.0.0.1", "::", "::2", "127.example.org", "127.0.0.1.example.org",
        "::ffff:10.0.0.1", "localhost.example.org", "0.0.0.0"})
    EXPECT_FALSE(tcp(host).is_loopback()) << host;
  EXPECT_TRUE(unix_path("/run/x").is_loopback());
}

bool is_in(const std::string& host, std::string_view networks) {
  return is_in_networks(host, networks).value();
}

TEST(Networks, have_the_addresses_whose_first_bits_are_theirs) {
  EXPECT_TRUE(is_in("10.1.2.3", "10.0.0.0/8"));
  EXPECT_FALSE(is_in("11.1.2.3", "10.0.0.0/8"));
  EXPECT_TRUE(is_in("10.127.255.255", "10.0.0.0/9"));
  EXPECT_FALSE(is_in("10.128.0.0", "10.0.0.0/9"));
  EXPECT_TRUE(is_in("192.0.2.1", "192.0.2.1"));
  EXPECT_TRUE(is_in("192.0.2.1", "192.0.2.1/32"));
  EXPECT_FALSE(is_in("192.0.2.2", "192.0.2.1"));
  EXPECT_TRUE(is_in("8.8.8.8", "0.0.0.0/0"));
  EXPECT_FALSE(is_in("2001:db8::1", "0.0.0.0/0"));
  EXPECT_TRUE(is_in("2001:db8:0:1::5", "2001:db8::/32"));
  EXPECT_FALSE(is_in("2001:db9::5", "2001:db8::/32"));
  EXPECT_TRUE(is_in("::1", "::1"));
  EXPECT_TRUE(is_in("::ffff:10.0.0.1", "10.0.0.0/8"));
  EXPECT_TRUE(is_in("10.0.0.1", "192.0.2.1,2001:db8::/32,10.0.0.0/24"));
  for (const char* host : {"", "example.org", "/run/x", "10.0.0", "10.0.0.1:80", "[::1]"})
    EXPECT_FALSE(is_in(host, "0.0.0.0/0,::/0")) << host;
}

TEST(Networks, that_are_malformed_spoil_the_whole_list) {
  for (const char* networks : {"", ",", "10.0.0.0/8,", "10.0.0.0/33", "::/129", "10.0.0.1/8",
                               "2001:db8::1/32", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
                               "!10.0.0.0/8", "10.*", "localhost", "10.0.0.1,bogus"})
    EXPECT_FALSE(is_in_networks("10.0.0.1", networks)) << networks;
}

TEST(Sources, are_ipv4_addresses_and_ipv6_networks) {
  EXPECT_EQ(source_of("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(source_of("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(source_of("2001:db8:0:7::1"), "2001:db8:0:7::/64");
  EXPECT_EQ(source_of("2001:db8:0:7:ffff:ffff:ffff:ffff"), "2001:db8:0:7::/64");
  EXPECT_NE(source_of("2001:db8:0:8::1"), source_of("2001:db8:0:7::1"));
  EXPECT_EQ(source_of("::1"), "::/64");
  EXPECT_EQ(source_of("/run/x"), "/run/x");
}

TEST(Clock, of_the_wall_counts_from_1970) {
  EXPECT_GT(unix_seconds(), 1'700'000'000u);
  EXPECT_LT(unix_seconds(), 10'000'000'000u);
}

}  // namespace
}  // namespace streamkit::io
