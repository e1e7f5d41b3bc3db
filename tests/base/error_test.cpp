#include <streamkit/base/error.hpp>
#include <streamkit/base/result.hpp>

#include <gmock/gmock.h>

#include <memory>
#include <set>

namespace streamkit {
namespace {

constexpr int kFirstErrc = static_cast<int>(Errc::would_block);
constexpr int kLastErrc = static_cast<int>(Errc::codec);

TEST(Error, every_errc_has_its_own_words_and_a_code) {
  std::set<std::string> words;
  for (int i = kFirstErrc; i <= kLastErrc; ++i) {
    const std::error_code code = static_cast<Errc>(i);
    EXPECT_NE(code.message(), "unknown streamkit error") << i;
    EXPECT_TRUE(words.insert(code.message()).second) << code.message() << " is said twice";
    EXPECT_NE(code_of(code), Code::unknown) << code.message();
  }
}

TEST(Error, codes_have_the_numbers_and_names_of_grpc) {
  EXPECT_EQ(static_cast<int>(Code::ok), 0);
  EXPECT_EQ(static_cast<int>(Code::not_found), 5);
  EXPECT_EQ(static_cast<int>(Code::unavailable), 14);
  EXPECT_EQ(static_cast<int>(Code::unauthenticated), 16);
  EXPECT_EQ(to_string(Code::deadline_exceeded), "deadline_exceeded");
  EXPECT_EQ(to_string(Code::unauthenticated), "unauthenticated");
}

TEST(Error, a_code_from_the_wire_that_nobody_knows_is_unknown) {
  EXPECT_EQ(to_string(static_cast<Code>(17)), "unknown");
  EXPECT_EQ(to_string(static_cast<Code>(-1)), "unknown");
  EXPECT_EQ(std::error_code(999, errc_category()).message(), "unknown streamkit error");
  EXPECT_EQ(code_of(std::error_code(999, errc_category())), Code::unknown);
}

TEST(Error, conditions_and_os_errors_become_codes_an_application_knows) {
  EXPECT_EQ(code_of({}), Code::ok);
  EXPECT_EQ(code_of(Code::data_loss), Code::data_loss);
  EXPECT_EQ(code_of(Errc::no_such_service), Code::not_found);
  EXPECT_EQ(code_of(Errc::name_taken), Code::already_exists);
  EXPECT_EQ(code_of(std::make_error_code(std::errc::permission_denied)), Code::permission_denied);
  EXPECT_EQ(code_of(std::make_error_code(std::errc::no_such_file_or_directory)), Code::not_found);
  EXPECT_EQ(code_of(std::make_error_code(std::errc::timed_out)), Code::deadline_exceeded);
  EXPECT_EQ(code_of(std::make_error_code(std::errc::connection_refused)), Code::unavailable);
}

TEST(Error, says_its_sentence_or_else_the_words_of_its_code) {
  EXPECT_EQ(Error(Errc::mac).message(), std::error_code(Errc::mac).message());
  EXPECT_EQ(Error(Errc::usage, "call bind() first").message(), "call bind() first");
  EXPECT_EQ(Error(Errc::usage, "call bind() first").remote(), nullptr);
  EXPECT_TRUE(Error(Errc::usage, "x").is(Errc::usage));
  EXPECT_FALSE(Error(Errc::usage, "x").is(Errc::mac));
  EXPECT_FALSE(Error(Code::cancelled).is(Errc::cancelled));
}

TEST(Error, carries_what_the_remote_answered) {
  const Error error(Errc::refused, Status(Code::permission_denied, "not_yours", "ask the owner"));
  ASSERT_NE(error.remote(), nullptr);
  EXPECT_EQ(error.remote()->reason, "not_yours");
  EXPECT_THAT(error.message(), ::testing::HasSubstr("ask the owner"));
  const Error copy = error;
  EXPECT_EQ(copy.remote(), error.remote());
}

TEST(Error, is_small_and_moves_without_throwing) {
  EXPECT_LE(sizeof(Error), 32u);
  static_assert(std::is_nothrow_move_constructible_v<Error>);
  static_assert(std::is_nothrow_move_assignable_v<Error>);
}

TEST(Status, is_ok_by_default_and_compares_by_value) {
  EXPECT_TRUE(Status().ok());
  EXPECT_FALSE(Status(Code::internal).ok());
  EXPECT_EQ(Status(Code::internal, "r", "m"), Status(Code::internal, "r", "m"));
  EXPECT_NE(Status(Code::internal, "r", "m"), Status(Code::internal, "r", "n"));
}

Result<int> half(int n) {
  if (n % 2 != 0) return Error(Errc::usage, "odd");
  return n / 2;
}

TEST(Result, holds_a_value_or_an_error) {
  const Result<int> good = half(4);
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 2);
  const Result<int> bad = half(3);
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().is(Errc::usage));
  EXPECT_EQ(half(3).value_or(9), 9);
  EXPECT_EQ(half(4).value_or(9), 2);
}

TEST(Result, value_is_the_only_accessor_that_throws) {
  EXPECT_EQ(half(4).value(), 2);
  try {
    half(3).value();
    FAIL() << "did not throw";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), Errc::usage);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("odd"));
  }
  EXPECT_THROW(Result<void>(Errc::closed).value(), std::system_error);
  EXPECT_NO_THROW(Result<void>().value());
}

TEST(Result, carries_values_that_only_move) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  ASSERT_TRUE(result);
  EXPECT_EQ(**result, 5);
  const std::unique_ptr<int> out = *std::move(result);
  EXPECT_EQ(*out, 5);
}

TEST(Result, of_void_is_good_by_default) {
  EXPECT_TRUE(Result<void>());
  const Result<void> bad = Errc::timeout;
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().is(Errc::timeout));
}

TEST(Result, may_hold_an_enumeration_that_is_also_an_error_code) {
  const Result<void> from_code = Code::aborted;
  ASSERT_FALSE(from_code);
  EXPECT_EQ(from_code.error().code(), Code::aborted);
  const Result<int> from_std = std::make_error_code(std::errc::timed_out);
  ASSERT_FALSE(from_std);
  EXPECT_EQ(code_of(from_std.error().code()), Code::deadline_exceeded);
}

}  // namespace
}  // namespace streamkit
