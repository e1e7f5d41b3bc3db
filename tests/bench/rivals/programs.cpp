#include "programs.hpp"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace streamkit::rivals {
namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(2);  // of what gives no sign when it is ready
constexpr int kPipeBytes = 1 << 20;

// What wrk does: one thread of its own is enough to keep two cores busy with the rest.
constexpr int kSmallConnections = 32, kLargeConnections = 8;
constexpr std::uint64_t kWrkSeconds = 5;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string find_program(const std::string& name, const std::string& package) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(std::string(path ? path : "") + ":/usr/sbin:/usr/local/sbin:/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + name;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  throw Skip("no " + name + " here: install " + package);
}

std::uint16_t free_port() {
  return Listener().port();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) throw Failure("cannot write " + path);
  ::chmod(path.c_str(), 0600);
}

// ---------------------------------------------------------------- Program

Program::Program(std::vector<std::string> words, std::string log, Ends ends)
    : log_(std::move(log)) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  require(pid_ >= 0, "fork");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int nothing = ::open("/dev/null", O_RDWR);
  const int errors = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (::getppid() != parent || nothing < 0 || errors < 0) ::_exit(127);
  ::dup2(ends.in < 0 ? nothing : ends.in, 0);
  ::dup2(ends.out < 0 ? nothing : ends.out, 1);
  ::dup2(errors, 2);
  ::close_range(3, ~0u, 0);
  std::signal(SIGPIPE, SIG_DFL);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

Program::~Program() {
  if (is_over()) return;
  ::kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!is_over() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(kPollEvery);
  if (is_over()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Program::is_over() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_.has_value();
}

Socket Program::await(std::uint16_t port) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    Socket socket = Socket::try_connect(port);
    if (socket.is_open()) return socket;
    if (is_over()) throw Failure("a program ended instead of listening: " + read_file(log_));
    if (std::chrono::steady_clock::now() > deadline)
      throw Failure("a program does not listen: " + read_file(log_));
    std::this_thread::sleep_for(kPollEvery);
  }
}

int Program::wait() {
  int status = 0;
  if (!status_) {
    require(::waitpid(pid_, &status, 0) == pid_, "waiting for a program");
    status_ = status;
  }
  return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
}

std::string output_of(std::vector<std::string> words, const std::string& log) {
  const std::string name = words[0];
  Pipe pipe;
  Program program(std::move(words), log, {.out = pipe.write.fd()});
  pipe.write = Socket();
  std::string all;
  std::vector<char> piece(kPiece);
  while (const std::size_t n = pipe.read.receive(piece.data(), piece.size()))
    all.append(piece.data(), n);
  if (program.wait() != 0) throw Failure(name + " failed: " + all + read_file(log));
  return all;
}

Pipe::Pipe() {
  int fds[2];
  require(::pipe2(fds, O_CLOEXEC) == 0, "a pipe");
  read = Socket(fds[0]);
  write = Socket(fds[1]);
  ::fcntl(fds[1], F_SETPIPE_SZ, kPipeBytes);  // as large as this user may
}

// ---------------------------------------------------------------- trees of processes

namespace {

struct Seen {
  pid_t parent = 0;
  std::uint64_t ticks = 0;
};

std::map<pid_t, Seen> all_processes() {
  std::map<pid_t, Seen> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string text = read_file(entry.path() / "stat");
    const std::size_t after_name = text.rfind(')');
    if (after_name == std::string::npos) continue;  // gone meanwhile
    std::istringstream fields(text.substr(after_name + 1));
    const std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
    // state, ppid, ..., utime, stime, cutime, cstime: proc(5) counts them as 3, 4, 14 to 17.
    if (words.size() < 15) continue;
    Seen seen{.parent = static_cast<pid_t>(std::stol(words[1]))};
    for (std::size_t i = 11; i < 15; ++i) seen.ticks += std::stoull(words[i]);
    found[static_cast<pid_t>(std::stol(name))] = seen;
  }
  return found;
}

std::vector<pid_t> tree(const std::map<pid_t, Seen>& all, std::vector<pid_t> members) {
  for (std::size_t i = 0; i < members.size(); ++i)
    for (const auto& [pid, seen] : all)
      if (seen.parent == members[i]) members.push_back(pid);
  return members;
}

}  // namespace

