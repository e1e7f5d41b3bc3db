// Process: a program that a test starts, without a shell, and whose output it waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <optional>
#include <poll.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace streamkit::testing {

class Process {
 public:
  using Wait = std::chrono::milliseconds;
  static constexpr Wait kPatience = std::chrono::seconds(30);

  /// `environment`: NAME=VALUE, put before the test's own.
  explicit Process(std::vector<std::string> words, std::vector<std::string> environment = {}) {
    int out[2];
    int err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<char*> env;
    for (auto& one : environment) env.push_back(one.data());
    for (char** one = environ; *one != nullptr; ++one) env.push_back(*one);
    env.push_back(nullptr);
    if (::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), env.data()) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    ::close(err[1]);
    reader_ = std::thread([this, o = out[0], e = err[0]] { collect(o, e); });
  }
  ~Process() {
    if (pid_ > 0 && !code_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (reader_.joinable()) reader_.join();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool is_started() const { return pid_ > 0; }
  void signal(int number) const {
    if (pid_ > 0 && !code_) ::kill(pid_, number);
  }

  /// Line `number` (from 0) of standard output, when it is there; nothing when the time or the
  /// output is over.
  std::optional<std::string> line(std::size_t number, Wait patience = kPatience) {
    std::optional<std::string> found;
    wait_until([&] { return (found = line_of(out_, number)).has_value(); }, patience);
    return found;
  }
  bool wait_for_output(const std::string& text, Wait patience = kPatience) {
    return wait_until([&] { return out_.find(text) != std::string::npos; }, patience);
  }
  bool wait_for_errors(const std::string& text, Wait patience = kPatience) {
    return wait_until([&] { return err_.find(text) != std::string::npos; }, patience);
  }
  std::string output() {
    const std::lock_guard lock(mutex_);
    return out_;
  }
  std::string errors() {
    const std::lock_guard lock(mutex_);
    return err_;
  }
  /// The exit code (128 and the signal's number for a signal), or nothing when it is still running.
  std::optional<int> wait(Wait patience = kPatience) {
    if (!wait_until([&] { return over_; }, patience)) return std::nullopt;
    if (!code_) {
      int status = 0;
      ::waitpid(pid_, &status, 0);
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return code_;
  }

 private:
  static std::optional<std::string> line_of(const std::string& text, std::size_t number) {
    std::size_t begin = 0;
    for (;; --number) {
      const std::size_t end = text.find('\n', begin);
      if (end == std::string::npos) return std::nullopt;
      if (number == 0) return text.substr(begin, end - begin);
      begin = end + 1;
    }
  }
  // Ends early when the output is over: nothing more can come.
  template <class Condition>
  bool wait_until(Condition condition, Wait patience) {
    std::unique_lock lock(mutex_);
    bool met = false;
    changed_.wait_for(lock, patience, [&] { return (met = condition()) || over_; });
    return met;
  }
  // Output is over when every writer has closed it, which for programs that start no others is
  // their end.
  void collect(int out, int err) {
    pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
    int open = 2;
    while (open > 0 && ::poll(fds, 2, -1) > 0) {
      for (int i = 0; i < 2; ++i) {
        if (fds[i].fd < 0 || fds[i].revents == 0) continue;
        char buffer[4096];
        const ssize_t n = ::read(fds[i].fd, buffer, sizeof buffer);
        const std::lock_guard lock(mutex_);
        if (n > 0) {
          (i == 0 ? out_ : err_).append(buffer, static_cast<std::size_t>(n));
        } else {
          ::close(fds[i].fd);
          fds[i].fd = -1;
          --open;
        }
        changed_.notify_all();
      }
    }
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

  pid_t pid_ = -1;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string out_, err_;
  bool over_ = false;
  std::optional<int> code_;
};

/// A new folder of mode 0700, removed with everything in it at the end.
class Scratch {
 public:
  Scratch() {
    std::string form =
        (std::getenv("TMPDIR") ? std::string(std::getenv("TMPDIR")) : std::string("/tmp")) +
        "/streamkit-test.XXXXXX";
    if (::mkdtemp(form.data()) != nullptr) path_ = form;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace streamkit::testing
