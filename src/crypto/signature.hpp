// Signature blobs: string algorithm, string bytes (RFC 4253 section 6.6).
#pragma once

#include "evp.hpp"

#include <streamkit/crypto/key.hpp>

namespace streamkit::crypto {

/// Errc::bad_key when `signature` is not one that `key` made over `data` by `algorithm`.
Result<void> verify_signature(KeyType type, EVP_PKEY* key, std::string_view algorithm,
                              ByteView data, ByteView signature);
/// Not yet verified: PrivateKey::sign() does that before it gives it out.
Result<Bytes> make_signature(KeyType type, EVP_PKEY* key, std::string_view algorithm,
                             ByteView data);

}  // namespace streamkit::crypto
