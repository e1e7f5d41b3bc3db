// Encrypted openssh-key-v1: the one use of libssh in the library, and an optional part of it. Its
// key derivation (bcrypt_pbkdf) is not in libcrypto, and we write no cryptographic primitive.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>

#include <string>

namespace streamkit::crypto {

/// Whether libssh was there when this was built.
bool can_decrypt_openssh_keys() noexcept;
/// The key of `block`, an openssh-key-v1 block that has been found fit for libssh (see
/// key_file.cpp), in a text form without encryption. Errc::bad_key for a wrong passphrase. Never
/// asks anybody.
Result<SecretBytes> decrypt_openssh_key(std::string_view block, const SecretBytes& passphrase);

}  // namespace streamkit::crypto
