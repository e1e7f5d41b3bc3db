// Program: starting, feeding, reading and ending another program.
#include "program.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace streamkit::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned long long kMib = 4;
#else
constexpr unsigned long long kMib = 64;
#endif
constexpr std::size_t kPeriod = 1048573;  // prime
constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kMaxTalk = 1 << 20;
constexpr auto kLastWords =
    std::chrono::seconds(10);  // a program's children may keep its standard error

const Bytes& period() {
  static const Bytes bytes = [] {
    Bytes out(kPeriod);
    std::uint64_t x = 0x9e3779b97f4a7c15;
    for (std::byte& b : out) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      b = static_cast<std::byte>(x >> 32);
    }
    return out;
  }();
  return bytes;
}

// A program that ends early must not end the test with SIGPIPE.
[[maybe_unused]] const auto kNoBrokenPipeSignal = ::signal(SIGPIPE, SIG_IGN);

int milliseconds_until(Clock::time_point at) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(at - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

void close_and_forget(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> merged(std::vector<std::string> environment) {
  const auto name_of = [](const std::string& one) { return one.substr(0, one.find('=') + 1); };
  const std::size_t given = environment.size();
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string text = *one;
    if (std::none_of(environment.begin(), environment.begin() + static_cast<std::ptrdiff_t>(given),
                     [&](const std::string& mine) { return name_of(mine) == name_of(text); }))
      environment.push_back(text);
  }
  return environment;
}

}  // namespace

std::uint64_t transfer_bytes() {
  const char* mib = std::getenv("STREAMKIT_INTEROP_MIB");
  const unsigned long long n = mib ? std::strtoull(mib, nullptr, 10) : 0;
  return (n > 0 && n <= 4096 ? n : kMib) << 20;
}

ByteView Pattern::at(std::uint64_t position, std::uint64_t most) {
  const ByteView rest = ByteView(period()).subspan(position % kPeriod);
  return rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), most)));
}

void PatternCheck::take(ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView expected = Pattern::at(received_, bytes.size());
    const auto [wrong, right] = std::mismatch(expected.begin(), expected.end(), bytes.begin());
    if (wrong != expected.end() && !first_wrong_)
      first_wrong_ = received_ + static_cast<std::uint64_t>(wrong - expected.begin());
    received_ += expected.size();
    bytes = bytes.subspan(expected.size());
  }
}

std::string PatternCheck::problem(std::uint64_t size) const {
  if (first_wrong_) return "byte " + std::to_string(*first_wrong_) + " is the first wrong one";
  if (received_ != size)
    return std::to_string(received_) + " bytes of " + std::to_string(size) + " came back";
  return {};
}

std::string find_program(const std::string& name) {
  std::string folders = std::getenv("PATH") ? std::getenv("PATH") : "";
  folders += ":/usr/sbin:/sbin:/usr/bin:/bin";
  for (std::size_t at = 0; at < folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    const std::string path = folders.substr(at, end - at) + "/" + name;
    if (path.front() == '/' && ::access(path.c_str(), X_OK) == 0) return path;
    at = end + 1;
  }
  return {};
}

