// The input queue: bytes in one piece, slabs that are kept and come back.
#include "input_queue.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace streamkit::ssh {
namespace {

void put(InputQueue& queue, std::string_view text) {
  std::memcpy(queue.prepare(text.size()).data(), text.data(), text.size());
  queue.commit(text.size());
}

TEST(InputQueue, keeps_its_bytes_together_as_it_grows) {
  InputQueue queue;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i) + ",";
    put(queue, text);
    all += text;
    if (i % 3 == 0) {
      queue.consume(2);
      all.erase(0, 2);
    }
    ASSERT_EQ(as_text(queue.data()), all);
  }
  queue.clear();
  EXPECT_TRUE(queue.empty());
  queue.shrink();
  put(queue, "again");
  EXPECT_EQ(as_text(queue.data()), "again");
}

TEST(InputQueue, leaves_bytes_that_somebody_keeps_where_they_are) {
  constexpr std::size_t kRead = 64 * 1024;
  InputQueue queue;
  struct Kept {
    Keeper keeper;
    ByteView bytes;
    char fill;
  };
  std::vector<Kept> kept;
  for (char fill = 'a'; fill < 'g'; ++fill) {
    put(queue, std::string(kRead, fill));
    const ByteView bytes = ByteView(queue.data()).last(kRead);
    kept.push_back({queue.keeper(), bytes, fill});
    ASSERT_TRUE(kept.back().keeper);
    queue.consume(kRead - 10);
  }
  for (const Kept& k : kept)
    EXPECT_EQ(as_text(k.bytes), std::string(kRead, k.fill)) << "was overwritten";
}

TEST(InputQueue, reads_again_into_a_slab_that_was_let_go_and_not_into_one_that_is_kept) {
  constexpr std::size_t kRead = 64 * 1024;
  InputQueue queue;
  const auto fill_slab = [&](char fill) {
    put(queue, std::string(kRead, fill));
    const std::byte* slab = queue.data().data();
    Keeper keeper = queue.keeper();
    queue.clear();
    for (std::size_t i = 1; i < InputQueue::kReadsPerSlab; ++i) {
      put(queue, std::string(kRead, fill));
      queue.clear();
    }
    return std::pair(slab, std::move(keeper));
  };
  auto [first, first_kept] = fill_slab('a');
  const auto [second, second_kept] = fill_slab('b');
  ASSERT_NE(first, second);
  EXPECT_EQ(as_text({first, kRead}), std::string(kRead, 'a'));
  first_kept = {};
  const auto [third, third_kept] = fill_slab('c');
  EXPECT_EQ(third, first);
  EXPECT_EQ(as_text({second, kRead}), std::string(kRead, 'b'));
}

TEST(InputQueue, lets_only_so_many_slabs_be_kept) {
  constexpr std::size_t kRead = 64 * 1024;
  InputQueue queue;
  std::vector<Keeper> kept;
  while (kept.size() < 10'000) {
    put(queue, std::string(kRead, 'x'));
    if (!queue.keeper()) break;
    kept.push_back(queue.keeper());
    queue.clear();
  }
  EXPECT_LE(kept.size(), (InputQueue::kMaxOthers + 1) * InputQueue::kReadsPerSlab);
  EXPECT_FALSE(queue.keeper());
  queue.clear();
  kept.clear();  // all come back
  for (int i = 0; i < 100; ++i) {
    put(queue, std::string(kRead, 'y'));
    queue.clear();
  }
  EXPECT_TRUE(queue.keeper());
}

}  // namespace
}  // namespace streamkit::ssh
