#include <streamkit/peer/endpoint.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <random>

using namespace streamkit;
using testing::HasSubstr;

namespace {

void expect_refused(const std::string& text, const std::string& because) {
  const Endpoint endpoint(text);
  const Result<void> checked = endpoint.check();
  ASSERT_FALSE(checked) << text;
  EXPECT_TRUE(checked.error().is(Errc::bad_endpoint)) << text;
  EXPECT_THAT(checked.error().message(), HasSubstr(because)) << text;
  EXPECT_THAT(checked.error().message(), HasSubstr("tcp://HOST:PORT"));
  EXPECT_THAT(checked.error().message(), HasSubstr("unix:///ABSOLUTE/PATH"));
  EXPECT_THAT(checked.error().message(), HasSubstr("inproc://NAME"));
  EXPECT_EQ(endpoint.host(), "") << "what was refused must not be used: " << text;
  EXPECT_EQ(endpoint.port(), 0);
  EXPECT_EQ(endpoint.text(), text);
}

TEST(Endpoint, reads_a_tcp_host_and_port) {
  const Endpoint endpoint("tcp://Example.org:2222");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.kind(), Endpoint::Kind::tcp);
  EXPECT_EQ(endpoint.host(), "example.org");
  EXPECT_EQ(endpoint.port(), 2222);
  EXPECT_EQ(endpoint.text(), "tcp://Example.org:2222");
}

TEST(Endpoint, takes_ports_from_0_to_65535) {
  EXPECT_TRUE(Endpoint("tcp://h:0").check());
  EXPECT_EQ(Endpoint("tcp://h:65535").port(), 65535);
  for (const char* port : {"65536", "-1", "+1", "", " 1", "1 ", "1x", "0x16", "022", "00",
                           "99999999999999999999", "22/", "22\n"})
    expect_refused(std::string("tcp://h:") + port, "0 to 65535");
}

TEST(Endpoint, reads_a_star_as_every_interface) {
  const Endpoint endpoint("tcp://*:7000");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.host(), "");
  EXPECT_EQ(endpoint.port(), 7000);
  expect_refused("tcp://*.example.org:1", "letters, digits");
}

TEST(Endpoint, reads_ipv6_in_brackets_only) {
  EXPECT_EQ(Endpoint("tcp://[::1]:22").host(), "::1");
  EXPECT_EQ(Endpoint("tcp://[FE80::1%eth0]:22").host(), "fe80::1%eth0");
  EXPECT_EQ(Endpoint("tcp://[::]:0").host(), "::");
  expect_refused("tcp://::1:22", "brackets");
  expect_refused("tcp://[::1]", "port is missing");
  expect_refused("tcp://[::1]22", "port is missing");
  expect_refused("tcp://[::1]:", "0 to 65535");
  expect_refused("tcp://[::1:22", "closing bracket");
  expect_refused("tcp://[]:22", "IPv6");
  expect_refused("tcp://[example.org]:22", "IPv6");
  expect_refused("tcp://[127.0.0.1]:22", "IPv6");
  expect_refused("tcp://[fe80::1%]:22", "interface");
  expect_refused("tcp://[fe80::1%a b]:22", "interface");
  expect_refused("tcp://[fe80::1%0123456789abcdef]:22", "interface");
}

TEST(Endpoint, agrees_with_the_system_about_ipv6_addresses) {
  std::vector<std::string> texts = {"::",
                                    "::1",
                                    "1::",
                                    "1:2:3:4:5:6:7:8",
                                    "1:2:3:4:5:6:7::",
                                    "::2:3:4:5:6:7:8",
                                    "1::8",
                                    ":::",
                                    ":1",
                                    "1:",
                                    "1:2:3:4:5:6:7",
                                    "1:2:3:4:5:6:7:8:9",
                                    "1::2::3",
                                    "12345::",
                                    "::g",
                                    "::1.2.3.4",
                                    "1:2:3:4:5:6:1.2.3.4",
                                    "::1.2.3",
                                    "::1.2.3.256",
                                    "::1.2.3.4.5",
                                    "1.2.3.4::",
                                    "::1.2.3.4:5",
                                    "::ffff:127.0.0.1",
                                    "1:2:3:4:5:6:7:1.2.3.4",
                                    "::01.2.3.4",
                                    "1:2:3:4:5:6:7:8::",
                                    "::1:2:3:4:5:6:7:8",
                                    "",
                                    ":",
                                    "1::2:",
                                    "::1."};
  std::minstd_rand random(7);
  const std::string alphabet = "::::11af.0";
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (auto n = random() % 14; n > 0; --n) text += alphabet[random() % alphabet.size()];
    texts.push_back(text);
  }
  int valid = 0;
  for (const std::string& text : texts) {
    unsigned char address[16];
    const bool expected = inet_pton(AF_INET6, text.c_str(), address) == 1;
    EXPECT_EQ(bool(Endpoint("tcp://[" + text + "]:1").check()), expected) << text;
    valid += expected;
  }
  EXPECT_GT(valid, 100) << "the sample has to have both kinds";
}

