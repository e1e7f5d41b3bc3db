#include "process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace streamkit::bench {
namespace {

constexpr int kPatienceSeconds = 600;  // for one message: the longest row is far shorter
constexpr std::size_t kMaxNumbers = 16;
constexpr int kControlFd = 3;

}  // namespace

void fail(const std::string& what) {
  throw std::runtime_error(what);
}
void fail_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Scratch::Scratch() {
  std::string path = (std::filesystem::temp_directory_path() / "streamkit-bench-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) fail_errno("making " + path);
  path_ = path;
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Program::Program(std::vector<std::string> words, const Fd& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output.get() >= 0) posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int failed = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) fail(fmt::format("starting {}: {}", words[0], std::strerror(failed)));
}

Program::~Program() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  wait();
}

bool Program::wait() {
  int status = 0;
  const bool has_ended = ::waitpid(pid_, &status, 0) == pid_;
  pid_ = -1;
  return has_ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string output_of(std::vector<std::string> words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_errno("pipe");
  const Fd from(ends[0]);
  Fd to(ends[1]);
  const std::string name = words[0];
  Program program(std::move(words), to);
  to.reset();
  std::string all;
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; (n = ::read(from.get(), buffer.data(), buffer.size())) > 0;)
    all.append(buffer.data(), static_cast<std::size_t>(n));
  if (!program.wait()) fail(name + " failed" + (all.empty() ? "" : ": " + all));
  return all;
}

Control::Control(Fd fd) : fd_(std::move(fd)) {
  const timeval wait{kPatienceSeconds, 0};
  if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
    fail_errno("the control socket");
}

void Control::say(std::initializer_list<double> numbers) {
  const std::size_t size = numbers.size() * sizeof(double);
  if (::send(fd_.get(), numbers.begin(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size))
    fail_errno("telling the other process");
}

std::vector<double> Control::hear(std::size_t count) {
  std::array<double, kMaxNumbers> numbers;
  const ssize_t size = ::recv(fd_.get(), numbers.data(), sizeof numbers, 0);
  if (size < 0) fail_errno("waiting for the other process");
  if (size == 0) fail("the other process ended too early");
  if (static_cast<std::size_t>(size) != count * sizeof(double))
    fail("the other process said something unexpected");
  return {numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(count)};
}

void append_arguments(std::vector<std::string>& words, const Task& task) {
  words.insert(words.end(),
               {task.row, "--subject", task.subject, "--variant", task.variant, "--scale",
                fmt::format("{}", task.scale), "--idle-channels",
                std::to_string(task.idle_channels), "--idle-connections",
                std::to_string(task.idle_connections)});
}

Fd Other::start(const Task& task, pid_t& pid) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) fail_errno("socketpair");
  Fd ours(pair[0]);
  const Fd theirs(pair[1]);
  std::vector<std::string> words = {"streamkit", "bench", "--serve"};
  append_arguments(words, task);
  words.insert(words.end(), {"--control", std::to_string(kControlFd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // dup2 onto its own number would leave close-on-exec set: then the flag is taken away here.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), kControlFd);
  const int failed = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) fail(std::string("starting the second process: ") + std::strerror(failed));
  return ours;
}

Other::Other(const Task& task) : control_(start(task, pid_)) {}

Other::~Other() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Other::finish() {
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) fail_errno("waiting for the second process");
  pid_ = -1;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("the second process failed");
}

}  // namespace streamkit::bench
