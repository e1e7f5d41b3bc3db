// A Result that a test expects to be a value.
#include "support/outcome.hpp"

#include <gtest/gtest-spi.h>

namespace streamkit::testing {
namespace {

int calls = 0;

/// Fails the first time.
Result<int> fails_once() {
  if (++calls == 1) return Error(Errc::timeout, "nobody came");
  return calls;
}

TEST(Result, what_is_expected_of_a_call_calls_it_once_and_a_failure_says_why) {
  calls = 0;
  EXPECT_NONFATAL_FAILURE(SK_EXPECT_OK(fails_once()), "nobody came");
  EXPECT_EQ(calls, 1);
  SK_ASSERT_OK(fails_once());
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace streamkit::testing
