#include <streamkit/base/headers.hpp>

#include <gmock/gmock.h>

#include <random>

namespace streamkit {
namespace {

Bytes written(const Headers& headers) {
  Bytes out;
  wire::Writer writer(out);
  headers.write(writer);
  return out;
}

TEST(Headers, keep_order_repetition_and_every_byte) {
  Headers headers{{"b", "2"}, {"a", "1"}};
  headers.add("b", std::string("\0\xff,=\n", 5));
  headers.add("", "");
  const Bytes bytes = written(headers);
  EXPECT_EQ(bytes.size(), headers.wire_size());
  wire::Reader reader(bytes);
  const Result<Headers> back = Headers::read(reader, 1024);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, headers);
  EXPECT_TRUE(reader.end());
}

TEST(Headers, give_the_first_value_of_a_repeated_key) {
  const Headers headers{{"k", "first"}, {"k", "second"}, {"K", "third"}};
  EXPECT_EQ(headers.get("k"), "first");
  EXPECT_EQ(headers.get("K"), "third");
  EXPECT_EQ(headers.get("missing"), std::nullopt);
  EXPECT_EQ(headers.get_or("missing", "other"), "other");
  EXPECT_EQ(headers.get_or("k", "other"), "first");
}

TEST(Headers, that_are_empty_are_a_count_of_zero) {
  EXPECT_EQ(written({}), Bytes(4));
  EXPECT_EQ(Headers{}.wire_size(), 4u);
}

TEST(Headers, leave_what_follows_them_to_the_next_reader) {
  Bytes bytes = written({{"k", "v"}});
  wire::Writer(bytes).u32(77);
  wire::Reader reader(bytes);
  ASSERT_TRUE(Headers::read(reader, 1024));
  EXPECT_EQ(reader.u32(), 77u);
  EXPECT_TRUE(reader.end());
}

TEST(Headers, c3_refuse_a_count_that_the_bytes_cannot_hold) {
  for (const std::uint32_t count : {1u, 2u, 0x7fffffffu, 0xffffffffu}) {
    Bytes bytes;
    wire::Writer(bytes).u32(count).u32(0);
    wire::Reader reader(bytes);
    const Result<Headers> read = Headers::read(reader, 1 << 20);
    ASSERT_FALSE(read);
    EXPECT_TRUE(read.error().is(Errc::protocol));
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Headers, refuse_a_pair_that_runs_past_the_message) {
  Bytes bytes;
  wire::Writer(bytes).u32(1).string("key").u32(100).string("x");
  wire::Reader reader(bytes);
  const Result<Headers> read = Headers::read(reader, 1 << 20);
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().is(Errc::protocol));
}

TEST(Headers, fit_their_limit_exactly_and_not_one_byte_more) {
  const Headers headers{{"key", "value"}, {"key", std::string(100, 'v')}};
  const Bytes bytes = written(headers);
  wire::Reader fits(bytes);
  EXPECT_TRUE(Headers::read(fits, bytes.size()));
  wire::Reader over(bytes);
  const Result<Headers> read = Headers::read(over, bytes.size() - 1);
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().is(Errc::header_too_large));
}

TEST(Headers, c3_every_truncation_is_refused) {
  const Bytes whole = written({{"one", "1"}, {"two", ""}, {"", "3"}});
  for (std::size_t n = 0; n < whole.size(); ++n) {
    wire::Reader reader(ByteView(whole).first(n));
    EXPECT_FALSE(Headers::read(reader, 1024)) << n;
  }
}

TEST(Headers, survive_random_bytes_and_write_what_they_read) {
  std::mt19937 random(3);
  std::size_t read_whole = 0;
  for (int round = 0; round < 200'000; ++round) {
    Bytes bytes(random() % 40);
    for (std::byte& b : bytes) b = std::byte(random() % 8 == 0 ? random() % 4 : 0);
    wire::Reader reader(bytes);
    const Result<Headers> headers = Headers::read(reader, 1024);
    if (!headers) continue;
    ++read_whole;
    const Bytes again = written(*headers);
    ASSERT_EQ(Bytes(bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(reader.rest().size())),
              again);
  }
  EXPECT_GT(read_whole, 1000u);
}

}  // namespace
}  // namespace streamkit
