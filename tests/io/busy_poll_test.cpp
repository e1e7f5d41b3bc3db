// When a driver looks for events before it sleeps.
#include "busy_poll.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace streamkit::io {
namespace {

using namespace std::chrono_literals;

constexpr Duration kNo{0};
constexpr Duration kLate = BusyPoll::kLook + 1ns;

/// Turns without a look until the next trial.
unsigned turns_to_trial(BusyPoll& poll) {
  unsigned turns = 0;
  while (poll.next() == kNo && turns < 1'000'000) ++turns;
  return turns;
}

TEST(BusyPoll, one_turn_in_many_is_a_trial_and_what_comes_in_time_makes_it_go_on) {
  BusyPoll poll(true);
  EXPECT_EQ(turns_to_trial(poll), BusyPoll::kOften - 1);
  for (int i = 0; i < 10; ++i) {
    poll.looked(true, -1us);
    EXPECT_EQ(poll.next(), BusyPoll::kLook);
  }
  poll.looked(false, 1us);
  EXPECT_EQ(poll.next(), BusyPoll::kLook) << "once in vain is not yet the end";
  poll.looked(false, 1us);
  EXPECT_EQ(poll.next(), kNo);
  EXPECT_EQ(turns_to_trial(poll), BusyPoll::kOften - 2);
}

TEST(BusyPoll, every_second_time_in_vain_is_too_often) {
  BusyPoll poll(true);
  turns_to_trial(poll);
  for (int i = 0; i < 10; ++i) poll.looked(true, -1us);
  int looks = 0;
  for (; poll.next() != kNo && looks < 100; ++looks) poll.looked(looks % 2 == 0, 0us);
  EXPECT_LT(looks, 10);
}

TEST(BusyPoll, who_moves_much_sleeps_at_once) {
  BusyPoll poll(true);
  turns_to_trial(poll);
  poll.looked(true, -1us);
  poll.moved(BusyPoll::kLittle);
  EXPECT_EQ(poll.next(), BusyPoll::kLook);
  poll.moved(BusyPoll::kLittle);
  poll.moved(1);
  EXPECT_EQ(poll.next(), kNo);
  EXPECT_EQ(turns_to_trial(poll), BusyPoll::kOften - 2);
  for (int i = 0; i < 1000; ++i) {
    poll.moved(BusyPoll::kLittle + 1);
    ASSERT_EQ(poll.next(), kNo);
  }
}

TEST(BusyPoll, where_others_are_busy_trials_become_rare_until_one_succeeds) {
  BusyPoll poll(true);
  unsigned wanted = BusyPoll::kOften;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(turns_to_trial(poll), wanted - 1);
    poll.looked(i % 2 == 0, kLate);
    wanted = std::min(wanted * 4, BusyPoll::kSeldom);
  }
  EXPECT_EQ(wanted, BusyPoll::kSeldom);
  turns_to_trial(poll);
  poll.looked(true, BusyPoll::kLook);
  poll.looked(false, 0us);
  EXPECT_EQ(turns_to_trial(poll), BusyPoll::kOften - 1);
}

TEST(BusyPoll, what_is_chosen_holds_whatever_comes_of_it) {
  BusyPoll poll(true);
  poll.choose(3ms);
  for (int i = 0; i < 100; ++i) {
    poll.moved(1 << 20);
    EXPECT_EQ(poll.next(), 3ms);
    poll.looked(false, kLate);
  }
  poll.choose(0s);
  EXPECT_EQ(turns_to_trial(poll), 1'000'000u);
  poll.choose(std::nullopt);
  EXPECT_LT(turns_to_trial(poll), BusyPoll::kSeldom);
}

TEST(BusyPoll, without_processors_to_spare_it_looks_only_when_told_to) {
  BusyPoll poll(false);
  EXPECT_EQ(turns_to_trial(poll), 1'000'000u);
  poll.choose(1ms);
  EXPECT_EQ(poll.next(), 1ms);
  poll.choose(std::nullopt);
  EXPECT_EQ(turns_to_trial(poll), 1'000'000u);
}

TEST(BusyPoll, a_quota_of_the_own_group_or_of_one_above_counts) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(::testing::TempDir()) / ("cgroup-" + std::to_string(::getpid()));
  fs::create_directories(root / "outer/inner");
  const std::string groups = root / "groups";
  const auto write = [](const fs::path& file, std::string_view text) {
    std::ofstream(file) << text;
  };
  const auto has_one = [&] { return has_quota(groups, root); };
  EXPECT_FALSE(has_one()) << "no groups at all";
  write(groups, "1:cpu:/elsewhere\n0::/outer/inner\n");
  EXPECT_FALSE(has_one());
  for (const char* group : {"outer/inner", "outer", "."}) {
    write(root / group / "cpu.max", "max 100000\n");
    EXPECT_FALSE(has_one()) << group;
    write(root / group / "cpu.max", "50000 100000\n");
    EXPECT_TRUE(has_one()) << group;
    write(root / group / "cpu.max", "max 100000\n");
  }
  write(root / "outer/cpu.max", "50000 100000\n");
  write(groups, "0::/\n");
  EXPECT_FALSE(has_one()) << "of another group";
  fs::remove_all(root);
}

}  // namespace
}  // namespace streamkit::io
