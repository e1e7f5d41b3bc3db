// aes128-gcm@openssh.com and aes256-gcm@openssh.com: AES-GCM with the framing of RFC 5647.
#pragma once

#include "evp.hpp"
#include "protection.hpp"

namespace streamkit::crypto {

inline constexpr std::size_t kGcmNonceSize = 12, kGcmTagSize = 16;

/// `keys` have the sizes of `cipher` and 12 bytes of iv.
Result<std::unique_ptr<Sealer>> make_gcm_sealer(const EVP_CIPHER* cipher, const DirectionKeys& keys,
                                                std::uint64_t packets = kMaxPacketsPerKey);
Result<std::unique_ptr<Opener>> make_gcm_opener(const EVP_CIPHER* cipher,
                                                const DirectionKeys& keys);

}  // namespace streamkit::crypto
