#include "measure.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace streamkit::rivals {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDefaultCongestion = "/proc/sys/net/ipv4/tcp_congestion_control";

void print(const Json& line) {
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

double rounded(double value) {
  return std::round(value * 1e4) / 1e4;
}

Json head(const std::string& subject, const Row& row) {
  return {{"row", row.row}, {"subject", subject}, {"variant", row.variant}, {"unit", row.unit}};
}

Json body(const std::string& subject, const Row& row, const Figure& figure) {
  Json line = head(subject, row);
  const bool is_time_or_memory = row.unit == "us" || row.unit == "KiB";
  line["value"] = rounded(figure.value);
  line["higher_is_better"] = !is_time_or_memory;
  if (figure.cpu_s_per_gb) line["cpu_s_per_gb"] = rounded(*figure.cpu_s_per_gb);
  if (figure.p50_us) line["p50_us"] = rounded(*figure.p50_us);
  if (figure.p99_us) line["p99_us"] = rounded(*figure.p99_us);
  for (const auto& [name, value] : figure.more) line[name] = rounded(value);
  if (!figure.notes.empty()) line["notes"] = figure.notes;
  return line;
}

// The programs among the rivals cannot be told which congestion control to use, so everyone runs in
// a network namespace whose default it is.
void use_congestion(const std::string& name) {
  std::string present;
  std::ifstream(kDefaultCongestion) >> present;
  if (present == name) return;
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWNET) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
      throw Skip("no private network namespace, which --congestion needs: run it as root");
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << uid << ' ' << uid << " 1";
    std::ofstream("/proc/self/gid_map") << gid << ' ' << gid << " 1";
  }
  const Socket any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::memcpy(loopback.ifr_name, "lo", 3);
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  require(::ioctl(any.fd(), SIOCSIFFLAGS, &loopback) == 0, "bringing up the loopback interface");
  std::ofstream file(kDefaultCongestion);
  file << name << std::flush;
  if (!file) throw Skip("this kernel does not let a namespace use the congestion control " + name);
}

struct Arguments {
  bool is_list = false;
  std::string row, variant, congestion;
  double scale = 1;
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments found;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--list") {
      found.is_list = true;
    } else if (word == "--variant" && has_value) {
      found.variant = argv[++i];
    } else if (word == "--congestion" && has_value) {
      found.congestion = argv[++i];
    } else if (word == "--scale" && has_value) {
      const std::string_view text = argv[++i];
      const auto [end, problem] =
          std::from_chars(text.data(), text.data() + text.size(), found.scale);
      if (problem != std::errc() || end != text.data() + text.size() || !(found.scale > 0))
        return std::nullopt;
    } else if (!word.starts_with("-") && found.row.empty()) {
      found.row = word;
    } else {
      return std::nullopt;
    }
  }
  if (found.is_list == found.row.empty()) return found;
  return std::nullopt;
}

}  // namespace

int runner_main(int argc, char** argv, const std::string& subject, const std::vector<Row>& rows) {
  const std::optional<Arguments> arguments = parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr, "usage: %s ROW [--variant V] [--scale F] [--congestion NAME] | --list\n",
                 argv[0]);
    return 2;
  }
  if (arguments->is_list) {
    for (const Row& row : rows) print(head(subject, row));
    return 0;
  }
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    return row.row == arguments->row &&
           (arguments->variant.empty() || row.variant == arguments->variant);
  });
  if (found == rows.end()) {
    std::fprintf(stderr, "%s has no row %s %s: see --list\n", argv[0], arguments->row.c_str(),
                 arguments->variant.c_str());
    return 2;
  }
  rlimit files{};  // the idle rows hold a thousand connections
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::alarm(kRowSeconds);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    if (!arguments->congestion.empty()) use_congestion(arguments->congestion);
    print(body(subject, *found, found->run({found->row, found->variant, arguments->scale})));
  } catch (const Skip& skip) {
    print({{"row", found->row},
           {"subject", subject},
           {"variant", found->variant},
           {"skipped", skip.what()}});
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s %s: %s\n", argv[0], found->row.c_str(), problem.what());
    return 1;
  }
  return 0;
}

void require(bool ok, const char* doing) {
  if (!ok) throw Failure(std::string(doing) + ": " + std::strerror(errno));
}

std::uint64_t Task::amount(std::uint64_t whole, std::uint64_t least) const {
  return std::max(least, static_cast<std::uint64_t>(static_cast<double>(whole) * scale));
}

// ---------------------------------------------------------------- time, CPU, memory

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

std::uint64_t cpu_ns() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ns = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(t.tv_usec) * 1000u;
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

double memory_kib(pid_t pid) {
  std::ifstream file("/proc/" + (pid ? std::to_string(pid) : std::string("self")) +
                     "/smaps_rollup");
  for (std::string word; file >> word;) {
    double kib = 0;
    if (word == "Pss:" && file >> kib) return kib;
  }
  throw Failure("no Pss in /proc/.../smaps_rollup");
}

