// OnTerminal: a program on a terminal of its own, which a test reads and types on.
#pragma once

#include <gtest/gtest.h>

#include <pty.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace streamkit::cli {

/// The program on a terminal of its own.
class OnTerminal {
 public:
  explicit OnTerminal(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::forkpty(&fd_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~OnTerminal() {
    if (!ended_) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    if (fd_ >= 0) ::close(fd_);
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;
  /// Everything that is shown until these words are, or the program is gone.
  const std::string& read_until(std::string_view words) {
    char c = 0;
    while (shown_.find(words) == std::string::npos && ::read(fd_, &c, 1) == 1) shown_ += c;
    return shown_;
  }
  void type(std::string_view text) const {
    EXPECT_EQ(::write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool echoes() const {
    termios now{};
    return ::tcgetattr(fd_, &now) == 0 && (now.c_lflag & ECHO) != 0;
  }
  /// As closing the window of a terminal does.
  void hang_up() { ::close(std::exchange(fd_, -1)); }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int fd_ = -1;
  pid_t pid_ = -1;
  bool ended_ = false;
  std::string shown_;
};

}  // namespace streamkit::cli
