#include "passphrase.hpp"

#include <streamkit/base/text.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <spawn.h>
#include <string_view>
#include <sys/select.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char** environ;

namespace streamkit::cli {
namespace {

constexpr std::size_t kMaxPassphrase = 1024;  // bytes
constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

extern "C" void streamkit_interrupted(int) {}

/// While it lives, the terminal shows nothing of what is typed, and the signals that would end the
/// program interrupt the reading instead, so that the terminal becomes again what it was.
class Silence {
 public:
  explicit Silence(int terminal) : terminal_(terminal) {
    struct sigaction interrupt{};
    interrupt.sa_handler = &streamkit_interrupted;
    for (std::size_t i = 0; i < std::size(kEnding); ++i)
      ::sigaction(kEnding[i], &interrupt, &before_[i]);
    is_terminal_ = ::tcgetattr(terminal, &shown_) == 0;
    termios hidden = shown_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    hidden.c_lflag |= NOFLSH;  // Ctrl-C would drop what we have said about it, if we are fast
    if (is_terminal_) ::tcsetattr(terminal, TCSAFLUSH, &hidden);
  }
  ~Silence() {
    if (is_terminal_) ::tcsetattr(terminal_, TCSAFLUSH, &shown_);
    for (std::size_t i = 0; i < std::size(kEnding); ++i)
      ::sigaction(kEnding[i], &before_[i], nullptr);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int terminal_;
  bool is_terminal_ = false;
  termios shown_{};
  struct sigaction before_[std::size(kEnding)]{};
};

/// The rest of a line. Signals that are blocked elsewhere (see Signals) get through while it waits.
Result<SecretBytes> read_line(int fd) {
  sigset_t open;
  pthread_sigmask(SIG_SETMASK, nullptr, &open);
  for (const int number : kEnding) sigdelset(&open, number);
  SecretBytes line(kMaxPassphrase);
  for (std::size_t size = 0;;) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    if (::pselect(fd + 1, &readable, nullptr, nullptr, nullptr, &open) < 0)
      return Error(Errc::cancelled, "no passphrase was given");
    char c = 0;
    const ssize_t got = ::read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && size == 0) return Error(Errc::cancelled, "no passphrase was given");
    if (got <= 0 || c == '\n') return SecretBytes(line.view().first(size));
    if (size == kMaxPassphrase) return Error(Errc::bad_key, "a passphrase has at most 1024 bytes");
    line.span()[size++] = std::byte(c);
  }
}

void say(int fd, std::string_view words) {
  // If it cannot be said, the answer may come all the same.
  [[maybe_unused]] const ssize_t said = ::write(fd, words.data(), words.size());
}

Result<SecretBytes> run_askpass(std::string program, std::string prompt) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::error_code(errno, std::system_category());
  Descriptor from(ends[0]), to(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, to.get(), STDOUT_FILENO);
  posix_spawnattr_t attributes;  // it shall hear signals, which this thread does not
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char* words[] = {program.data(), prompt.data(), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &files, &attributes, words, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0)
    return Error(std::error_code(failed, std::system_category()),
                 "cannot run SSH_ASKPASS, " + program);
  to.close();
  Result<SecretBytes> line = read_line(from.get());
  from.close();
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error(Errc::cancelled, "no passphrase was given");
  return line;
}

}  // namespace

Result<SecretBytes> ask_passphrase(const std::string& what) {
  const std::string prompt = "Passphrase for " + escape(what) + ": ";
  const char* askpass = std::getenv("SSH_ASKPASS");
  const char* require = std::getenv("SSH_ASKPASS_REQUIRE");
  const bool forced = askpass && require && std::string_view(require) == "force";
  const Descriptor terminal(forced ? -1 : ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal.get() < 0) {
    if (askpass && *askpass) return run_askpass(askpass, prompt);
    return Error(Errc::key_encrypted,
                 what +
                     " needs a passphrase, and there is no terminal to ask on: set SSH_ASKPASS, "
                     "or have an ssh-agent hold the key (ssh-add) and say --agent");
  }
  const Silence silence(terminal.get());
  say(terminal.get(), prompt);
  Result<SecretBytes> line = read_line(terminal.get());
  say(terminal.get(), "\n");
  return line;
}

}  // namespace streamkit::cli
