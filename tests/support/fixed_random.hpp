// Random bytes that are the same in every run, for cookies and padding in tests. Not for keys.
#pragma once

#include <streamkit/base/random.hpp>

#include <cstdint>

namespace streamkit::testing {

class FixedRandom final : public Random {
 public:
  explicit FixedRandom(std::uint64_t seed = 1) : state_(seed) {}
  Result<void> fill(MutableByteView out) override {
    for (std::byte& b : out) b = std::byte(next() >> 56);
    return {};
  }
  /// SplitMix64.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace streamkit::testing
