// Small files: the matrix of what a name may turn out to be.
#include "awaited.hpp"

#include <streamkit/io/file.hpp>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace streamkit::io {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

unsigned mode_of(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777u : 0u;
}

class FileTest : public testing::Test {
 protected:
  std::string put(const std::string& name, std::string_view text, mode_t mode = 0600) {
    const std::string path = folder / name;
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string fifo() {
    const std::string path = folder / "fifo";
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }
  std::string symlink_to(const std::string& target) {
    const std::string path = folder / "link";
    EXPECT_EQ(::symlink(target.c_str(), path.c_str()), 0);
    return path;
  }
  std::size_t entries() const {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
      ++n;
    return n;
  }
  TemporaryFolder folder;
};

// --- reading ---

TEST_F(FileTest, reads_a_whole_file) {
  const std::string text("with a \0 inside\n", 16);
  EXPECT_EQ(*read_file(put("file", text)), text);
  EXPECT_EQ(*read_file(put("empty", "")), "");
  EXPECT_EQ(*read_file(symlink_to(folder / "file")), text);
}

TEST_F(FileTest, reads_up_to_its_limit_and_no_byte_more) {
  const std::string path = put("file", "12345");
  EXPECT_EQ(*read_file(path, 5), "12345");
  const auto result = read_file(path, 4);
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Errc::bad_file));
  EXPECT_EQ(result.error().message(), "cannot read " + path + ": it is larger than 4 bytes");
  EXPECT_EQ(read_file(put("megabyte", std::string(kMaxSmallFile, 'x')))->size(), kMaxSmallFile);
  EXPECT_FALSE(read_file(put("more", std::string(kMaxSmallFile + 1, 'x'))));
}

TEST_F(FileTest, bounds_files_that_do_not_tell_their_size) {
  EXPECT_GT(read_file("/proc/self/status")->size(), 0u);  // says 0
  EXPECT_TRUE(read_file("/proc/self/status", 10).error().is(Errc::bad_file));
}

TEST_F(FileTest, says_that_a_file_is_missing) {
  const auto result = read_file(folder / "none");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), std::make_error_code(std::errc::no_such_file_or_directory));
  EXPECT_EQ(result.error().message(),
            "cannot read " + (folder / "none") + ": no such file or directory");
  EXPECT_FALSE(read_file(symlink_to(folder / "none")));
}

TEST_F(FileTest, c21_refuses_to_read_what_is_no_regular_file) {
  EXPECT_TRUE(read_file(fifo()).error().is(Errc::bad_file)) << "and it must not wait for a writer";
  EXPECT_TRUE(read_file(folder.path()).error().is(Errc::bad_file));
  EXPECT_TRUE(read_file("/dev/zero").error().is(Errc::bad_file));
  EXPECT_TRUE(read_file(symlink_to(folder / "fifo")).error().is(Errc::bad_file));
  EXPECT_TRUE(read_file(std::string("/etc/passwd\0x", 13)).error().is(Errc::bad_file));
}

// --- private files ---

TEST_F(FileTest, reads_a_private_file) {
  const std::string path = put("key", "secret");
  EXPECT_EQ(as_text(read_private_file(path)->view()), "secret");
  ::chmod(path.c_str(), 0400);
  EXPECT_TRUE(read_private_file(path));
  EXPECT_TRUE(read_private_file(symlink_to(path)));
}

TEST_F(FileTest, c21_refuses_a_private_file_that_others_may_read_and_says_how_to_mend_it) {
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0777}) {
    const std::string path = put("key", "secret", mode);
    const auto result = read_private_file(path);
    ASSERT_FALSE(result) << mode;
    EXPECT_TRUE(result.error().is(Errc::bad_file));
    EXPECT_NE(result.error().message().find("chmod 600 " + path), std::string::npos);
  }
}

TEST_F(FileTest, c21_refuses_a_private_file_of_another_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const std::string path = put("key", "secret");
  ASSERT_EQ(::chown(path.c_str(), 12345, 0), 0);
  const auto result = read_private_file(path);
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Errc::bad_file));
}

