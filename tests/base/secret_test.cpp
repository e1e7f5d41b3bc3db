#include <streamkit/base/secret.hpp>

#include <gmock/gmock.h>

#include <algorithm>

namespace streamkit {
namespace {

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

TEST(Secret, b12_wipe_leaves_nothing) {
  Bytes bytes = to_bytes("a password");
  wipe(bytes);
  EXPECT_TRUE(all_zero(bytes));
  EXPECT_EQ(bytes.size(), 10u);
  wipe({});
}

TEST(Secret, is_moved_and_never_copied) {
  static_assert(!std::is_copy_constructible_v<SecretBytes>);
  static_assert(!std::is_copy_assignable_v<SecretBytes>);
  static_assert(std::is_nothrow_move_constructible_v<SecretBytes>);
  SecretBytes a(as_bytes("key"));
  const SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(as_text(b.view()), "key");
}

TEST(Secret, b12_takes_over_the_memory_it_is_given_instead_of_leaving_a_copy_behind) {
  Bytes bytes = to_bytes("thirty-two bytes of key material");
  const std::byte* at = bytes.data();
  const SecretBytes secret(std::move(bytes));
  EXPECT_EQ(secret.view().data(), at);
}

TEST(Secret, assignment_replaces_the_old_value_and_empties_the_source) {
  SecretBytes a(as_bytes("old"));
  SecretBytes b(as_bytes("new"));
  a = std::move(b);
  EXPECT_EQ(as_text(a.view()), "new");
  EXPECT_TRUE(b.empty());
}

TEST(Secret, starts_as_zero_bytes_of_the_size_asked_for) {
  SecretBytes s(4);
  EXPECT_EQ(s.size(), 4u);
  EXPECT_TRUE(all_zero(s.view()));
  s.span()[0] = std::byte{9};
  EXPECT_EQ(s.view()[0], std::byte{9});
}

}  // namespace
}  // namespace streamkit
