// Runs a fuzz target over kept inputs, so that every compiler and every `ctest` replays what was
// found.
//
//   fuzz_<name> FOLDER
//
// Each file of the folder is given whole, then cut at every length up to 64 bytes. An absent or
// empty folder still gives the empty input. Failures are the target's own: a sanitizer report or
// abort().
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

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
    ++files;
  }
  std::printf("%zu inputs replayed\n", files);
  return 0;
}
