// Randomness as an argument, so that the sans-IO rooms never reach for entropy themselves.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>

namespace streamkit {

class Random {
 public:
  virtual ~Random() = default;
  /// Fills all of `out` with unpredictable bytes, or fails; never partly.
  virtual Result<void> fill(MutableByteView out) = 0;
};

}  // namespace streamkit
