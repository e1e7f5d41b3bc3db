// The extra data of channel@streamkit, the hello and the status: byte by byte, and what is refused.
#include <streamkit/channel/metadata.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace streamkit::channel {
namespace {

OpenInfo sample() {
  OpenInfo info;
  info.service = "echo";
  info.headers = {{"k", "v"}, {"k", std::string("\0,", 2)}};
  info.parent = 7;
  info.framed = true;
  info.deadline_ms = 1500;
  info.priority = 9;
  info.first = to_bytes("hi");
  return info;
}

TEST(OpenInfo, is_the_bytes_that_the_protocol_says) {
  OpenInfo info;
  info.service = "ab";
  info.headers = {{"k", "v"}};
  info.first = to_bytes("x");
  const std::vector<int> expected = {
      1,   0, 0, 0, 2, 'a', 'b', 0,   0,   0, 0, 255, 255, 255,
      255,                                                       // version, service, flags, parent
      0,   0, 0, 1, 0, 0,   0,   1,   'k', 0, 0, 0,   1,   'v',  // headers
      0,   0, 0, 0, 0, 0,   0,   100, 0,   0, 0, 1,   'x'};      // deadline, priority, first
  const Result<Bytes> bytes = info.encode();
  ASSERT_TRUE(bytes);
  std::vector<int> got;
  for (const std::byte b : *bytes) got.push_back(std::to_integer<int>(b));
  EXPECT_EQ(got, expected);
}

TEST(OpenInfo, comes_back_as_it_was) {
  const OpenInfo info = sample();
  const Result<OpenInfo> back = OpenInfo::decode(*info.encode());
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->service, info.service);
  EXPECT_EQ(back->headers, info.headers);
  EXPECT_EQ(back->parent, 7u);
  EXPECT_TRUE(back->framed);
  EXPECT_EQ(back->deadline_ms, 1500u);
  EXPECT_EQ(back->priority, 9u);
  EXPECT_EQ(back->first, info.first);
}

TEST(OpenInfo, c3_does_not_decode_when_cut_anywhere_or_with_a_byte_more) {
  const Bytes whole = *sample().encode();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(OpenInfo::decode(ByteView(whole).first(n))) << n;
  }
  Bytes more = whole;
  more.push_back({});
  EXPECT_FALSE(OpenInfo::decode(more));
}

TEST(OpenInfo, refuses_other_versions_unknown_flags_and_a_parent_that_its_flag_denies) {
  Bytes bytes = *sample().encode();
  bytes[0] = std::byte{2};
  EXPECT_TRUE(OpenInfo::decode(bytes).error().is(Errc::version_mismatch));
  bytes = *sample().encode();
  bytes[9] = std::byte{0x80};  // the flags begin at 9
  EXPECT_FALSE(OpenInfo::decode(bytes));
  bytes = *sample().encode();
  bytes[12] = std::byte{2};  // framed, but no longer attached
  EXPECT_FALSE(OpenInfo::decode(bytes));
}

TEST(OpenInfo, keeps_every_limit_in_both_directions) {
  OpenInfo info = sample();
  info.service = std::string(255, 's');
  info.first.resize(kMaxFirst);
  ASSERT_TRUE(info.encode());
  EXPECT_TRUE(OpenInfo::decode(*info.encode()));
  info.first.resize(kMaxFirst + 1);
  EXPECT_TRUE(info.encode().error().is(Errc::limit));
  info.first.clear();
  info.service = std::string(256, 's');
  EXPECT_TRUE(info.encode().error().is(Errc::usage));
  info.service = "s";
  info.headers = {{"k", std::string(kMaxHeaderBytes - 13, 'v')}};
  ASSERT_TRUE(info.encode());
  EXPECT_TRUE(OpenInfo::decode(*info.encode()));
  info.headers = {{"k", std::string(kMaxHeaderBytes - 12, 'v')}};
  EXPECT_TRUE(info.encode().error().is(Errc::header_too_large));
}

TEST(OpenInfo, c3_a_count_of_headers_that_cannot_fit_is_refused) {
  Bytes bytes = *sample().encode();
  for (std::size_t i = 17; i < 21; ++i) bytes[i] = std::byte{0xff};
  EXPECT_FALSE(OpenInfo::decode(bytes));
}

TEST(ServiceName, is_1_to_255_bytes_of_utf8_without_control_characters) {
  for (const std::string_view good : {"a", "echo", "a b", "caf\xc3\xa9", "x/y:z"}) {
    EXPECT_TRUE(is_valid_service_name(good)) << good;
  }
  for (const std::string_view bad : {"", "a\nb", "\x1b[2J", "\x7f", "\xff", "\xc2\x85"}) {
    EXPECT_FALSE(is_valid_service_name(bad)) << bad;
  }
  EXPECT_FALSE(is_valid_service_name(std::string_view("a\0b", 3)));
}

TEST(Hello, comes_back_as_it_was_and_lets_a_later_version_say_more) {
  Hello hello{1, "alice", std::string(16, 'i'), "app", 1 << 20, {{"a", "b"}}};
  const Result<Hello> back = Hello::decode(hello.encode());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->peer_name, "alice");
  EXPECT_EQ(back->instance_id, hello.instance_id);
  EXPECT_EQ(back->app, "app");
  EXPECT_EQ(back->max_frame, 1u << 20);
  EXPECT_EQ(back->properties, hello.properties);

  Bytes more = hello.encode();
  more.push_back({});
  EXPECT_FALSE(Hello::decode(more));
  hello.version = 2;
  more = hello.encode();
  more.push_back({});
  ASSERT_TRUE(Hello::decode(more));
  EXPECT_EQ(Hello::decode(more)->version, 2u);
}

TEST(Hello, needs_an_instance_id_of_16_bytes_and_names_of_at_most_255) {
  EXPECT_FALSE(Hello::decode(Hello{1, "a", std::string(15, 'i'), "", 0, {}}.encode()));
  EXPECT_FALSE(
      Hello::decode(Hello{1, std::string(256, 'a'), std::string(16, 'i'), "", 0, {}}.encode()));
  const Bytes whole = Hello{1, "a", std::string(16, 'i'), "b", 0, {{"k", "v"}}}.encode();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(Hello::decode(ByteView(whole).first(n))) << n;
  }
}

TEST(EncodedStatus, comes_back_as_it_was_and_unknown_codes_are_unknown) {
  const Status status(Code::not_found, "no_such", "nothing here");
  EXPECT_EQ(*decode_status(encode_status(status)), status);
  Bytes bytes = encode_status(status);
  bytes[0] = std::byte{0x80};
  EXPECT_EQ(decode_status(bytes)->code, Code::unknown);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode_status(ByteView(bytes).first(n)));
}

TEST(EncodedStatus, long_words_are_cut_between_characters) {
  std::string reason(254, 'r');
  reason += "\xc3\xa9";
  const Result<Status> back = decode_status(encode_status(Status(Code::internal, reason, "")));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->reason, std::string(254, 'r'));
}

}  // namespace
}  // namespace streamkit::channel
