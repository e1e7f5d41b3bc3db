// Who is let to the door: by number, by chance, by rate; and how a flood of refusals is told.
#include "admission.hpp"

#include "support/fixed_random.hpp"

#include <gtest/gtest.h>

namespace streamkit {
namespace {

using namespace std::chrono_literals;
using testing::FixedRandom;

const TimePoint kStart{std::chrono::hours(1)};

/// Limits that only the test's own subject reaches.
PeerLimits wide() {
  PeerLimits limits;
  limits.max_half_open = limits.max_half_open_per_source = limits.early_drop_start = 1'000'000;
  limits.kex_rate_per_source = 0;
  return limits;
}

/// Of 10,000 newcomers to a door with `half_open` connections, the part that is turned away.
double refused_part(const PeerLimits& limits, std::uint64_t half_open) {
  constexpr int kNewcomers = 10'000;
  FixedRandom random;
  Admission door(random);
  for (std::uint64_t i = 0; i < half_open; ++i) door.begin(i, {}, kStart);
  int refused = 0;
  for (int i = 0; i < kNewcomers; ++i) refused += door.check("192.0.2.1", limits, kStart) ? 0 : 1;
  return refused / double(kNewcomers);
}

TEST(Admission, c18_newcomers_are_turned_away_by_chance_before_the_door_is_full) {
  PeerLimits limits = wide();
  limits.max_half_open = 100;
  limits.early_drop_start = 50;
  limits.early_drop_percent = 30;
  EXPECT_EQ(refused_part(limits, 0), 0);
  EXPECT_EQ(refused_part(limits, 49), 0);
  EXPECT_NEAR(refused_part(limits, 50), 0.30, 0.02);
  EXPECT_NEAR(refused_part(limits, 75), 0.65, 0.02);
  EXPECT_NEAR(refused_part(limits, 99), 0.986, 0.01);
  EXPECT_EQ(refused_part(limits, 100), 1);
  limits.early_drop_start = 100;  // never by chance
  EXPECT_EQ(refused_part(limits, 99), 0);
}

TEST(Admission, c18_without_randomness_the_door_counts_as_full) {
  struct Broken final : Random {
    Result<void> fill(MutableByteView) override { return Errc::crypto; }
  } broken;
  PeerLimits limits = wide();
  limits.max_half_open = 100;
  limits.early_drop_start = 1;
  Admission door(broken);
  EXPECT_TRUE(door.check("192.0.2.1", limits, kStart));
  door.begin(1, "192.0.2.1", kStart);
  EXPECT_FALSE(door.check("192.0.2.1", limits, kStart));
  EXPECT_TRUE(door.end(1));
  EXPECT_FALSE(door.end(1));
  EXPECT_TRUE(door.check("192.0.2.1", limits, kStart));
}

TEST(Admission, c18_a_source_begins_so_many_key_exchanges_and_others_are_not_hurt) {
  PeerLimits limits = wide();
  limits.kex_rate_per_source = 10;
  limits.kex_burst_per_source = 25;
  FixedRandom random;
  Admission door(random);
  const auto admitted = [&](const std::string& source, TimePoint now) {
    int count = 0;
    while (door.check(source, limits, now)) ++count;
    return count;
  };
  EXPECT_EQ(admitted("192.0.2.1", kStart), 25);
  EXPECT_NE(
      door.check("192.0.2.1", limits, kStart).error().message().find("kex_rate_per_source (10)"),
      std::string::npos);
  EXPECT_EQ(admitted("192.0.2.2", kStart), 25);
  EXPECT_EQ(admitted("192.0.2.1", kStart + 99ms), 0);
  EXPECT_EQ(admitted("192.0.2.1", kStart + 1s), 10);
  EXPECT_EQ(admitted("192.0.2.1", kStart + 1h), 25);  // quiet time is not saved up for ever
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(door.check("", limits, kStart)) << "a unix socket has no source";
}

TEST(Admission, c18_whoever_is_refused_otherwise_has_begun_no_key_exchange) {
  PeerLimits limits = wide();
  limits.max_half_open = 1;
  limits.kex_rate_per_source = limits.kex_burst_per_source = 1;
  FixedRandom random;
  Admission door(random);
  door.begin(1, "192.0.2.1", kStart);
  EXPECT_FALSE(door.check("192.0.2.2", limits, kStart));
  door.end(1);
  EXPECT_TRUE(door.check("192.0.2.2", limits, kStart));
  EXPECT_FALSE(door.check("192.0.2.2", limits, kStart));
}

TEST(Admission, c18_what_is_remembered_of_sources_is_bounded) {
  PeerLimits limits = wide();
  limits.kex_rate_per_source = 10;
  limits.kex_burst_per_source = 20;
  FixedRandom random;
  Admission door(random);
  int refused = 0;
  for (std::size_t i = 0; i < 3 * Admission::kMaxSources; ++i)
    refused += door.check("2001:db8::" + std::to_string(i), limits, kStart) ? 0 : 1;
  EXPECT_LE(door.sources(), Admission::kMaxSources + 1);
  EXPECT_EQ(static_cast<std::size_t>(refused), 2 * Admission::kMaxSources - 20)
      << "those beyond share one rate";
  EXPECT_TRUE(door.check("2001:db8:1::1", limits, kStart + 1s)) << "the quiet ones are forgotten";
  EXPECT_LE(door.sources(), 2u);
}

TEST(Admission, c18_slow_sources_come_in_only_while_there_is_no_crowd) {
  PeerLimits limits = wide();
  limits.early_drop_start = 2;
  limits.slow_source_memory = 10min;
  FixedRandom random;
  Admission door(random);
  const auto may = [&](const std::string& source, TimePoint now) {
    return bool(door.check(source, limits, now));
  };
  door.was_slow("192.0.2.1", limits, kStart);
  door.begin(1, "192.0.2.9", kStart);
  EXPECT_TRUE(may("192.0.2.1", kStart)) << "there is room for everybody";
  door.begin(2, "192.0.2.9", kStart);
  limits.early_drop_percent = 0;
  EXPECT_TRUE(may("192.0.2.2", kStart));
  const Result<void> refused = door.check("192.0.2.1", limits, kStart + 10min - 1ns);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("early_drop_start (2)"), std::string::npos);
  EXPECT_NE(refused.error().message().find("ran out of time"), std::string::npos);
  EXPECT_TRUE(may("192.0.2.1", kStart + 10min));
  door.was_slow("192.0.2.1", limits, kStart);
  door.begin(3, "192.0.2.1", kStart);  // it had come in before
  door.authenticated(3);
  EXPECT_EQ(door.half_open(), 2u);
  EXPECT_TRUE(may("192.0.2.1", kStart)) << "somebody authenticated from there";
  door.was_slow("", limits, kStart);
  EXPECT_TRUE(may("", kStart)) << "a unix socket has no source";
  limits.slow_source_memory = 0s;
  door.was_slow("192.0.2.1", limits, kStart);
  EXPECT_TRUE(may("192.0.2.1", kStart));
}

TEST(Admission, c18_in_a_crowd_those_who_have_stood_there_for_long_are_overdue) {
  PeerLimits limits = wide();
  limits.early_drop_start = 3;
  limits.handshake_timeout_crowded = 3s;
  FixedRandom random;
  Admission door(random);
  door.begin(1, "192.0.2.1", kStart);
  door.begin(2, "", kStart + 1s);
  EXPECT_TRUE(door.overdue(limits, kStart + 1h).empty()) << "there is no crowd";
  door.begin(3, "192.0.2.1", kStart + 2s);
  EXPECT_TRUE(door.overdue(limits, kStart + 3s - 1ns).empty());
  EXPECT_EQ(door.overdue(limits, kStart + 3s), std::vector<std::uint64_t>{1});
  EXPECT_EQ(door.overdue(limits, kStart + 4s), (std::vector<std::uint64_t>{1, 2}));
  limits.handshake_timeout_crowded = Duration::max();
  EXPECT_TRUE(door.overdue(limits, kStart + 1h).empty());
}

TEST(Admission, c18_slow_sources_are_forgotten_only_when_there_is_no_other_room) {
  PeerLimits limits = wide();
  limits.early_drop_start = 0;
  limits.early_drop_percent = 0;
  limits.kex_rate_per_source = 10;
  FixedRandom random;
  Admission door(random);
  constexpr std::size_t kSlow = Admission::kMaxSources / 2;
  const auto source = [](std::size_t i) { return "2001:db8::" + std::to_string(i); };
  for (std::size_t i = 0; i < kSlow; ++i) door.was_slow(source(i), limits, kStart);
  for (std::size_t i = kSlow; i < Admission::kMaxSources; ++i)
    ASSERT_TRUE(door.check(source(i), limits, kStart));
  EXPECT_EQ(door.sources(), Admission::kMaxSources);
  EXPECT_TRUE(door.check("192.0.2.1", limits, kStart + 1s)) << "the quiet ones go";
  EXPECT_EQ(door.sources(), kSlow + 1);
  EXPECT_FALSE(door.check(source(0), limits, kStart + 1s));
  for (std::size_t i = 0; door.sources() < Admission::kMaxSources; ++i)
    door.was_slow(source(kSlow + i), limits, kStart + 1s);
  EXPECT_TRUE(door.check("192.0.2.2", limits, kStart + 1s)) << "and then the slow ones";
  EXPECT_EQ(door.sources(), 2u);
  EXPECT_TRUE(door.check(source(0), limits, kStart + 1s));
}

TEST(RefusalNotices, the_first_are_told_one_by_one_and_a_flood_is_counted) {
  RefusalNotices notices;
  const Error full(Errc::limit, "full");
  int told = 0;
  for (int i = 0; i < 500; ++i) told += notices.add("192.0.2.1", full, kStart) ? 1 : 0;
  EXPECT_EQ(told, 10);
  EXPECT_FALSE(notices.add("192.0.2.2", full, kStart + 1s));
  EXPECT_FALSE(notices.add("192.0.2.2", Error(Errc::timeout, "slow"), kStart + 4s));
  ASSERT_EQ(notices.due(), kStart + 5s);
  const auto counted = notices.take();
  ASSERT_EQ(counted.size(), 3u);
  EXPECT_EQ(counted[0].address, "192.0.2.1");
  EXPECT_EQ(counted[0].why.message(), "490 more: full");
  EXPECT_EQ(counted[1].address, "192.0.2.2");
  EXPECT_EQ(counted[1].why.message(), "1 more: full");
  EXPECT_TRUE(counted[2].why.is(Errc::timeout));
  EXPECT_EQ(notices.due(), kNever);
  EXPECT_TRUE(notices.add("192.0.2.1", full, kStart + 5s));  // a new interval
}

TEST(RefusalNotices, a_flood_from_everywhere_takes_a_few_lines_and_a_little_memory) {
  RefusalNotices notices;
  for (int i = 0; i < 100'000; ++i)
    (void)notices.add(std::to_string(i),
                      Error(Errc::auth_denied, std::string(5000, 'x') + std::to_string(i)), kStart);
  const auto counted = notices.take();
  ASSERT_EQ(counted.size(), RefusalNotices::kMaxGroups);
  EXPECT_EQ(counted.back().address, "others");
  const std::string rest = std::to_string(100'000 - 10 - 7) + " more: ";
  EXPECT_EQ(counted.back().why.message().substr(0, rest.size()), rest);
  for (const auto& notice : counted) EXPECT_LT(notice.why.message().size(), 500u);
}

}  // namespace
}  // namespace streamkit
