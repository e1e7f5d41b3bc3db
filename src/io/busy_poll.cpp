#include "busy_poll.hpp"

#include <fstream>
#include <sched.h>

namespace streamkit::io {
namespace {

// Of cgroup v2, the group with no number: "0::/path".
std::string own_group(const std::string& groups_file) {
  std::ifstream groups(groups_file);
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return {};
}

}  // namespace

bool has_quota(const std::string& groups_file, const std::string& root) {
  for (std::string group = own_group(groups_file);; group.resize(group.rfind('/'))) {
    std::ifstream limit(root + group + "/cpu.max");  // "QUOTA PERIOD"; the top may have none
    std::string quota;
    if (limit >> quota && quota != "max") return true;
    if (group.empty()) return false;
  }
}

bool has_processors_to_spare() {
  cpu_set_t usable;  // too small, and the call fails, where there are more than it can tell
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) < 2) return false;
  return !has_quota("/proc/self/cgroup", "/sys/fs/cgroup");
}

}  // namespace streamkit::io
