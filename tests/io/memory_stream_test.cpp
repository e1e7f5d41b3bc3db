// What is particular to streams in memory: their bound and their two Contexts.
#include "awaited.hpp"

#include <string>

namespace streamkit::io {
namespace {

Result<std::size_t> write(Stream& stream, std::string_view text) {
  const ByteView piece[] = {as_bytes(text)};
  return stream.write_some(piece);
}

TEST(MemoryStream, holds_exactly_its_capacity_in_each_direction) {
  Context context;
  const Context::Lock lock(context);
  auto [a, b] = memory_stream_pair(context, context, 10);
  EXPECT_EQ(*write(*a, "1234567"), 7u);
  EXPECT_EQ(*write(*a, "89abcd"), 3u);
  EXPECT_TRUE(write(*a, "e").error().is(Errc::would_block));
  EXPECT_EQ(*write(*b, "0123456789more"), 10u);
  std::byte buffer[20];
  EXPECT_EQ(*b->read_some(buffer), 10u);
  EXPECT_EQ(as_text(ByteView(buffer).first(10)), "123456789a");
  EXPECT_EQ(*write(*a, "e"), 1u);
}

TEST(MemoryStream, holds_256_kib_by_default) {
  Context context;
  const Context::Lock lock(context);
  auto [a, b] = memory_stream_pair(context, context);
  EXPECT_EQ(*write(*a, std::string(300 * 1024, 'x')), 256u * 1024);
}

TEST(MemoryStream, holds_at_least_one_byte) {
  Context context;
  const Context::Lock lock(context);
  auto [a, b] = memory_stream_pair(context, context, 0);
  EXPECT_EQ(*write(*a, "xy"), 1u);
}

TEST(MemoryStream, wakes_a_writer_when_half_of_it_is_free) {
  Context context;
  auto [a, b] = memory_stream_pair(context, context, 10);
  std::byte buffer[10];
  Event writable;
  on(context, [&, &from = a, &to = b] {
    EXPECT_EQ(*write(*from, "0123456789"), 10u);
    from->wait_writable(writable.setter());
    EXPECT_EQ(*to->read_some(MutableByteView(buffer).first(4)), 4u);
  });
  let_pass(context);
  EXPECT_FALSE(writable.is_set());
  on(context, [&, &to = b] { EXPECT_EQ(*to->read_some(MutableByteView(buffer).first(1)), 1u); });
  writable.wait();
}

TEST(MemoryStream, keeps_what_was_written_before_a_close) {
  Context context;
  const Context::Lock lock(context);
  auto [a, b] = memory_stream_pair(context, context);
  EXPECT_TRUE(write(*a, "kept"));
  a.reset();
  std::byte buffer[10];
  EXPECT_EQ(*b->read_some(buffer), 4u);
  EXPECT_TRUE(b->read_some(buffer).error().is(Errc::eof));
  EXPECT_EQ(write(*b, "x").error().code(), std::make_error_code(std::errc::broken_pipe));
}

TEST(MemoryStream, breaks_writing_too_when_it_was_reset) {
  Context context;
  const Context::Lock lock(context);
  auto [a, b] = memory_stream_pair(context, context);
  a->close(true);
  EXPECT_EQ(write(*b, "x").error().code(), std::make_error_code(std::errc::connection_reset));
}

TEST(MemoryStream, survives_the_end_of_the_other_ends_context) {
  Context context;
  auto other = std::make_unique<Context>();
  auto [a, b] = memory_stream_pair(context, *other);
  on(*other, [&, &end = b] { end->wait_readable([] { ADD_FAILURE() << "ran"; }); });
  other.reset();
  EXPECT_EQ(*on(context, [&, &end = a] { return write(*end, "x"); }), 1u);
  b.reset();
  EXPECT_FALSE(on(context, [&, &end = a] { return write(*end, "x"); }));
}

}  // namespace
}  // namespace streamkit::io
