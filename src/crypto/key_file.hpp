// Private keys as text. No file is opened here.
#pragma once

#include "evp.hpp"

#include <streamkit/crypto/key.hpp>

namespace streamkit::crypto {

/// A key file is no longer than this.
inline constexpr std::size_t kMaxKeyText = 64 * 1024;
/// An encrypted openssh-key-v1 file costs no more than this to open.
inline constexpr std::uint32_t kMaxKeyRounds = 2048;  ///< of bcrypt's key derivation; some 20 s
inline constexpr std::size_t kMaxKeySalt = 64;        ///< bytes
/// A comment that we write is no longer than this.
inline constexpr std::size_t kMaxComment = 1024;

/// The key in openssh-key-v1, PKCS#8, PKCS#1 or SEC1 text; see PrivateKey::from_text().
Result<Pkey> read_private_key(std::string_view text, const PrivateKey::Passphrase& passphrase);
/// openssh-key-v1, unencrypted.
Result<SecretBytes> write_openssh_key(const EVP_PKEY* key, std::string_view comment);

}  // namespace streamkit::crypto
