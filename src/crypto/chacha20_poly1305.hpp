// chacha20-poly1305@openssh.com: two ChaCha20 keys, one for the length and one for the rest.
#pragma once

#include "evp.hpp"
#include "protection.hpp"

namespace streamkit::crypto {

inline constexpr std::size_t kPolyTagSize = 16, kChaChaKeySize = 32;

/// `keys.key` has 64 bytes: the packet key, then the length key. No iv: the nonce is the sequence
/// number.
Result<std::unique_ptr<Sealer>> make_chacha_sealer(const DirectionKeys& keys,
                                                   std::uint64_t packets = kMaxPacketsPerKey);
Result<std::unique_ptr<Opener>> make_chacha_opener(const DirectionKeys& keys);

}  // namespace streamkit::crypto
