// Randomness from libcrypto's generator.
#pragma once

#include <streamkit/base/random.hpp>

namespace streamkit::crypto {

/// RAND_bytes. Thread-safe, shared, lives for the whole program.
Random& system_random() noexcept;

/// RAND_bytes drawn 512 bytes at a time, for padding and cookies: a packet must not cost a call into the
/// generator. One owner, one thread.
class BufferedRandom final : public Random {
 public:
  explicit BufferedRandom(Random& source = system_random()) noexcept : source_(source) {}
  ~BufferedRandom() override;
  BufferedRandom(const BufferedRandom&) = delete;
  BufferedRandom& operator=(const BufferedRandom&) = delete;
  Result<void> fill(MutableByteView out) override;

 private:
  Random& source_;
  Bytes pool_;
  std::size_t used_ = 0;
};

}  // namespace streamkit::crypto
