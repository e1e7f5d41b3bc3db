// The table of rows; one task from its words to a line of JSON.
#include "bench.hpp"

#include "row.hpp"

#include <streamkit/crypto/implementation.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

namespace streamkit::bench {
namespace {

using Json = nlohmann::ordered_json;

const Rows& all_rows() {
  static const Rows all = [] {
    Rows rows;
    for (const auto part :
         {our_stream_rows, our_ping_rows, our_channel_rows, our_beside_rows, our_gateway_rows,
          http_rows, connect_rows, delay_rows, inproc_rows, limit_stream_rows, limit_ping_rows,
          limit_beside_rows, limit_gateway_rows})
      for (const Row& row : part()) rows.push_back(row);
    return rows;
  }();
  return all;
}

Result<const Row*> find_row(Task& task) {
  for (const Row& row : all_rows()) {
    const Entry& e = row.entry;
    if (e.row != task.row || e.subject != task.subject) continue;
    if (task.variant.empty()) task.variant = e.variant;
    if (e.variant == task.variant) return &row;
  }
  return Error(Errc::usage,
               fmt::format("there is no row \"{}\" of subject \"{}\"{}; --list shows what there is",
                           task.row, task.subject,
                           task.variant.empty() ? "" : " and variant \"" + task.variant + "\""));
}

std::string to_json(const Row& row, const Task& task, const Outcome& outcome) {
  Json json = {{"row", task.row}, {"subject", task.subject}, {"variant", task.variant}};
  if (!outcome.skipped.empty()) {
    json["skipped"] = outcome.skipped;
    return json.dump();
  }
  json["value"] = outcome.value;
  json["unit"] = row.entry.unit;
  json["higher_is_better"] = row.entry.higher_is_better;
  if (outcome.cpu_s_per_gb) json["cpu_s_per_gb"] = *outcome.cpu_s_per_gb;
  if (outcome.p50_us) json["p50_us"] = *outcome.p50_us;
  if (outcome.p99_us) json["p99_us"] = *outcome.p99_us;
  if (outcome.bulk_mb_s) json["bulk_mb_s"] = *outcome.bulk_mb_s;
  if (task.scale != 1) json["scale"] = task.scale;
  if (task.idle_channels > 0) json["idle_channels"] = task.idle_channels;
  if (task.idle_connections > 0) json["idle_connections"] = task.idle_connections;
  if (!outcome.notes.empty()) json["notes"] = outcome.notes;
  return json.dump();
}

Outcome measure(const Row& row, const Task& task) {
  if (row.serve == nullptr) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
      fail_errno("socketpair");
    const Fd unused(pair[1]);
    Control nobody{Fd(pair[0])};
    return row.measure(task, nobody);
  }
  Other other(task);
  Outcome outcome = row.measure(task, other.control());
  other.finish();
  return outcome;
}

void write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) fail_errno(fmt::format("writing {} to {}", text, path));
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown";
}

// Some rows hold thousands of connections, each a descriptor or two.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

std::vector<Entry> entries() {
  std::vector<Entry> all;
  for (const Row& row : all_rows()) all.push_back(row.entry);
  return all;
}

Result<std::string> run(Task task) {
  raise_descriptor_limit();
  const Result<const Row*> row = find_row(task);
  if (!row) return row.error();
  try {
    // Both processes find their keys in a configuration folder of their own, not in this user's.
    const Scratch config;
    ::setenv("XDG_CONFIG_HOME", config.path().c_str(), 1);
    return to_json(**row, task, measure(**row, task));
  } catch (const std::exception& e) {
    return Error(Errc::codec,
                 fmt::format("{} {} {}: {}", task.row, task.subject, task.variant, e.what()));
  }
}

Result<std::string> run_apart(const Task& task, const std::string& congestion) {
  std::vector<std::string> words = {"/proc/self/exe", "bench", "--run"};
  append_arguments(words, task);
  if (!congestion.empty()) words.insert(words.end(), {"--congestion", congestion});
  try {
    return output_of(std::move(words));
  } catch (const std::exception& e) {
    return Error(Errc::codec,
                 fmt::format("{} {} {}: {}", task.row, task.subject, task.variant, e.what()));
  }
}

Result<void> serve(const Task& asked, int control) {
  raise_descriptor_limit();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a measurement that was stopped leaves nothing behind
  Task task = asked;
  const Result<const Row*> row = find_row(task);
  if (!row) return row.error();
  try {
    Control other{Fd(control)};
    (*row)->serve(task, other);
    return {};
  } catch (const std::exception& e) {
    return Error(Errc::codec, fmt::format("{} {} {}, second process: {}", task.row, task.subject,
                                          task.variant, e.what()));
  }
}

Result<void> enter_network(const std::string& congestion) {
  try {
    if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
      fail_errno("this user may not have a network namespace of its own");
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &loopback) != 0)
      fail_errno("bringing up the loopback device");
    write_file("/proc/sys/net/ipv4/tcp_congestion_control", congestion);
    return {};
  } catch (const std::exception& e) {
    return Error(Errc::usage, e.what());
  }
}

std::string machine_json() {
  utsname system{};
  ::uname(&system);
  Json json = {{"cpu", cpu_model()},
               {"cores", std::thread::hardware_concurrency()},
               {"kernel", std::string(system.sysname) + " " + system.release},
               {"congestion_control", first_line("/proc/sys/net/ipv4/tcp_congestion_control")},
               {"libcrypto", crypto::libcrypto_implementation()},
               {"aes_gcm", crypto::implementation_of(crypto::AesGcm::automatic)},
               {"load", first_line("/proc/loadavg")}};
  return json.dump();
}

}  // namespace streamkit::bench
