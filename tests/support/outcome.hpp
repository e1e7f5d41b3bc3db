// Expecting that a Result is a value: what the error says is in the message, and the expression is
// evaluated once.
#pragma once

#include <streamkit/base/result.hpp>

#include <gtest/gtest.h>

namespace streamkit::testing {

template <class T>
::testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().message();
}

}  // namespace streamkit::testing

#define SK_ASSERT_OK(result) ASSERT_TRUE(::streamkit::testing::succeeded(result))
#define SK_EXPECT_OK(result) EXPECT_TRUE(::streamkit::testing::succeeded(result))
