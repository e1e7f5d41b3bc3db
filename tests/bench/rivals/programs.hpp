// Other people's programs: started without a shell, with their own configuration in a scratch
// folder, ended by their process id, and killed with the runner. nginx and wrk, which several
// runners share.
#pragma once

#include "measure.hpp"
#include "support/process.hpp"

namespace streamkit::rivals {

using testing::Scratch;

/// No program may take longer to start, or to end when it is told to.
inline constexpr std::chrono::seconds kPatience{20};

/// The path of a program, from PATH and the sbin folders. Throws Skip: install `package`.
std::string find_program(const std::string& name, const std::string& package);
std::uint16_t free_port();
void write_file(const std::string& path, const std::string& text);

class Program {
 public:
  /// Standard input and output; -1: /dev/null.
  struct Ends {
    int in = -1, out = -1;
  };
  /// Standard error goes to the end of the file `log`.
  Program(std::vector<std::string> words, std::string log, Ends ends);
  Program(std::vector<std::string> words, std::string log)
      : Program(std::move(words), std::move(log), Ends{}) {}
  ~Program();  ///< SIGTERM, and SIGKILL when it does not listen
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  /// A connection to the port that it is about to listen on.
  Socket await(std::uint16_t port);
  /// Its exit code.
  int wait();

 private:
  bool is_over();

  pid_t pid_ = -1;
  std::string log_;
  std::optional<int> status_;
};

/// All output of a program that has to succeed.
std::string output_of(std::vector<std::string> words, const std::string& log);

struct Pipe {
  Socket read, write;
  Pipe();
};

/// CPU time of these processes, their children and the children that they waited for, in
/// nanoseconds; the clock has ticks of 10 ms.
std::uint64_t tree_cpu_ns(const std::vector<pid_t>& roots);
/// Proportional set of a process and its children, in KiB.
double tree_memory_kib(pid_t root);

// ---------------------------------------------------------------- nginx and wrk

/// The web application: files of 1 KiB and 1 MiB.
class WebApplication {
 public:
  explicit WebApplication(const Scratch& folder);
  std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_ = free_port();
  std::unique_ptr<Program> nginx_;
};

/// A reverse proxy that keeps its connections to `upstream` open.
class WebProxy {
 public:
  WebProxy(const Scratch& folder, std::uint16_t upstream);
  std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_ = free_port();
  std::unique_ptr<Program> nginx_;
};

/// Loads the web server on `port` with what the row says: http-1k-keepalive, http-1k-new or
/// http-1m-keepalive.
Figure load_web(const Task& task, const Scratch& folder, std::uint16_t port);

}  // namespace streamkit::rivals
