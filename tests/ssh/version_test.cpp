// The identification line (RFC 4253 section 4.2).
#include "version.hpp"

#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::RawPeer;

/// The line that was read, "" for none yet, or "error".
std::string read_all(Role ours, std::string_view text) {
  IdentReader reader(ours);
  auto step = reader.read(as_bytes(text));
  if (!step) return "error";
  return step->ident.value_or("");
}

std::string filled(std::size_t size) {
  return "SSH-2.0-" + std::string(size - 10, 'x') + "\r\n";
}

TEST(Version, c17_accepts_and_refuses_identification_lines_by_the_table) {
  struct Case {
    std::string text;
    std::string client, server;  // what each role reads
  };
  using std::string_literals::operator""s;
  const Case cases[] = {
      {"SSH-2.0-a\r\n", "SSH-2.0-a", "SSH-2.0-a"},
      {"SSH-2.0-a\n", "SSH-2.0-a", "SSH-2.0-a"},
      {"SSH-1.99-a\r\n", "SSH-1.99-a", "SSH-1.99-a"},
      {"SSH-2.0-tinyssh_20230101-1 KKM3AkSn\r\n", "SSH-2.0-tinyssh_20230101-1 KKM3AkSn",
       "SSH-2.0-tinyssh_20230101-1 KKM3AkSn"},
      {filled(255), filled(255).substr(0, 253), filled(255).substr(0, 253)},
      {filled(256), "error", "error"},
      {"SSH-2.0-" + std::string(300, 'x'), "error", "error"},
      {"SSH-2.0-a", "", ""},
      {"SSH", "", ""},
      {"", "", ""},
      {"SSH-1.5-old\r\n", "error", "error"},
      {"SSH-2.1-new\r\n", "error", "error"},
      {"SSH-2.0-\r\n", "error", "error"},
      {"SSH-2.0\r\n", "error", "error"},
      {"SSH-2.0-a\rb\r\n", "error", "error"},
      {"SSH-2.0-a\0b\r\n"s, "error", "error"},
      {"SSH-2.0-a\x1b[2J\r\n", "error", "error"},
      {"SSH-2.0-\xc3\xa4\r\n", "error", "error"},
      {"SSH-2.0-a\tb\r\n", "error", "error"},
      {"hello\r\nSSH-2.0-a\r\n", "SSH-2.0-a", "error"},
      {"SS\nSSH-2.0-a\r\n", "SSH-2.0-a", "error"},
      {"GET / HTTP/1.1\r\n", "", "error"},
      {"GET", "", "error"},
      {"\x16\x03\x01", "", "error"},
      {"\r\nSSH-2.0-a\r\n", "SSH-2.0-a", "error"},
      {"a\0b\nSSH-2.0-a\r\n"s, "error", "error"},
      {std::string(1023, 'y') + "\nSSH-2.0-a\r\n", "SSH-2.0-a", "error"},
      {std::string(1024, 'y'), "error", "error"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(read_all(Role::client, c.text), c.client) << c.text;
    EXPECT_EQ(read_all(Role::server, c.text), c.server) << c.text;
  }
}

TEST(Version, c17_a_client_skips_at_most_fifty_lines_and_8_kib) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "x\n";
  EXPECT_EQ(read_all(Role::client, lines + "SSH-2.0-a\r\n"), "SSH-2.0-a");
  EXPECT_EQ(read_all(Role::client, lines + "x\nSSH-2.0-a\r\n"), "error");
  std::string large;
  for (int i = 0; i < 8; ++i) large += std::string(1023, 'x') + "\n";
  EXPECT_EQ(read_all(Role::client, large + "SSH-2.0-a\r\n"), "SSH-2.0-a");
  EXPECT_EQ(read_all(Role::client, large + "x\nSSH-2.0-a\r\n"), "error");
}

TEST(Version, is_read_byte_by_byte_as_well_as_with_a_packet_behind_it) {
  RawPeer split = RawPeer::client();
  split.settle();
  for (const char c : std::string("SSH-2.0-raw_1\r\n")) split.send_bytes(std::string_view(&c, 1));
  EXPECT_EQ(split.engine.transport.info().remote_version, "SSH-2.0-raw_1");

  RawPeer joined = RawPeer::client();
  joined.settle();
  joined.ensure_kex();
  Bytes both = to_bytes(joined.ident + "\r\n");
  append(both, joined.sealed(joined.kexinit));
  joined.send_bytes(both);
  joined.send_method();
  EXPECT_TRUE(joined.received(kMsgNewKeys));
}

TEST(Version, c17_a_bad_line_ends_the_connection_with_a_reason) {
  RawPeer old = RawPeer::client();
  old.send_bytes("SSH-1.5-ancient\r\n");
  EXPECT_FALSE(old.is_live());
  EXPECT_EQ(old.reason(), 8u);
  RawPeer web = RawPeer::client();
  web.send_bytes("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(web.is_live());
  EXPECT_EQ(web.reason(), 2u);
  EXPECT_EQ(web.engine.log, std::vector<std::string>{"disconnected"});
}

TEST(Version, our_line_is_checked_when_the_transport_is_made) {
  testing::FixedRandom random;
  for (const char* bad : {"", "with space", "with-minus", "\x01"}) {
    Config config = testing::client_config();
    config.random = &random;
    config.software = bad;
    auto made = Transport::make(Role::client, std::move(config), {});
    ASSERT_FALSE(made);
    EXPECT_TRUE(made.error().is(Errc::usage));
  }
  EXPECT_FALSE(make_ident(std::string(246, 'x')));
  EXPECT_TRUE(make_ident(std::string(245, 'x')));
}

}  // namespace
}  // namespace streamkit::ssh