TEST(Endpoint, c23_refuses_hosts_that_a_program_could_take_for_an_option_or_a_pattern) {
  expect_refused("tcp://-oProxyCommand=x:22", "begin with '-'");
  for (const char* host :
       {"`id`", "a b", "a,b", "h/p", "a;b", "$(x)", "h?", "\x1b[2J", "h\n",
        "b\xc3\xbc"
        "cher.example",
        "|1|a|b", "!h", "%h"})
    expect_refused("tcp://" + std::string(host) + ":22", "letters, digits");
}

TEST(Endpoint, takes_a_host_of_253_characters_and_not_more) {
  EXPECT_TRUE(Endpoint("tcp://" + std::string(kMaxHostName, 'a') + ":1").check());
  expect_refused("tcp://" + std::string(kMaxHostName + 1, 'a') + ":1", "too long");
  expect_refused("tcp://:1", "host is missing");
  expect_refused("tcp://", "host is missing");
  expect_refused("tcp://host", "port is missing");
}

TEST(Endpoint, reads_who_we_are_there) {
  const Endpoint endpoint("tcp://me.too+1@Host:22");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.user(), "me.too+1");
  EXPECT_EQ(endpoint.host(), "host");
  EXPECT_TRUE(Endpoint("tcp://" + std::string(kMaxUserName, 'u') + "@h:1").check());
  expect_refused("tcp://" + std::string(kMaxUserName + 1, 'u') + "@h:1", "1 to 255");
  expect_refused("tcp://@h:1", "1 to 255");
}

TEST(Endpoint, c23_refuses_users_that_a_program_could_take_for_an_option) {
  expect_refused("tcp://-oProxyCommand=x@h:22", "begin with '-'");
  for (const char* user : {"`id`", "a b", "a@b", "a:b", "$(x)", "a/b", "a,b", "\x1b[2J"})
    expect_refused("tcp://" + std::string(user) + "@h:22", "letters, digits");
}

TEST(Endpoint, reads_the_way_there) {
  const Endpoint endpoint("tcp://h:2222?via=a@One:22,two:2200");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.host(), "h");
  EXPECT_EQ(endpoint.port(), 2222);
  const std::optional<Endpoint> second = endpoint.via();
  ASSERT_TRUE(second && second->check());
  EXPECT_EQ(second->text(), "tcp://two:2200?via=a@One:22");
  const std::optional<Endpoint> first = second->via();
  ASSERT_TRUE(first && first->check());
  EXPECT_EQ(first->text(), "tcp://a@One:22");
  EXPECT_EQ(first->user(), "a");
  EXPECT_FALSE(first->via());
  EXPECT_EQ(Endpoint("tcp://[::1]:7?via=[::2]:22").via()->host(), "::2");
  EXPECT_EQ(Endpoint("unix:///run/s?via=one:22").path(), "/run/s");
  EXPECT_EQ(Endpoint("unix:///run/s?via=one:22").via()->port(), 22);
  expect_refused("inproc://a?via=b:1", "only tcp:// and unix://");
  expect_refused("mux:///run/m?via=b:1", "only tcp:// and unix://");
}

TEST(Endpoint, takes_a_way_of_8_servers_and_not_more) {
  std::string way = "tcp://h:1?via=s:1";
  for (std::size_t i = 1; i < kMaxBastions; ++i) way += ",s:1";
  EXPECT_TRUE(Endpoint(way).check());
  expect_refused(way + ",s:1", "at most 8");
}

TEST(Endpoint, c23_refuses_a_way_of_anything_but_hosts) {
  expect_refused("tcp://h:1?via=", "host is missing");
  expect_refused("tcp://h:1?via=a:1,", "host is missing");
  expect_refused("tcp://h:1?via=a", "port is missing");
  expect_refused("tcp://h:1?via=*:1", "one host and a port");
  expect_refused("tcp://h:1?via=a:0", "one host and a port");
  expect_refused("tcp://h:1?via=-a:1", "begin with '-'");
  expect_refused("tcp://h:1?via=-l@a:1", "begin with '-'");
  expect_refused("tcp://h:1?via=a:1?via=b:1", "brackets");
  expect_refused("tcp://*:1?via=a:1", "one host and a port");
  expect_refused("tcp://h:0?via=a:1", "one host and a port");
  expect_refused("unix:///run/?via=a:1", "folder");
}

TEST(Endpoint, reads_an_absolute_unix_path) {
  const Endpoint endpoint("unix:///run/my app/s%20.sock");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.kind(), Endpoint::Kind::unix_path);
  EXPECT_EQ(endpoint.path(), "/run/my app/s%20.sock");
  expect_refused("unix://run/a.sock", "absolute");
  expect_refused("unix://", "absolute");
  expect_refused("unix:///", "folder");
  expect_refused("unix:///run/", "folder");
  expect_refused(std::string("unix:///run/a\0b", 15), "do not print");
  expect_refused("unix:///run/a\nb", "do not print");
}

TEST(Endpoint, takes_a_unix_path_of_107_bytes_and_not_more) {
  EXPECT_TRUE(Endpoint("unix:///" + std::string(kMaxUnixPath - 1, 'a')).check());
  expect_refused("unix:///" + std::string(kMaxUnixPath, 'a'), "107");
}

