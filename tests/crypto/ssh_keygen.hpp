// The real ssh-keygen, run by its argument vector in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace streamkit::crypto::test {

/// A folder that goes when it does.
class Folder {
 public:
  Folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "streamkit-crypto-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string read(const std::string& name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  /// Readable by its owner alone, as ssh-keygen wants a private key.
  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    std::filesystem::permissions(
        path_ / name, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

struct Ran {
  int status = -1;
  std::string output;  ///< both streams
};

inline bool has_ssh_keygen() {
  return ::access("/usr/bin/ssh-keygen", X_OK) == 0;
}

/// `input` names a file for its standard input; "" is nothing.
inline Ran ssh_keygen(const Folder& folder, std::vector<std::string> arguments,
                      const std::string& input = {}) {
  arguments.insert(arguments.begin(), "ssh-keygen");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const std::string out = folder.file("ssh-keygen.out");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, input.empty() ? "/dev/null" : input.c_str(), O_RDONLY,
                                   0);
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  pid_t pid = 0;
  Ran ran;
  if (posix_spawn(&pid, "/usr/bin/ssh-keygen", &files, nullptr, argv.data(), environ) == 0) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ran.output = folder.read("ssh-keygen.out");
  }
  posix_spawn_file_actions_destroy(&files);
  return ran;
}

}  // namespace streamkit::crypto::test
