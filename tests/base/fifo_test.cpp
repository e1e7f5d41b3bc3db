#include <streamkit/base/fifo.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace streamkit {
namespace {

TEST(Fifo, gives_back_in_order_what_it_was_given) {
  Fifo<int> fifo;
  EXPECT_TRUE(fifo.empty());
  int next_in = 0, next_out = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round % 7 + 1; ++i) fifo.push(next_in++);
    EXPECT_EQ(fifo.back(), next_in - 1);
    for (int i = 0; i < round % 5 + 1 && !fifo.empty(); ++i) EXPECT_EQ(fifo.take(), next_out++);
    EXPECT_EQ(fifo.size(), static_cast<std::size_t>(next_in - next_out));
  }
  while (!fifo.empty()) EXPECT_EQ(fifo.take(), next_out++);
  EXPECT_EQ(next_out, next_in);
}

TEST(Fifo, destroys_an_item_when_it_leaves) {
  Fifo<std::shared_ptr<int>> fifo;
  const auto item = std::make_shared<int>(1);
  fifo.push(item);
  fifo.push(item);
  fifo.pop();
  EXPECT_EQ(item.use_count(), 2);
  fifo.clear();
  EXPECT_EQ(item.use_count(), 1);
}

TEST(Fifo, takes_out_from_the_middle) {
  Fifo<int> fifo;
  for (int i = 0; i < 10; ++i) fifo.push(i);
  fifo.pop();
  fifo.erase_if([](int i) { return i % 2 == 0; });
  EXPECT_EQ(std::vector<int>(fifo.begin(), fifo.end()), (std::vector<int>{1, 3, 5, 7, 9}));
  fifo.erase_if([](int) { return true; });
  EXPECT_TRUE(fifo.empty());
  fifo.push(7);
  EXPECT_EQ(fifo.front(), 7);
}

}  // namespace
}  // namespace streamkit
