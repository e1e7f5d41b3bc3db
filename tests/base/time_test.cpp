#include <streamkit/base/time.hpp>

#include <gtest/gtest.h>

namespace streamkit {
namespace {

using namespace std::chrono_literals;

TEST(Time, after_adds) {
  const TimePoint start{1h};
  EXPECT_EQ(after(start, 5s), start + 5s);
  EXPECT_EQ(after(start, 0s), start);
}

TEST(Time, after_saturates_at_never) {
  EXPECT_EQ(after(TimePoint{1h}, Duration::max()), kNever);
  EXPECT_EQ(after(kNever, 1ns), kNever);
  EXPECT_EQ(after(kNever, Duration::max()), kNever);
  EXPECT_LT(after(TimePoint{}, 24h * 365 * 100), kNever);
}

TEST(Time, after_takes_a_wait_that_has_already_passed) {
  EXPECT_EQ(after(TimePoint{1h}, -1s), TimePoint{1h} - 1s);
  EXPECT_EQ(after(kNever, -1s), kNever - 1s);
}

}  // namespace
}  // namespace streamkit
