// Public keys between their two forms: the blob that travels and libcrypto's object.
#pragma once

#include "ecdh.hpp"
#include "evp.hpp"

#include <streamkit/crypto/key.hpp>

namespace streamkit::crypto {

/// An RSA modulus has no fewer and no more bits; RFC 8332 wants 2048, libcrypto stops at 16384.
inline constexpr std::size_t kMinRsaBits = 2048, kMaxRsaBits = 16384;
/// A public exponent has at most 32 bits: bigger ones only serve to make verifying slow.
inline constexpr std::size_t kMaxRsaExponentSize = 4;
inline constexpr std::size_t kEd25519Size = 32;

/// The curve of an ECDSA type; nullptr for the others.
const Curve* curve_of(KeyType) noexcept;

struct ParsedKey {
  KeyType type;
  Pkey key;
};
/// Every check that PublicKey::from_blob() promises. Errc::bad_key.
Result<ParsedKey> parse_public_blob(ByteView blob);

/// The line of a .pub or -cert.pub file.
struct KeyLine {
  std::string_view type;  ///< as declared; a part of the line
  Bytes blob;
};
/// Takes it apart, whatever the blob is. Errc::bad_key.
Result<KeyLine> read_key_line(std::string_view line, std::size_t max);

/// The type of a key, public or private; Errc::bad_key for one that SSH keys are not made of.
Result<KeyType> type_of(const EVP_PKEY* key);
/// The blob of the public half.
Result<Bytes> write_public_blob(const EVP_PKEY* key);

/// Refuses sizes before any arithmetic. `modulus` and `exponent` are minimal magnitudes.
Result<void> check_rsa_numbers(ByteView modulus, ByteView exponent);

/// One of a key's numbers (OSSL_PKEY_PARAM_...) as a big-endian magnitude.
Result<SecretBytes> number_of(const EVP_PKEY* key, const char* param);

}  // namespace streamkit::crypto
