// HTTP: wrk loads nginx through our relay and tunnel, and (subject tcp) nginx directly. Both
// programs have to be there; their configuration is made here.
#include "ours_gateway.hpp"
#include "row.hpp"
#include "sockets.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace streamkit::bench {
namespace {

constexpr int kSeconds = 5;  // of load, at scale 1
constexpr int kMaxStartTries = 100;

bool is_installed(const char* program) {
  const std::string path =
      std::string(std::getenv("PATH") ? std::getenv("PATH") : "") + ":/usr/sbin";
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (::access((path.substr(at, end - at) + "/" + program).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) fail_errno("writing " + path);
}

// nginx as an application that serves /1k and /1m.
class Application {
 public:
  Application() {
    { const Fd free_port = listen_tcp(port_); }
    const std::string folder = folder_.path();
    std::filesystem::create_directory(folder + "/www");
    write_text(folder + "/www/1k", std::string(1024, 'x'));
    write_text(folder + "/www/1m", std::string(1 << 20, 'x'));
    const std::string user = ::geteuid() == 0 ? "user root;\n" : "";
    write_text(
        folder + "/nginx.conf",
        user + fmt::format("daemon off; worker_processes 1; pid {0}/pid; error_log stderr crit;\n"
                           "events {{ worker_connections 1024; }}\n"
                           "http {{ access_log off; keepalive_requests 1000000000; sendfile on; "
                           "tcp_nodelay on;\n"
                           "  client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; "
                           "fastcgi_temp_path {0}/t3;\n"
                           "  uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;\n"
                           "  server {{ listen 127.0.0.1:{1}; root {0}/www; }} }}\n",
                           folder, port_));
    nginx_ = std::make_unique<Program>(std::vector<std::string>{
        "nginx", "-p", folder, "-e", "stderr", "-c", folder + "/nginx.conf"});
    wait_until_it_listens();
  }
  std::uint16_t port() const noexcept { return port_; }

 private:
  // At this level of its log nginx does not say when it listens; who connects knows.
  void wait_until_it_listens() {
    for (int tries = 0;; ++tries) {
      try {
        connect_tcp(port_);
        return;
      } catch (const std::exception&) {
        if (tries == kMaxStartTries) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  Scratch folder_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Program> nginx_;
};

// ---------------------------------------------------------------- wrk

struct Load {
  const char* path;
  int connections;
  bool keeps_alive;
};

Load load_of(const Task& task) {
  if (task.row == "http-1k-keepalive") return {"/1k", 32, true};
  if (task.row == "http-1k-new") return {"/1k", 32, false};
  if (task.row == "http-1k-single") return {"/1k", 1, true};
  return {"/1m", 8, true};
}

// The word that follows `label` at the beginning of a line, such as "123.00us" after "50%".
std::string word_after(const std::string& text, std::string_view label) {
  std::size_t line = 0, at = 0;
  while (text.compare(at = std::min(text.find_first_not_of(' ', line), text.size()), label.size(),
                      label) != 0) {
    line = text.find('\n', line);
    if (line++ == std::string::npos) fail("wrk said something unexpected: " + text);
  }
  const std::size_t begin = text.find_first_not_of(' ', at + label.size());
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

double microseconds(const std::string& word) {
  const double number = std::stod(word);
  if (word.ends_with("us")) return number;
  if (word.ends_with("ms")) return number * 1e3;
  return number * 1e6;
}

Outcome load(const Task& task, std::uint16_t port, const std::string& host) {
  const Load load = load_of(task);
  const int seconds = std::max(1, static_cast<int>(std::lround(kSeconds * task.scale)));
  std::vector<std::string> words = {"wrk",
                                    "-t1",
                                    fmt::format("-c{}", load.connections),
                                    fmt::format("-d{}s", seconds),
                                    "--latency",
                                    "-H",
                                    "Host: " + host};
  if (!load.keeps_alive) words.insert(words.end(), {"-H", "Connection: close"});
  words.push_back(fmt::format("http://127.0.0.1:{}{}", port, load.path));
  const std::string said = output_of(std::move(words));
  for (const char* trouble : {"Non-2xx", "Socket errors"})
    if (said.find(trouble) != std::string::npos) fail("wrk: " + said);
  Outcome outcome;
  outcome.value = std::stod(word_after(said, "Requests/sec:"));
  outcome.p50_us = microseconds(word_after(said, "50%"));
  if (task.row == "http-1k-single") outcome.value = *outcome.p50_us;
  outcome.p99_us = microseconds(word_after(said, "99%"));
  return outcome;
}

// ---------------------------------------------------------------- the rows

std::string missing() {
  for (const char* program : {"nginx", "wrk"})
    if (!is_installed(program)) return std::string(program) + " is not installed";
  return {};
}

Outcome measure_tunnel(const Task& task, Control& relay) {
  if (std::string what = missing(); !what.empty()) {
    relay.say({-1, 0, 0});
    return skipped(std::move(what));
  }
  const Application application;
  Gateway gateway(task, relay, true, application.port());
  Outcome outcome = load(task, gateway.entry(), std::string(kTunnelName) + ".localhost");
  gateway.finish();
  return outcome;
}

Outcome measure_direct(const Task& task, Control&) {
  if (std::string what = missing(); !what.empty()) return skipped(std::move(what));
  const Application application;
  return load(task, application.port(), "localhost");
}

}  // namespace

Rows http_rows() {
  Rows rows;
  // One request at a time: what the way through the tunnel adds to it.
  rows.push_back(
      {{"http-1k-single", "ours", "default", "us", false}, measure_tunnel, serve_gateway});
  rows.push_back({{"http-1k-single", "tcp", "direct", "us", false}, measure_direct, nullptr});
  for (const char* row : {"http-1k-keepalive", "http-1k-new", "http-1m-keepalive"}) {
    rows.push_back({{row, "ours", "default", "req/s"}, measure_tunnel, serve_gateway});
    rows.push_back({{row, "tcp", "direct", "req/s"}, measure_direct, nullptr});
  }
  return rows;
}

}  // namespace streamkit::bench