std::uint64_t tree_cpu_ns(const std::vector<pid_t>& roots) {
  const auto all = all_processes();
  std::uint64_t ticks = 0;
  for (const pid_t pid : tree(all, roots))
    if (const auto at = all.find(pid); at != all.end()) ticks += at->second.ticks;
  return ticks * (1'000'000'000u / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

double tree_memory_kib(pid_t root) {
  double kib = 0;
  for (const pid_t pid : tree(all_processes(), {root})) {
    try {
      kib += memory_kib(pid);
    } catch (const Failure&) {
      // One that has ended meanwhile, such as the child that sshd keeps until the login.
    }
  }
  return kib;
}

// ---------------------------------------------------------------- nginx and wrk

namespace {

std::unique_ptr<Program> start_nginx(const Scratch& folder, const std::string& name,
                                     std::uint16_t port, const std::string& upstream,
                                     const std::string& location) {
  const std::string nginx = find_program("nginx", "nginx-light");
  const std::string config = folder / (name + ".conf");
  std::string temporary;
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    temporary += std::string(kind) + "_temp_path " + (folder / (name + "_" + kind)) + ";\n";
  write_file(config, std::string(::geteuid() == 0 ? "user root root;\n" : "") +
                         "daemon off;\nworker_processes 1;\npid " + (folder / (name + ".pid")) +
                         ";\nevents { worker_connections 1024; }\nhttp {\naccess_log off;\n" +
                         temporary +
                         "sendfile on;\ntcp_nodelay on;\nkeepalive_requests 1000000000;\n" +
                         upstream + "server {\nlisten 127.0.0.1:" + std::to_string(port) +
                         " backlog=1024;\nlocation / {\n" + location + "}\n}\n}\n");
  const std::string log = folder / (name + ".log");
  auto program =
      std::make_unique<Program>(std::vector<std::string>{nginx, "-e", log, "-c", config}, log);
  program->await(port);
  return program;
}

}  // namespace

WebApplication::WebApplication(const Scratch& folder) {
  write_file(folder / "1k", std::string(1 << 10, 'x'));
  write_file(folder / "1m", std::string(1 << 20, 'x'));
  nginx_ = start_nginx(folder, "application", port_, "", "root " + folder.path() + ";\n");
}

WebProxy::WebProxy(const Scratch& folder, std::uint16_t upstream) {
  nginx_ = start_nginx(folder, "proxy", port_,
                       "upstream application { server 127.0.0.1:" + std::to_string(upstream) +
                           "; keepalive 64; keepalive_requests 1000000000; }\n",
                       "proxy_pass http://application;\nproxy_http_version 1.1;\n"
                       "proxy_set_header Connection \"\";\nproxy_buffers 16 64k;\n"
                       "proxy_max_temp_file_size 0;\n");
}

Figure load_web(const Task& task, const Scratch& folder, std::uint16_t port) {
  const bool is_new = task.row == "http-1k-new", is_large = task.row == "http-1m-keepalive";
  const std::string connections = std::to_string(is_large ? kLargeConnections : kSmallConnections);
  std::vector<std::string> words{find_program("wrk", "wrk"), "-t1", "-c" + connections,
                                 "-d" + std::to_string(task.amount(kWrkSeconds)) + "s",
                                 "--latency"};
  if (is_new) words.insert(words.end(), {"-H", "Connection: close"});
  words.push_back("http://127.0.0.1:" + std::to_string(port) + (is_large ? "/1m" : "/1k"));
  std::istringstream said(output_of(words, folder / "wrk.log"));
  Figure figure;
  figure.notes = connections + " connections";
  for (std::string word; said >> word;) {
    const auto latency_us = [&said] {
      double number = 0;
      std::string unit;
      said >> number >> unit;
      return number * (unit == "us" ? 1 : unit == "ms" ? 1e3 : 1e6);
    };
    if (word == "50%") figure.p50_us = latency_us();
    if (word == "99%") figure.p99_us = latency_us();
    if (word == "Requests/sec:") said >> figure.value;
    if (word == "Non-2xx" || word == "Socket") {
      std::string rest;
      std::getline(said, rest);
      throw Failure("wrk: " + word + rest);
    }
  }
  if (!(figure.value > 0)) throw Failure("wrk got no answer");
  return figure;
}

}  // namespace streamkit::rivals