TEST_F(FileTest, c21_refuses_a_private_file_of_more_than_64_kib) {
  EXPECT_EQ(read_private_file(put("key", std::string(64 * 1024, 'x')))->size(), 64u * 1024);
  EXPECT_TRUE(
      read_private_file(put("key", std::string(64 * 1024 + 1, 'x'))).error().is(Errc::bad_file));
}

TEST_F(FileTest, c21_refuses_a_private_file_that_is_no_regular_file) {
  EXPECT_TRUE(read_private_file(fifo()).error().is(Errc::bad_file));
  EXPECT_TRUE(read_private_file(folder.path()).error().is(Errc::bad_file));
}

// --- creating ---

TEST_F(FileTest, c21_creates_a_file_of_the_mode_asked_for) {
  const mode_t before = ::umask(0077);
  EXPECT_TRUE(create_file(folder / "public", as_bytes("text"), 0644));
  ::umask(0);
  EXPECT_TRUE(create_file(folder / "private", as_bytes("secret"), 0600));
  ::umask(before);
  EXPECT_EQ(text_of(folder / "public"), "text");
  EXPECT_EQ(mode_of(folder / "public"), 0644u);
  EXPECT_EQ(mode_of(folder / "private"), 0600u);
  EXPECT_EQ(entries(), 2u) << "drafts are left behind";
}

TEST_F(FileTest, makes_missing_folders_for_their_owner_only) {
  EXPECT_TRUE(create_file(folder / "a/b/key", as_bytes("secret"), 0600));
  EXPECT_EQ(mode_of(folder / "a"), 0700u);
  EXPECT_EQ(mode_of(folder / "a/b"), 0700u);
  EXPECT_TRUE(append_line(folder / "c/known_hosts", "line"));
  EXPECT_TRUE(replace_file(folder / "d/config", as_bytes("x")));
  EXPECT_EQ(mode_of(folder / "c"), 0700u);
  EXPECT_EQ(mode_of(folder / "d"), 0700u);
}

TEST_F(FileTest, c21_never_overwrites_when_it_creates) {
  for (const std::string& path : {put("file", "old"), fifo(), symlink_to(folder / "nowhere")}) {
    const auto result = create_file(path, as_bytes("new"), 0600);
    ASSERT_FALSE(result) << path;
    EXPECT_TRUE(result.error().is(Errc::bad_file));
    EXPECT_NE(result.error().message().find("exists"), std::string::npos);
  }
  EXPECT_EQ(text_of(folder / "file"), "old");
  EXPECT_FALSE(file_exists(folder / "nowhere"));
  EXPECT_EQ(entries(), 3u);
}

TEST_F(FileTest, creates_once_when_many_try) {
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      if (create_file(folder / "key", as_bytes(std::string(1000, static_cast<char>('a' + i))),
                      0600))
        ++made;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  const std::string text = text_of(folder / "key");
  EXPECT_EQ(text, std::string(1000, text[0]));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, says_why_it_cannot_create) {
  EXPECT_FALSE(create_file(put("file", "") + "/key", as_bytes("x"), 0600));
  EXPECT_TRUE(create_file("", as_bytes("x"), 0600).error().is(Errc::bad_file));
  EXPECT_TRUE(create_file(folder.path() + "/", as_bytes("x"), 0600).error().is(Errc::bad_file));
  EXPECT_TRUE(
      create_file(std::string("/tmp/a\0b", 8), as_bytes("x"), 0600).error().is(Errc::bad_file));
}

// --- replacing ---

TEST_F(FileTest, replaces_a_file_and_keeps_its_mode) {
  const std::string path = put("file", "old and longer", 0640);
  EXPECT_TRUE(replace_file(path, as_bytes("new"), 0600));
  EXPECT_EQ(text_of(path), "new");
  EXPECT_EQ(mode_of(path), 0640u);
  EXPECT_TRUE(replace_file(folder / "other", as_bytes("made"), 0644));
  EXPECT_EQ(mode_of(folder / "other"), 0644u);
  EXPECT_EQ(entries(), 2u);
}

TEST_F(FileTest, replaces_what_a_link_leads_to_and_keeps_the_link) {
  const std::string path = put("file", "old");
  const std::string link = symlink_to("file");
  EXPECT_TRUE(replace_file(link, as_bytes("new")));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(text_of(path), "new");
}

