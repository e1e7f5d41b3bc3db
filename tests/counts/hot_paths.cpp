// hot_paths: one hot path of Streamkit as a program, to be counted from outside.
// tests/counts/counts.py runs it and compares; it knows no clock.
#include "hot_paths.hpp"

#include <streamkit/crypto/implementation.hpp>

#include <cstring>
#include <string_view>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace {

using streamkit::counts::Path;
using streamkit::counts::Paths;

Paths all_paths() {
  Paths all;
  for (const auto& some :
       {streamkit::counts::paths_of_packets(), streamkit::counts::paths_of_channels(),
        streamkit::counts::paths_of_peers()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

void list() {
  for (const Path& path : all_paths())
    std::printf(
        "%s %llu %s %s\n", path.name.c_str(), static_cast<unsigned long long>(path.operations),
        path.has_instructions ? "instructions" : "-", path.is_available ? "available" : "-");
}

// What numbers of instructions depend on besides our source. Under valgrind: the CPU that it
// pretends.
void environment() {
  std::printf("compiler %s\n", __VERSION__);
  const std::string_view libcrypto = streamkit::crypto::libcrypto_implementation();
  std::printf("libcrypto %.*s\n", static_cast<int>(libcrypto.size()), libcrypto.data());
#ifdef __GLIBC__
  std::printf("libc %s\n", gnu_get_libc_version());
#endif
#ifdef __x86_64__
  // The features that libc and libcrypto choose their code by.
  unsigned a = 0, b = 0, c1 = 0, d1 = 0, b7 = 0, c = 0, d = 0;
  __get_cpuid(1, &a, &b, &c1, &d1);
  __get_cpuid_count(7, 0, &a, &b7, &c, &d);
  std::printf("cpu features %08x %08x %08x\n", c1, d1, b7);
#endif
}

int run(std::string_view name, std::uint64_t operations) {
  bool found = false;
  for (const Path& path : all_paths()) {
    if (name != "--all" && name != path.name) continue;
    found = true;
    if (path.is_available) path.run(operations);
  }
  std::printf("allocations %llu\n",
              static_cast<unsigned long long>(streamkit::counts::allocations()));
  return found ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) return list(), 0;
  if (argc == 2 && std::strcmp(argv[1], "--environment") == 0) return environment(), 0;
  if (argc == 3) return run(argv[1], std::strtoull(argv[2], nullptr, 10));
  std::fputs(
      "usage: hot_paths --list | hot_paths --environment | hot_paths NAME|--all OPERATIONS\n",
      stderr);
  return 2;
}
