#include <streamkit/base/buffer.hpp>

#include <gmock/gmock.h>

#include <cstring>
#include <deque>
#include <random>

namespace streamkit {
namespace {

TEST(ByteQueue, is_empty_at_first_and_owns_no_memory) {
  const ByteQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.capacity(), 0u);
  EXPECT_TRUE(queue.data().empty());
}

TEST(ByteQueue, gives_back_what_was_appended_in_order) {
  ByteQueue queue;
  queue.append(as_bytes("one "));
  queue.append(as_bytes("two"));
  EXPECT_EQ(as_text(queue.data()), "one two");
  queue.consume(4);
  EXPECT_EQ(as_text(queue.data()), "two");
  queue.append(as_bytes(" three"));
  EXPECT_EQ(as_text(queue.data()), "two three");
}

TEST(ByteQueue, appending_nothing_changes_nothing) {
  ByteQueue queue;
  queue.append({});
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.capacity(), 0u);
}

TEST(ByteQueue, prepared_room_counts_only_once_committed) {
  ByteQueue queue;
  const MutableByteView room = queue.prepare(10);
  ASSERT_GE(room.size(), 10u);
  std::memcpy(room.data(), "abcdef", 6);
  EXPECT_TRUE(queue.empty());
  queue.commit(3);
  EXPECT_EQ(as_text(queue.data()), "abc");
}

TEST(ByteQueue, preparing_keeps_the_bytes_already_there) {
  ByteQueue queue;
  queue.append(as_bytes("kept"));
  ASSERT_GE(queue.prepare(100'000).size(), 100'000u);
  EXPECT_EQ(as_text(queue.data()), "kept");
}

TEST(ByteQueue, uses_the_room_in_front_before_it_grows) {
  ByteQueue queue;
  queue.append(Bytes(1000, std::byte{1}));
  const std::size_t capacity = queue.capacity();
  for (int i = 0; i < 10'000; ++i) {  // ten million bytes pass through
    queue.consume(999);
    queue.append(Bytes(999, std::byte(i)));
  }
  EXPECT_EQ(queue.size(), 1000u);
  EXPECT_LE(queue.capacity(), 2 * capacity);
}

TEST(ByteQueue, gives_memory_back_when_it_runs_empty_and_had_grown) {
  ByteQueue queue(1024);
  queue.append(Bytes(100'000));
  queue.consume(99'999);
  EXPECT_GE(queue.capacity(), 100'000u);
  queue.consume(1);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.capacity(), 0u);
}

TEST(ByteQueue, keeps_a_small_buffer_for_the_next_bytes) {
  ByteQueue queue(1024);
  queue.append(Bytes(1024));
  queue.clear();
  EXPECT_EQ(queue.capacity(), 1024u);
}

TEST(ByteQueue, agrees_with_a_simple_model_over_random_operations) {
  std::mt19937 random(7);
  ByteQueue queue(256);
  std::deque<std::byte> model;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0) {
      Bytes bytes(random() % 300);
      for (std::byte& b : bytes) b = std::byte(random());
      queue.append(bytes);
      model.insert(model.end(), bytes.begin(), bytes.end());
    } else {
      const std::size_t n = random() % (model.size() + 1);
      queue.consume(n);
      model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(n));
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_TRUE(std::equal(model.begin(), model.end(), queue.data().begin()));
  }
}

}  // namespace
}  // namespace streamkit