TEST_F(FileTest, leaves_the_readers_of_an_old_file_their_content) {
  const std::string path = put("file", "old");
  std::ifstream reader(path);
  EXPECT_TRUE(replace_file(path, as_bytes("new")));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "old");
}

TEST_F(FileTest, refuses_to_replace_what_is_no_regular_file) {
  EXPECT_TRUE(replace_file(fifo(), as_bytes("x")).error().is(Errc::bad_file));
  EXPECT_TRUE(replace_file(folder.path(), as_bytes("x")).error().is(Errc::bad_file));
  EXPECT_TRUE(replace_file(symlink_to("nowhere"), as_bytes("x")).error().is(Errc::bad_file));
  EXPECT_EQ(entries(), 2u);
}

// --- appending ---

TEST_F(FileTest, appends_lines_and_makes_the_file) {
  const std::string path = folder / "known_hosts";
  EXPECT_TRUE(append_line(path, "one"));
  EXPECT_TRUE(append_line(path, "two"));
  EXPECT_EQ(text_of(path), "one\ntwo\n");
  EXPECT_EQ(mode_of(path), 0600u);
}

TEST_F(FileTest, does_not_glue_a_line_to_one_without_a_newline) {
  const std::string path = put("known_hosts", "by hand");
  EXPECT_TRUE(append_line(path, "added"));
  EXPECT_EQ(text_of(path), "by hand\nadded\n");
}

TEST_F(FileTest, appends_whole_lines_when_many_do) {
  const std::string path = folder / "known_hosts";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(append_line(path, std::string(100, static_cast<char>('a' + t))));
    });
  for (std::thread& thread : threads) thread.join();
  std::ifstream in(path);
  std::string line;
  int lines = 0;
  for (; std::getline(in, line); ++lines) EXPECT_EQ(line, std::string(100, line[0]));
  EXPECT_EQ(lines, 40);
}

TEST_F(FileTest, refuses_to_append_what_is_not_one_line) {
  const std::string path = folder / "known_hosts";
  for (const std::string_view line :
       {std::string_view("a\nb"), std::string_view("a\r"), std::string_view("a\0b", 3)})
    EXPECT_TRUE(append_line(path, line).error().is(Errc::usage));
  EXPECT_FALSE(file_exists(path));
}

TEST_F(FileTest, refuses_to_append_to_what_is_no_regular_file) {
  EXPECT_TRUE(append_line(fifo(), "x").error().is(Errc::bad_file))
      << "and it must not wait for a reader";
  EXPECT_TRUE(append_line(folder.path(), "x").error().is(Errc::bad_file));
}

// --- where ---

TEST_F(FileTest, knows_which_files_exist) {
  EXPECT_TRUE(file_exists(put("file", "")));
  EXPECT_TRUE(file_exists(folder.path()));
  EXPECT_FALSE(file_exists(folder / "none"));
  EXPECT_FALSE(file_exists(""));
}

TEST(ConfigFolder, follows_the_environment) {
  const auto value = [](const char* name) {
    const char* const v = std::getenv(name);
    return std::optional<std::string>(v ? std::optional<std::string>(v) : std::nullopt);
  };
  const auto config = value("XDG_CONFIG_HOME"), home = value("HOME");
  ::setenv("XDG_CONFIG_HOME", "/somewhere", 1);
  EXPECT_EQ(config_folder(), "/somewhere/streamkit");
  ::setenv("XDG_CONFIG_HOME", "not/absolute", 1);
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(config_folder(), "/home/me/.config/streamkit");
  ::unsetenv("XDG_CONFIG_HOME");
  EXPECT_EQ(config_folder(), "/home/me/.config/streamkit");
  ::unsetenv("HOME");
  EXPECT_NE(config_folder().find("/.config/streamkit"), std::string::npos);
  if (config) ::setenv("XDG_CONFIG_HOME", config->c_str(), 1);
  if (home) ::setenv("HOME", home->c_str(), 1);
}

}  // namespace
}  // namespace streamkit::io
