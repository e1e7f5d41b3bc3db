// A million steps of the simulation, twenty runs of them. ./run simulate makes more, and others.
#include "world.hpp"

#include <gtest/gtest.h>

namespace streamkit::simulation {
namespace {

constexpr std::uint64_t kSteps = 50'000;

class Simulation : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(Simulation, keeps_bytes_credit_and_endings_whatever_happens) {
  World world(GetParam());
  ASSERT_TRUE(world.run(kSteps) && world.end()) << world.failure();
  // A run in which little happened proves little.
  for (const char* what :
       {"opened", "open attached", "refuse",    "withdraw", "write",    "append",
        "give",   "lend",          "take back", "read",     "writable", "request",
        "reply",  "global reply",  "stop",      "end",      "closed",   "closed badly",
        "reset",  "keys",          "rekey",     "settled",  "link",     "down"})
    EXPECT_GT(world.report().count(what), 0u) << what;
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range<std::uint64_t>(1, 21));

TEST(SimulationSeed, is_the_same_again_with_the_same_seed) {
  World first(7), second(7), other(8);
  ASSERT_TRUE(first.run(3000)) << first.failure();
  ASSERT_TRUE(second.run(3000)) << second.failure();
  ASSERT_TRUE(other.run(3000)) << other.failure();
  EXPECT_EQ(first.report().digest, second.report().digest);
  EXPECT_NE(first.report().digest, other.report().digest);
}

}  // namespace
}  // namespace streamkit::simulation
