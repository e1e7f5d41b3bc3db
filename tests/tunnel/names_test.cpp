#include "names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace streamkit::tunnel {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TimePoint kStart{};
const NameTable::Claimant kAnn{"SHA256:ann", "192.0.2.1:1000"};
const NameTable::Claimant kBob{"SHA256:bob", "192.0.2.2:2000"};

crypto::PublicKey new_key() {
  return crypto::PrivateKey::generate()->public_key();
}

TEST(Names, are_single_labels_of_lower_case_letters_digits_and_hyphens) {
  EXPECT_EQ(*check_name("shop"), "shop");
  EXPECT_EQ(*check_name("a-1"), "a-1");
  EXPECT_EQ(*check_name("7"), "7");
  for (const char* bad :
       {"", "a.b", "a_b", "-a", "a-", "a b", "caf\xc3\xa9", "a/b", "a\n", "xn--abc"}) {
    const auto refused = check_name(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_TRUE(refused.error().is(Errc::bad_name)) << bad;
  }
}

TEST(Names, fold_upper_case_as_dns_does) {
  EXPECT_EQ(*check_name("Shop"), "shop");
}

TEST(Names, have_at_most_63_characters) {
  EXPECT_TRUE(check_name(std::string(63, 'a')));
  const auto refused = check_name(std::string(64, 'a'));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("63"));
}

TEST(Names, that_are_reserved_are_refused) {
  for (const char* reserved : {"www", "relay", "localhost", "ADMIN"})
    EXPECT_FALSE(check_name(reserved)) << reserved;
}

TEST(Names, derived_from_a_key_are_stable_valid_and_of_80_bits) {
  const auto key = new_key();
  const auto name = derived_name(key);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->size(), 16U);
  EXPECT_TRUE(has_derived_form(*name));
  EXPECT_EQ(*check_name(*name), *name);
  EXPECT_EQ(*derived_name(key), *name);
  EXPECT_NE(*derived_name(new_key()), *name);
  EXPECT_FALSE(derived_name(crypto::PublicKey()));
}

TEST(Names, derived_ones_are_the_first_bits_of_the_sha256_of_the_blob_in_base32) {
  // python3: base64.b32encode(hashlib.sha256(base64.b64decode(BLOB)).digest())[:16].lower()
  const auto key = crypto::PublicKey::from_text(
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICXZrZPKkxYEjhvChzb3T9f1xh3vm9PlWcBlOm9tyPJX");
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(*derived_name(*key), "gwnykbmrybinxlhe");
}

TEST(Names, are_found_in_a_host_below_the_domain) {
  EXPECT_EQ(label_of_host("shop.localhost", "localhost"), "shop");
  EXPECT_EQ(label_of_host("SHOP.Localhost:8080", "localhost"), "shop");
  EXPECT_EQ(label_of_host("shop.t.example.com.", "t.example.com"), "shop");
  EXPECT_EQ(label_of_host("localhost", "localhost"), "");
  for (const char* other : {"", "shop", "a.b.localhost", "shoplocalhost", ".localhost",
                            "localhost.evil", "shop.localhost.evil", "[::1]:80", "127.0.0.1"}) {
    EXPECT_EQ(label_of_host(other, "localhost"), std::nullopt) << other;
  }
}

TEST(NameTable, gives_a_free_name_to_who_asks) {
  NameTable table(60s, 10);
  const auto claimed = table.claim("shop", kAnn, kStart);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->superseded, 0U);
  ASSERT_NE(table.find("shop", kStart), nullptr);
  EXPECT_EQ(table.find("shop", kStart)->claim, claimed->claim);
  EXPECT_EQ(table.find("other", kStart), nullptr);
}

