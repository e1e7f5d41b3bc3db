// The pool in front of the generator: what it draws, gives once, and does when the source fails.
#include "vectors.hpp"

#include <streamkit/crypto/random.hpp>

#include <gtest/gtest.h>

namespace streamkit::crypto {
namespace {

using test::fails_with;

/// Counts up, and can be told to fail.
class Counting final : public Random {
 public:
  Result<void> fill(MutableByteView out) override {
    if (broken) return Errc::crypto;
    ++calls;
    bytes += out.size();
    for (std::byte& b : out) b = std::byte(next++ & 0xff);
    return {};
  }
  bool broken = false;
  std::size_t calls = 0, bytes = 0;
  unsigned next = 1;
};

TEST(SystemRandom, gives_other_bytes_every_time) {
  Bytes a(32), b(32);
  ASSERT_TRUE(system_random().fill(a));
  ASSERT_TRUE(system_random().fill(b));
  EXPECT_NE(a, b);
  EXPECT_NE(a, Bytes(32));
  EXPECT_TRUE(system_random().fill({}));
}

TEST(BufferedRandom, draws_512_bytes_at_a_time_and_gives_each_byte_once) {
  Counting source;
  BufferedRandom pool(source);
  Bytes all;
  for (int i = 0; i < 64; ++i) {
    Bytes piece(8);
    ASSERT_TRUE(pool.fill(piece));
    append(all, piece);
  }
  EXPECT_EQ(source.calls, 1u);
  EXPECT_EQ(source.bytes, 512u);
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], std::byte((i + 1) & 0xff)) << i;
  Bytes one(1);
  ASSERT_TRUE(pool.fill(one));
  EXPECT_EQ(source.calls, 2u);
}

TEST(BufferedRandom, goes_straight_to_the_source_for_a_large_piece) {
  Counting source;
  BufferedRandom pool(source);
  Bytes large(4096), nothing;
  ASSERT_TRUE(pool.fill(large));
  EXPECT_EQ(source.bytes, 4096u);
  ASSERT_TRUE(pool.fill(nothing));
  EXPECT_EQ(source.calls, 1u);
}

TEST(BufferedRandom, gives_nothing_old_when_the_source_fails) {
  Counting source;
  BufferedRandom pool(source);
  Bytes piece(400);
  ASSERT_TRUE(pool.fill(piece));
  source.broken = true;
  Bytes more(200), rest(50);
  EXPECT_TRUE(fails_with(pool.fill(more), Errc::crypto));
  EXPECT_EQ(more, Bytes(200));
  EXPECT_FALSE(pool.fill(rest));  // the old pool is not offered again either
  source.broken = false;
  EXPECT_TRUE(pool.fill(rest));
}

}  // namespace
}  // namespace streamkit::crypto
