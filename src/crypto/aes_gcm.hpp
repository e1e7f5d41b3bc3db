// aes128-gcm@openssh.com and aes256-gcm@openssh.com: AES-GCM with the framing of RFC 5647.
#pragma once

#include "gcm_cipher.hpp"
#include "protection.hpp"

namespace streamkit::crypto {

/// `keys` have 16 or 32 bytes of key and 12 bytes of iv.
Result<std::unique_ptr<Sealer>> make_gcm_sealer(AesGcm by, const DirectionKeys& keys,
                                                std::uint64_t packets = kMaxPacketsPerKey);
Result<std::unique_ptr<Opener>> make_gcm_opener(AesGcm by, const DirectionKeys& keys);

/// The same with a GcmCipher of the caller's.
std::unique_ptr<Sealer> make_gcm_sealer(std::unique_ptr<GcmCipher> cipher, ByteView iv,
                                        std::uint64_t packets);
std::unique_ptr<Opener> make_gcm_opener(std::unique_ptr<GcmCipher> cipher, ByteView iv);

}  // namespace streamkit::crypto
