#include <streamkit/io/file.hpp>
#include <streamkit/peer/trust.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <latch>
#include <peer/folder.hpp>
#include <sys/stat.h>
#include <thread>

using namespace streamkit;
using crypto::PrivateKey;
using crypto::PublicKey;
using test::Folder;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777u;
}

PublicKey public_half(const std::string& path) {
  return PublicKey::from_text(io::read_file(path + ".pub").value()).value();
}

void expect_unreadable(const std::string& path, const std::string& because = "") {
  const auto key = load_identity(path);
  ASSERT_FALSE(key) << path;
  EXPECT_THAT(key.error().message(), HasSubstr(path));
  EXPECT_THAT(key.error().message(), HasSubstr(because));
  const auto or_made = load_or_create_identity(path);
  ASSERT_FALSE(or_made) << path;
  EXPECT_THAT(or_made.error().message(), HasSubstr(path));
}

TEST(Identity, is_made_on_first_use_and_the_same_ever_after) {
  Folder folder;
  const std::string path = folder.path("sub/folder/id");
  const PrivateKey first = load_or_create_identity(path).value();
  EXPECT_EQ(first.public_key().type(), crypto::KeyType::ed25519);
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(mode_of(path + ".pub"), 0644u);
  EXPECT_EQ(public_half(path), first.public_key());
  EXPECT_EQ(load_or_create_identity(path).value().public_key(), first.public_key());
  EXPECT_EQ(load_identity(path).value().public_key(), first.public_key());
  EXPECT_THAT(folder.names("sub/folder"), UnorderedElementsAre("id", "id.pub"));
}

TEST(Identity, c21_has_its_modes_whatever_the_umask) {
  Folder folder;
  const mode_t before = ::umask(0);
  ASSERT_TRUE(load_or_create_identity(folder.path("open")));
  ::umask(0077);
  ASSERT_TRUE(load_or_create_identity(folder.path("tight")));
  ::umask(before);
  EXPECT_EQ(mode_of(folder.path("open")), 0600u);
  EXPECT_EQ(mode_of(folder.path("open.pub")), 0644u);
  EXPECT_EQ(mode_of(folder.path("tight")), 0600u);
}

TEST(Identity, is_one_when_many_make_it_at_once) {
  for (int round = 0; round < 20; ++round) {
    Folder folder;
    const std::string path = folder.path("keys/id");
    constexpr std::size_t kThreads = 4;
    std::latch start(kThreads);
    std::vector<std::string> seen(kThreads);
    {
      std::vector<std::jthread> threads;
      for (std::string& mine : seen)
        threads.emplace_back([&] {
          start.arrive_and_wait();
          const auto key = load_or_create_identity(path);
          mine = key ? key->public_key().fingerprint() : key.error().message();
        });
    }
    for (const std::string& fingerprint : seen) EXPECT_EQ(fingerprint, seen[0]);
    EXPECT_THAT(seen[0], StartsWith("SHA256:"));
    EXPECT_EQ(public_half(path).fingerprint(), seen[0]);
    EXPECT_THAT(folder.names("keys"), UnorderedElementsAre("id", "id.pub"))
        << "nothing is left over";
  }
}

TEST(Identity, c21_is_read_only_from_files_that_nobody_else_can_read) {
  Folder folder;
  const std::string path = folder.path("id");
  ASSERT_TRUE(load_or_create_identity(path));
  for (const unsigned mode : {0600u, 0400u, 0700u, 0500u}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_TRUE(load_identity(path)) << std::oct << mode;
  }
  for (const unsigned mode : {0640u, 0604u, 0644u, 0660u, 0606u, 0666u, 0444u, 0777u}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    expect_unreadable(path, "chmod 600");
    EXPECT_TRUE(load_identity(path).error().is(Errc::bad_file));
    EXPECT_EQ(mode_of(path), mode) << "it is for its owner to mend";
  }
}

TEST(Identity, c21_is_read_only_from_regular_files_of_a_key_s_size) {
  Folder folder;
  ASSERT_EQ(::mkfifo(folder.path("fifo").c_str(), 0600), 0);
  expect_unreadable(folder.path("fifo"));
  ASSERT_EQ(::mkdir(folder.path("folder").c_str(), 0700), 0);
  expect_unreadable(folder.path("folder"));
  ASSERT_TRUE(io::create_file(folder.path("empty"), {}, 0600));
  expect_unreadable(folder.path("empty"));
  ASSERT_TRUE(io::create_file(folder.path("large"), Bytes(64 * 1024 + 1, std::byte('\n')), 0600));
  expect_unreadable(folder.path("large"));
  ASSERT_TRUE(io::create_file(folder.path("text"), as_bytes("hello\n"), 0600));
  expect_unreadable(folder.path("text"));
  EXPECT_EQ(io::read_file(folder.path("text")).value(), "hello\n") << "never overwritten";
}

TEST(Identity, c21_is_not_made_through_a_link_that_leads_nowhere) {
  Folder folder;
  std::filesystem::create_symlink(folder.path("elsewhere"), folder.path("id"));
  EXPECT_FALSE(load_or_create_identity(folder.path("id")));
  EXPECT_THAT(folder.names(), UnorderedElementsAre("id"));
}

TEST(Identity, is_not_made_beside_another_key_s_public_half) {
  Folder folder;
  const std::string path = folder.path("id");
  ASSERT_TRUE(load_or_create_identity(path));
  const std::string before = io::read_file(path + ".pub").value();
  std::filesystem::remove(path);
  const auto again = load_or_create_identity(path);
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(Errc::bad_file));
  EXPECT_THAT(again.error().message(), HasSubstr("remove the .pub"));
  EXPECT_THAT(folder.names(), UnorderedElementsAre("id.pub"));
  EXPECT_EQ(io::read_file(path + ".pub").value(), before);
}

TEST(Identity, is_read_without_its_public_half) {
  Folder folder;
  const std::string path = folder.path("id");
  const PrivateKey key = load_or_create_identity(path).value();
  std::filesystem::remove(path + ".pub");
  EXPECT_EQ(load_or_create_identity(path).value().public_key(), key.public_key());
  EXPECT_THAT(folder.names(), UnorderedElementsAre("id"));
}

TEST(Identity, is_not_made_by_merely_loading_it) {
  Folder folder;
  const auto key = load_identity(folder.path("id"));
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().message(), HasSubstr(folder.path("id")));
  EXPECT_THAT(folder.names(), testing::IsEmpty());
}

TEST(Identity, needs_a_path) {
  EXPECT_TRUE(load_identity("").error().is(Errc::usage));
  EXPECT_TRUE(load_or_create_identity("").error().is(Errc::usage));
}

}  // namespace