TEST(Endpoint, reads_an_inproc_name_of_1_to_255_bytes_that_print) {
  const Endpoint endpoint(
      "inproc://work-1: b\xc3\xbc"
      "cher");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.kind(), Endpoint::Kind::inproc);
  EXPECT_EQ(endpoint.name(),
            "work-1: b\xc3\xbc"
            "cher");
  EXPECT_TRUE(Endpoint("inproc://" + std::string(kMaxInprocName, 'n')).check());
  expect_refused("inproc://" + std::string(kMaxInprocName + 1, 'n'), "1 to 255");
  expect_refused("inproc://", "1 to 255");
  for (const char* name : {"a\tb", "a\x7f", "\x1b[2J", "\xff",
                           "a\xe2\x80\xae"
                           "b"})
    expect_refused("inproc://" + std::string(name), "do not print");
  expect_refused(std::string("inproc://a\0b", 12), "do not print");
}

TEST(Endpoint, reads_the_path_of_a_control_socket) {
  const Endpoint endpoint("mux:///home/me/.ssh/m-%C");
  ASSERT_TRUE(endpoint.check());
  EXPECT_EQ(endpoint.kind(), Endpoint::Kind::mux);
  EXPECT_EQ(endpoint.path(), "/home/me/.ssh/m-%C");
  EXPECT_FALSE(endpoint.via());
  expect_refused("mux://m", "absolute");
  expect_refused("mux:///" + std::string(kMaxUnixPath, 'a'), "107");
}

TEST(Endpoint, names_the_ancestors_wire_at_its_end) {
  const Endpoint tcp("tcp://h:1?wire=duplex");
  ASSERT_TRUE(tcp.check()) << tcp.check().error().message();
  EXPECT_EQ(tcp.wire(), channel::Wire::duplex);
  EXPECT_EQ(tcp.host(), "h");
  EXPECT_EQ(tcp.port(), 1);
  EXPECT_EQ(tcp.text(), "tcp://h:1?wire=duplex");
  EXPECT_FALSE(tcp == Endpoint("tcp://h:1"));
  EXPECT_EQ(Endpoint("tcp://h:1").wire(), channel::Wire::streamkit);
  const Endpoint path("unix:///run/a?b.sock?wire=duplex");
  EXPECT_EQ(path.path(), "/run/a?b.sock");
  EXPECT_EQ(path.wire(), channel::Wire::duplex);
  EXPECT_TRUE(Endpoint("unix:///" + std::string(kMaxUnixPath - 1, 'a') + "?wire=duplex").check());
  for (const char* wrong : {"tcp://h:1?wire=", "tcp://h:1?wire=streamkit", "tcp://h:1?wire=duplex2",
                            "unix:///run/a?wire=Duplex"})
    expect_refused(wrong, "wire=duplex");
  expect_refused("inproc://a?wire=duplex", "only tcp:// and unix://");
  expect_refused("tcp://h:1?other=duplex", "0 to 65535");
  expect_refused("tcp://h:1?wire=duplex?wire=duplex", "wire=duplex");
  expect_refused("tcp://h:1?wire=duplex&wire=duplex", "once each");
  expect_refused("tcp://h:1?wire=duplex&", "once each");
  const Endpoint both("tcp://h:1?via=a:2&wire=duplex");
  EXPECT_EQ(both.wire(), channel::Wire::duplex);
  EXPECT_EQ(both.via()->text(), "tcp://a:2");
  EXPECT_EQ(Endpoint("tcp://?wire=duplex").wire(), channel::Wire::streamkit) << "it is no endpoint";
}

TEST(Endpoint, refuses_every_other_scheme) {
  for (const char* text : {"", "tcp", "tcp:", "tcp:/h:1", "TCP://h:1", " tcp://h:1", "ssh://h:22",
                           "http://h", "h:22", "//h:22", "stdio:", "unix:/run/a", "inproc:a"})
    expect_refused(text, "begins with none of");
}

TEST(Endpoint, c16_never_repeats_unprintable_or_endless_text_in_its_problem) {
  const std::string message = Endpoint("tcp://\x1b[2J:22").check().error().message();
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_THAT(message, HasSubstr("\\x1b"));
  EXPECT_LT(Endpoint(std::string(100000, 'a')).check().error().message().size(), 500u);
}

TEST(Endpoint, is_equal_when_it_was_written_alike) {
  EXPECT_EQ(Endpoint("tcp://h:1"), Endpoint(std::string("tcp://h:1")));
  EXPECT_FALSE(Endpoint("tcp://h:1") == Endpoint("tcp://h:2"));
}

TEST(To, names_a_peer_a_link_or_anyone) {
  EXPECT_EQ(To("server").name(), "server");
  EXPECT_FALSE(To("server").is_anyone());
  EXPECT_EQ(To::link(7).link(), 7u);
  EXPECT_FALSE(To::link(7).is_anyone());
  EXPECT_TRUE(To::anyone().is_anyone());
}

}  // namespace
