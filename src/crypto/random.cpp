// RAND_bytes, and a pool in front of it for bytes that are asked for a few at a time.
#include "evp.hpp"

#include <streamkit/crypto/random.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace streamkit::crypto {
namespace {

constexpr std::size_t kPoolSize = 512;

class SystemRandom final : public Random {
 public:
  Result<void> fill(MutableByteView out) override {
    while (!out.empty()) {
      const std::size_t n = std::min<std::size_t>(out.size(), INT_MAX);
      if (RAND_bytes(raw(out), static_cast<int>(n)) != 1)
        return evp_error("the random generator gave nothing");
      out = out.subspan(n);
    }
    return {};
  }
};

}  // namespace

Random& system_random() noexcept {
  static SystemRandom generator;
  return generator;
}

BufferedRandom::~BufferedRandom() {
  wipe(pool_);
}

Result<void> BufferedRandom::fill(MutableByteView out) {
  if (out.empty()) return {};
  if (out.size() >= kPoolSize) return source_.fill(out);
  if (pool_.size() - used_ < out.size()) {
    pool_.resize(kPoolSize);
    used_ = kPoolSize;  // if the source fails, nothing in the pool may be given out
    if (auto filled = source_.fill(pool_); !filled) return filled;
    used_ = 0;
  }
  const MutableByteView piece = MutableByteView(pool_).subspan(used_, out.size());
  std::memcpy(out.data(), piece.data(), piece.size());
  wipe(piece);  // what was given out is nowhere else
  used_ += out.size();
  return {};
}

}  // namespace streamkit::crypto
