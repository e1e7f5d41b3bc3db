#include "busy_poll.hpp"

#include <fstream>
#include <sched.h>
#include <string>

namespace streamkit::io {
namespace {

// Of cgroup v2, the group with no number: "0::/path".
std::string own_group() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return {};
}

// "QUOTA PERIOD"; "max" is no quota, and the top has no such file.
bool has_quota(const std::string& group) {
  std::ifstream limit("/sys/fs/cgroup" + group + "/cpu.max");
  std::string quota;
  return limit >> quota && quota != "max";
}

}  // namespace

bool has_processors_to_spare() {
  cpu_set_t usable;  // too small, and the call fails, where there are more than it can tell
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) < 2) return false;
  for (std::string group = own_group();; group.resize(group.rfind('/'))) {
    if (has_quota(group)) return false;
    if (group.empty()) return true;
  }
}

}  // namespace streamkit::io
