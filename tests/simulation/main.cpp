// streamkit_simulation [--steps N] [--seed N]: the simulation for as long as one likes. Runs of
// 50,000 steps, each with a seed of its own, until N steps were done; says where it is, and how to
// see a failure again.
#include "world.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>

namespace {

constexpr std::uint64_t kStepsOfARun = 50'000;

struct Arguments {
  std::uint64_t steps = 1'000'000, seed = 1;
};

bool read(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; i += 2) {
    char* end = nullptr;
    const std::uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    if (end == nullptr || *end != '\0' || end == argv[i + 1]) return false;
    if (std::strcmp(argv[i], "--steps") == 0) {
      out.steps = value;
    } else if (std::strcmp(argv[i], "--seed") == 0) {
      out.seed = value;
    } else {
      return false;
    }
  }
  return true;
}

long peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!read(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: %s [--steps N] [--seed N]\n", argv[0]);
    return 2;
  }
  const auto begin = std::chrono::steady_clock::now();
  std::map<std::string, std::uint64_t, std::less<>> counts;
  std::uint64_t done = 0;
  for (std::uint64_t seed = arguments.seed; done < arguments.steps; ++seed) {
    streamkit::simulation::World world(seed);
    const std::uint64_t steps = std::min(kStepsOfARun, arguments.steps - done);
    const bool good = world.run(steps) && world.end();
    done += world.steps();
    for (const auto& [what, n] : world.report().counts()) counts[what] += n;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("seed %llu: %llu of %llu steps, %.0f s, %ld MiB at most\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(done),
                static_cast<unsigned long long>(arguments.steps), seconds, peak_mib());
    std::fflush(stdout);
    if (good) continue;
    std::printf("FAILED: %s", world.failure().c_str());
    return 1;
  }
  for (const auto& [what, n] : counts)
    std::printf("%12llu  %s\n", static_cast<unsigned long long>(n), what.c_str());
  return 0;
}