double Samples::percentile(double percent) {
  if (all_.empty()) throw Failure("nothing was measured");
  std::sort(all_.begin(), all_.end());
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * double(all_.size())));
  return static_cast<double>(all_[std::max<std::size_t>(rank, 1) - 1]) * 1e-3;
}

Figure ping(const Task& task, const std::function<void()>& round_trip) {
  for (std::uint64_t i = task.amount(kWarmUpPings); i > 0; --i) round_trip();
  Samples samples;
  for (std::uint64_t i = task.amount(kPings); i > 0; --i) {
    const std::uint64_t begin = now_ns();
    round_trip();
    samples.add(now_ns() - begin);
  }
  const double p50 = samples.percentile(50);
  return {.value = p50, .p50_us = p50, .p99_us = samples.percentile(99)};
}

// ---------------------------------------------------------------- two processes

Figure Stage::transfer(std::uint64_t bytes) const {
  return {.value = static_cast<double>(bytes) * 1e-6 / seconds(),
          .cpu_s_per_gb = static_cast<double>(cpu_ns) / static_cast<double>(bytes)};
}

Figure Stage::rate(std::uint64_t count) const {
  return {.value = static_cast<double>(count) / seconds()};
}

void Unmap::operator()(Stage* stage) const {
  ::munmap(stage, sizeof *stage);
}

std::unique_ptr<Stage, Unmap> new_stage() {
  void* const memory =
      ::mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "mapping shared memory");
  return std::unique_ptr<Stage, Unmap>(new (memory) Stage);
}

OtherSide::OtherSide(const std::function<void()>& work) {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  require(pid_ >= 0, "fork");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  int code = 0;
  try {
    work();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "the other side: %s\n", problem.what());
    code = 1;
  }
  ::_exit(code);  // not the parent's destructors
}

OtherSide::~OtherSide() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void OtherSide::wait() {
  int status = 0;
  require(::waitpid(std::exchange(pid_, -1), &status, 0) > 0, "waiting for the other side");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Failure("the other side failed");
}

// ---------------------------------------------------------------- sockets on 127.0.0.1

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

void no_delay(int fd) {
  const int yes = 1;
  require(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "TCP_NODELAY");
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Socket Socket::try_connect(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  require(socket.is_open(), "a socket");
  const sockaddr_in at = loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    return Socket();
  no_delay(socket.fd());
  return socket;
}

Socket Socket::connect(std::uint16_t port) {
  Socket socket = try_connect(port);
  require(socket.is_open(), "connecting to 127.0.0.1");
  return socket;
}

void Socket::send_all(const void* data, std::size_t size) const {
  for (const char* at = static_cast<const char*>(data); size > 0;) {
    const ssize_t n = ::write(fd_, at, size);
    if (n < 0 && errno == EINTR) continue;
    require(n > 0, "sending");
    at += n;
    size -= static_cast<std::size_t>(n);
  }
}

std::size_t Socket::receive(void* data, std::size_t size) const {
  while (true) {
    const ssize_t n = ::read(fd_, data, size);
    if (n < 0 && errno == EINTR) continue;
    require(n >= 0, "receiving");
    return static_cast<std::size_t>(n);
  }
}

bool Socket::receive_all(void* data, std::size_t size) const {
  for (char* at = static_cast<char*>(data); size > 0;) {
    const std::size_t n = receive(at, size);
    if (n == 0) return false;
    at += n;
    size -= n;
  }
  return true;
}

void Socket::end_writing() const {
  ::shutdown(fd_, SHUT_WR);
}

Listener::Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  require(::bind(socket_.fd(), reinterpret_cast<sockaddr*>(&at), size) == 0, "bind");
  require(::listen(socket_.fd(), SOMAXCONN) == 0, "listen");
  require(::getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&at), &size) == 0, "the port");
  port_ = ntohs(at.sin_port);
}

Socket Listener::accept() const {
  Socket socket(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  require(socket.is_open(), "accept");
  no_delay(socket.fd());
  return socket;
}

void send_bytes(const Socket& socket, std::uint64_t bytes) {
  const std::vector<char> piece(kPiece, 'x');
  while (bytes > 0) {
    const std::size_t n = std::min<std::uint64_t>(bytes, piece.size());
    socket.send_all(piece.data(), n);
    bytes -= n;
  }
}

void discard_bytes(const Socket& socket, std::uint64_t bytes) {
  std::vector<char> piece(kPiece);
  while (bytes > 0) {
    const std::size_t n =
        socket.receive(piece.data(), std::min<std::uint64_t>(bytes, piece.size()));
    if (n == 0) throw Failure("the stream ended early");
    bytes -= n;
  }
}

void echo(const Socket& socket) {
  std::vector<char> piece(kPiece);
  while (const std::size_t n = socket.receive(piece.data(), piece.size()))
    socket.send_all(piece.data(), n);
}

void round_trip(const Socket& socket) {
  std::array<char, kPingBytes> bytes{};
  socket.send_all(bytes.data(), bytes.size());
  if (!socket.receive_all(bytes.data(), bytes.size())) throw Failure("the echo ended early");
}

}  // namespace streamkit::rivals