TEST(NameTable, tells_another_key_who_holds_the_name_since_when_and_from_where) {
  NameTable table(60s, 10);
  ASSERT_TRUE(table.claim("shop", kAnn, kStart));
  const auto refused = table.claim("shop", kBob, kStart + 3min);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::name_taken));
  for (const char* part : {"shop", "SHA256:ann", "3 min", "192.0.2.1:1000"}) {
    EXPECT_THAT(refused.error().message(), HasSubstr(part));
  }
}

TEST(NameTable, lets_the_same_key_take_over_at_once) {
  NameTable table(60s, 10);
  const auto first = table.claim("shop", kAnn, kStart);
  const auto second = table.claim("shop", {kAnn.owner, "192.0.2.9:9"}, kStart + 1s);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->superseded, first->claim);
  EXPECT_FALSE(second->resumed);
  EXPECT_EQ(table.find("shop", kStart + 1s)->from, "192.0.2.9:9");
}

TEST(NameTable, ignores_what_a_superseded_claim_does_afterwards) {
  NameTable table(60s, 10);
  const auto first = table.claim("shop", kAnn, kStart);
  const auto second = table.claim("shop", kAnn, kStart);
  table.release(first->claim);
  EXPECT_FALSE(table.linger(first->claim, kStart));
  ASSERT_NE(table.find("shop", kStart), nullptr);
  EXPECT_EQ(table.find("shop", kStart)->claim, second->claim);
  EXPECT_FALSE(table.find("shop", kStart)->lingering);
}

TEST(NameTable, frees_a_released_name_at_once) {
  NameTable table(60s, 10);
  table.release(table.claim("shop", kAnn, kStart)->claim);
  EXPECT_TRUE(table.claim("shop", kBob, kStart));
}

TEST(NameTable, keeps_a_lost_name_for_its_key_for_a_while) {
  NameTable table(60s, 10);
  ASSERT_TRUE(table.linger(table.claim("shop", kAnn, kStart)->claim, kStart + 5s));
  ASSERT_NE(table.find("shop", kStart + 64s), nullptr);
  EXPECT_TRUE(table.find("shop", kStart + 64s)->lingering);
  EXPECT_EQ(table.next_expiry(), kStart + 65s);

  const auto refused = table.claim("shop", kBob, kStart + 10s);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("55 s"));

  const auto back = table.claim("shop", kAnn, kStart + 20s);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->resumed);
  EXPECT_EQ(back->superseded, 0U);
  EXPECT_EQ(table.next_expiry(), kNever);
}

TEST(NameTable, frees_a_lost_name_when_its_time_is_over) {
  NameTable table(60s, 10);
  ASSERT_TRUE(table.linger(table.claim("shop", kAnn, kStart)->claim, kStart));
  EXPECT_EQ(table.find("shop", kStart + 60s), nullptr);
  EXPECT_TRUE(table.claim("shop", kBob, kStart + 60s));
}

TEST(NameTable, says_which_names_expired) {
  NameTable table(60s, 10);
  ASSERT_TRUE(table.linger(table.claim("a", kAnn, kStart)->claim, kStart));
  ASSERT_TRUE(table.linger(table.claim("b", kAnn, kStart)->claim, kStart + 30s));
  ASSERT_TRUE(table.claim("c", kAnn, kStart));
  EXPECT_THAT(table.expire(kStart + 60s), ElementsAre("a"));
  EXPECT_EQ(table.next_expiry(), kStart + 90s);
  EXPECT_EQ(table.size(), 2U);
}

TEST(NameTable, limits_the_names_of_one_key) {
  NameTable table(60s, 2);
  ASSERT_TRUE(table.claim("a", kAnn, kStart));
  ASSERT_TRUE(table.claim("b", kAnn, kStart));
  const auto refused = table.claim("c", kAnn, kStart);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::limit));
  EXPECT_TRUE(table.claim("b", kAnn, kStart)) << "a take-over is not one more";
  EXPECT_TRUE(table.claim("c", kBob, kStart)) << "another key has its own";
}

}  // namespace
}  // namespace streamkit::tunnel
