#include <streamkit/base/function.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace streamkit {
namespace {

TEST(Function, is_empty_until_it_holds_something) {
  Function<int(int)> f;
  EXPECT_FALSE(f);
  f = [](int x) { return x + 1; };
  ASSERT_TRUE(f);
  EXPECT_EQ(f(1), 2);
  f = nullptr;
  EXPECT_FALSE(f);
}

TEST(Function, holds_captures_that_only_move) {
  Function<int()> f = [p = std::make_unique<int>(7)] { return *p; };
  Function<int()> g = std::move(f);
  EXPECT_FALSE(f);
  EXPECT_EQ(g(), 7);
}

TEST(Function, passes_arguments_that_only_move) {
  Function<int(std::unique_ptr<int>)> f = [](std::unique_ptr<int> p) { return *p; };
  EXPECT_EQ(f(std::make_unique<int>(3)), 3);
}

// Counts how many of it are alive, in a size of choice: inside the Function or on the heap.
template <std::size_t Size>
struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(const Counted& o) : alive_(o.alive_) { ++*alive_; }
  Counted(Counted&& o) noexcept : alive_(o.alive_) { ++*alive_; }
  ~Counted() { --*alive_; }
  int operator()() const { return *alive_; }
  int* alive_;
  std::array<std::byte, Size> bulk_{};
};

template <std::size_t Size>
void check_lifetimes() {
  int alive = 0;
  {
    Function<int()> f = Counted<Size>(alive);
    EXPECT_EQ(alive, 1);
    Function<int()> g = std::move(f);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(g(), 1);
    g = Counted<Size>(alive);
    EXPECT_EQ(alive, 1);
    g = std::move(g);
    EXPECT_EQ(g(), 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Function, destroys_a_small_capture_exactly_once) {
  check_lifetimes<1>();
}
TEST(Function, destroys_a_large_capture_exactly_once) {
  check_lifetimes<200>();
}

TEST(Function, may_be_replaced_while_it_is_empty_again_and_again) {
  int calls = 0;
  Task task;
  for (int i = 0; i < 3; ++i) {
    task = [&calls] { ++calls; };
    task();
    task = {};
  }
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace streamkit
