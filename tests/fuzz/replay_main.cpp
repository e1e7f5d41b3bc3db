// Runs a fuzz target over kept inputs, so that every compiler and every `ctest` replays what was
// found.
//
//   fuzz_<name> FOLDER
//
// Each file of the folder is given whole, then cut at every length up to 64 bytes; a target that
// has a mutator of its own gets some hundred variations of it too, the same ones every time. An
// absent or empty folder still gives the empty input. Failures are the target's own: a sanitizer
// report or abort().
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t max_size,
                                                                     unsigned seed);

namespace {

constexpr unsigned kVariations = 100;

void replay_variations(const std::vector<char>& kept) {
  if (LLVMFuzzerCustomMutator == nullptr) return;
  std::vector<std::uint8_t> varied(kept.begin(), kept.end());
  for (unsigned seed = 1; seed <= kVariations; ++seed) {
    std::size_t size = varied.size();
    varied.resize(size + 4096);
    size = LLVMFuzzerCustomMutator(varied.data(), size, varied.size(), seed);
    varied.resize(size);
    LLVMFuzzerTestOneInput(varied.data(), varied.size());
    if (seed % 10 == 0) varied.assign(kept.begin(), kept.end());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  std::size_t files = 0;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], absent)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> kept{std::istreambuf_iterator<char>(in), {}};
    const auto* data = reinterpret_cast<const std::uint8_t*>(kept.data());
    LLVMFuzzerTestOneInput(data, kept.size());
    for (std::size_t n = 0; n < std::min<std::size_t>(kept.size(), 64); ++n) {
      const std::vector<std::uint8_t> cut(data,
                                          data + n);  // its own memory: a read past it is seen
      LLVMFuzzerTestOneInput(cut.data(), cut.size());
    }
    replay_variations(kept);
    ++files;
  }
  std::printf("%zu inputs replayed\n", files);
  return 0;
}
