// aes*-ctr with a SHA-2 HMAC, encrypt-then-MAC or encrypt-and-MAC.
#pragma once

#include "evp.hpp"
#include "protection.hpp"

namespace streamkit::crypto {

/// `keys` have the sizes of `cipher`, 16 bytes of iv and the size of `hash` as mac_key.
Result<std::unique_ptr<Sealer>> make_ctr_sealer(const EVP_CIPHER* cipher, Hash hash, bool etm,
                                                const DirectionKeys& keys,
                                                std::uint64_t packets = kMaxPacketsPerKey);
Result<std::unique_ptr<Opener>> make_ctr_opener(const EVP_CIPHER* cipher, Hash hash, bool etm,
                                                const DirectionKeys& keys);

}  // namespace streamkit::crypto
