// When keys have to change, and what is kept back while they do (RFC 4253 section 9, RFC 4344
// section 3). Counts and compares; starts nothing itself.
#pragma once

#include "packet.hpp"

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/ssh/config.hpp>

#include <algorithm>

namespace streamkit::ssh {

/// RFC 4344 section 3.1, and for chacha20-poly1305 a rule of safety: its nonce is the sequence
/// number.
inline constexpr std::uint64_t kMaxPacketsPerKey = 1ull << 31;
/// RFC 4344 section 3.2: 2^32 blocks of 16 bytes.
inline constexpr std::uint64_t kMaxBytesPerKey = 1ull << 36;

class RekeyLimits {
 public:
  explicit RekeyLimits(const Limits& limits) noexcept
      : bytes_(std::min(limits.rekey_after_bytes, kMaxBytesPerKey / 2)),
        // Half of the hard limit at most: the peer needs room to answer.
        packets_(std::min(limits.rekey_after_packets, kMaxPacketsPerKey / 2)) {}

  /// We should start an exchange.
  bool is_due(const KeyUse& use) const noexcept {
    return use.bytes >= bytes_ || use.packets >= packets_;
  }
  /// Nothing more may pass under these keys.
  static bool is_exhausted(const KeyUse& use) noexcept {
    return use.bytes >= kMaxBytesPerKey || use.packets >= kMaxPacketsPerKey;
  }

 private:
  std::uint64_t bytes_, packets_;
};

/// Payloads in order, kept while the keys are exchanged. One allocation, not one a payload.
class HeldPayloads {
 public:
  bool empty() const noexcept { return store_.empty(); }
  std::size_t bytes() const noexcept { return store_.size(); }
  /// False, and nothing kept, when it would pass `max_bytes`.
  bool push(ByteView header, ByteView body, std::size_t max_bytes) {
    const std::size_t size = header.size() + body.size();
    if (store_.size() + 4 + size > max_bytes) return false;
    wire::Writer(store_).u32(static_cast<std::uint32_t>(size)).bytes(header).bytes(body);
    return true;
  }
  /// Calls `send(ByteView payload)` in order until it fails, then forgets everything.
  template <class Send>
  Result<void> release(Send&& send) {
    const Bytes taken = std::exchange(store_, {});
    for (std::size_t at = 0; at < taken.size();) {
      const std::size_t size = wire::load_u32(taken.data() + at);
      if (auto sent = send(ByteView(taken).subspan(at + 4, size)); !sent) return sent;
      at += 4 + size;
    }
    return {};
  }

 private:
  Bytes store_;
};

}  // namespace streamkit::ssh
