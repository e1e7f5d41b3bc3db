// Channels on channels: three deep, in both directions, and parents that are gone.
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

TEST(Nesting, goes_three_deep_from_both_sides) {
  MultiplexerPair pair;
  pair.open(pair.b, pair.a, "skew the numbers");
  pair.open(pair.b, pair.a, "of the two sides");
  auto parent = pair.open("root");
  for (int depth = 0; depth < 3; ++depth) {
    Side& from = depth % 2 == 0 ? pair.b : pair.a;
    Side& to = depth % 2 == 0 ? pair.a : pair.b;
    const ChannelId mine = depth % 2 == 0 ? parent.at_b : parent.at_a;
    const ChannelId theirs = depth % 2 == 0 ? parent.at_a : parent.at_b;
    const Result<ChannelId> id = from.mux.open_service({.service = "child"}, mine, pair.now);
    ASSERT_TRUE(id);
    pair.run();
    const std::optional<Opening> opening = to.next<Opening>();
    ASSERT_TRUE(opening);
    ASSERT_TRUE(opening->parent);
    EXPECT_EQ(*opening->parent, theirs);
    ASSERT_TRUE(to.mux.confirm(opening->id, {}, pair.now));
    pair.run();
    parent = depth % 2 == 0 ? MultiplexerPair::Ends{opening->id, *id}
                            : MultiplexerPair::Ends{*id, opening->id};
    ASSERT_TRUE(pair.write(from, *id, "deep"));
    pair.run();
    EXPECT_EQ(pair.read(to, opening->id), "deep");
  }
}

TEST(Nesting, on_a_parent_that_is_unknown_closed_or_unconfirmed_is_refused_never_a_hang) {
  MultiplexerPair pair;
  const auto parent = pair.open();
  const auto attached_to = [&](std::uint32_t number) {
    OpenInfo info{.service = "child"};
    info.parent = number;
    EXPECT_TRUE(pair.a.mux.open(kChannelType, *info.encode(), pair.now));
    pair.run();
    const std::optional<OpenFailed> failure = pair.a.next<OpenFailed>();
    EXPECT_FALSE(pair.b.has<Opening>());
    return failure ? failure->reason : OpenFailure{};
  };
  EXPECT_EQ(attached_to(77), OpenFailure::connect_failed);
  EXPECT_EQ(attached_to(0x7fffffff), OpenFailure::connect_failed);
  ASSERT_TRUE(pair.b.mux.close(parent.at_b, {}, {}, pair.now));
  pair.b.poll();
  EXPECT_EQ(attached_to(static_cast<std::uint32_t>(parent.at_b)), OpenFailure::connect_failed);
  const ChannelId opening = *pair.b.mux.open("x", {}, pair.now);
  EXPECT_EQ(attached_to(static_cast<std::uint32_t>(opening)), OpenFailure::connect_failed);
}

TEST(Nesting, on_a_channel_of_ours_that_is_not_open_is_our_own_mistake) {
  MultiplexerPair pair;
  const ChannelId opening = *pair.a.mux.open_service({.service = "x"}, {}, pair.now);
  EXPECT_TRUE(pair.a.mux.open_service({.service = "y"}, opening, pair.now).error().is(Errc::usage));
  EXPECT_TRUE(
      pair.a.mux.open_service({.service = "y"}, ChannelId{50}, pair.now).error().is(Errc::closed));
}

TEST(Nesting, a_child_outlives_its_parent) {
  MultiplexerPair pair;
  const auto parent = pair.open();
  const auto child = pair.open("child", parent.at_a);
  ASSERT_TRUE(pair.a.mux.close(parent.at_a, {}, {}, pair.now));
  pair.run();
  ASSERT_TRUE(pair.write(pair.a, child.at_a, "still here"));
  pair.run();
  EXPECT_EQ(pair.read(pair.b, child.at_b), "still here");
}

}  // namespace
}  // namespace streamkit::channel::test
