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

}  // namespace
}  // namespace streamkit::io