Program::Program(std::vector<std::string> words, std::vector<std::string> environment) {
  std::array<int, 2> in{}, out{}, err{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0 ||
      ::pipe2(err.data(), O_CLOEXEC) != 0)
    return;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t as_usual;
  sigemptyset(&as_usual);
  sigaddset(&as_usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &as_usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> everything = merged(std::move(environment));
  if (::posix_spawnp(&pid_, words[0].c_str(), &actions, &attributes, pointers(words).data(),
                     pointers(everything).data()) != 0)
    pid_ = -1;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]), ::close(out[1]), ::close(err[1]);
  in_ = in[1], out_ = out[0], err_ = err[0];
  for (const int fd : {in_, out_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  if (pid_ > 0) pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  reader_ = std::thread([this] { collect_errors(); });
}

Program::~Program() {
  if (pid_ > 0 && !code_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_and_forget(in_);
  close_and_forget(out_);
  close_and_forget(pid_fd_);
  if (reader_.joinable()) reader_.join();
}

void Program::collect_errors() {
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = ::read(err_, buffer.data(), buffer.size())) > 0;) {
    const std::lock_guard lock(mutex_);
    errors_.append(buffer.data(), static_cast<std::size_t>(n));
    changed_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  close_and_forget(err_);
  errors_over_ = true;
  changed_.notify_all();
}

template <class Source, class Sink>
bool Program::pump(Source source, Sink sink) {
  const auto deadline = Clock::now() + kPatience;
  Bytes buffer(kPiece);
  while (out_ >= 0) {
    if (in_ >= 0 && source().empty()) close_and_forget(in_);
    std::array<pollfd, 2> fds = {pollfd{out_, POLLIN, 0}, pollfd{in_, POLLOUT, 0}};
    if (::poll(fds.data(), 2, milliseconds_until(deadline)) == 0) return false;
    if (fds[0].revents != 0) {
      const ssize_t n = ::read(out_, buffer.data(), buffer.size());
      if (n > 0) sink(ByteView(buffer).first(static_cast<std::size_t>(n)));
      if (n == 0 || (n < 0 && errno != EAGAIN)) close_and_forget(out_);
    }
    if (fds[1].revents != 0) {
      const ByteView piece = source();
      const ssize_t n = ::write(in_, piece.data(), piece.size());
      if (n > 0) source(static_cast<std::size_t>(n));
      if (n < 0 && errno != EAGAIN) close_and_forget(in_);
    }
  }
  close_and_forget(in_);
  return true;
}

std::string Program::echo_problem(std::uint64_t size) {
  std::uint64_t sent = 0;
  PatternCheck check;
  const auto source = [&](std::size_t gone = 0) {
    sent += gone;
    return Pattern::at(sent, std::min<std::uint64_t>(size - sent, kPiece));
  };
  const bool in_time = pump(source, [&](ByteView bytes) { check.take(bytes); });
  std::string problem = check.problem(size);
  if (!in_time) problem = "the time is over; " + problem;
  if (problem.empty()) return problem;
  const std::string said = errors();
  problem += "; " + std::to_string(sent) + " were sent. It said: ";
  return problem + said.substr(said.size() > 3000 ? said.size() - 3000 : 0);
}

std::string Program::talk(std::string_view input) {
  std::string heard;
  const auto source = [&](std::size_t gone = 0) {
    input.remove_prefix(gone);
    return as_bytes(input);
  };
  pump(source, [&](ByteView bytes) {
    if (heard.size() < kMaxTalk) heard += as_text(bytes);
  });
  return heard;
}

bool Program::wait_for_errors(std::string_view words) {
  std::unique_lock lock(mutex_);
  bool found = false;
  changed_.wait_for(lock, kPatience, [&] {
    found = errors_.find(words) != std::string::npos;
    return found || errors_over_;
  });
  return found;
}

std::string Program::errors() {
  const std::lock_guard lock(mutex_);
  return errors_;
}

bool Program::is_running() const noexcept {
  pollfd ended{pid_fd_, POLLIN, 0};
  return pid_ > 0 && !code_ && ::poll(&ended, 1, 0) == 0;
}

std::optional<int> Program::wait() {
  if (code_ || pid_ <= 0) return code_;
  pollfd ended{pid_fd_, POLLIN, 0};
  if (::poll(&ended, 1, milliseconds_until(Clock::now() + kPatience)) != 1) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::unique_lock lock(mutex_);  // what it said last may still be in the pipe
  changed_.wait_for(lock, kLastWords, [&] { return errors_over_; });
  return code_;
}

std::optional<int> Program::stop() {
  if (pid_ > 0 && !code_) ::kill(pid_, SIGTERM);
  return wait();
}

std::size_t count_of(std::string_view text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
    ++n;
  return n;
}

bool has_line(std::string_view text, std::string_view words) {
  for (std::size_t at = text.find(words); at != std::string_view::npos;
       at = text.find(words, at + 1)) {
    const std::string_view rest = text.substr(at + words.size());
    if (rest.empty() || rest.front() == '\n' || rest.front() == '\r') return true;
  }
  return false;
}

}  // namespace streamkit::testing
