// SHA-2, HMAC and the key derivation of RFC 4253 section 7.2.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>

#include <initializer_list>
#include <string>

namespace streamkit::crypto {

enum class Hash { sha1, sha256, sha384, sha512 };  // sha1: hashed known_hosts only, never in SSH itself

std::size_t hash_size(Hash) noexcept;
/// The digest of the pieces, one after the other.
Result<Bytes> digest(Hash, std::initializer_list<ByteView> pieces);
Result<Bytes> hmac(Hash, ByteView key, ByteView data);
/// Equal length and content, in time that depends on the length alone.
bool equal_constant_time(ByteView a, ByteView b) noexcept;

/// RFC 4253 section 7.2: `size` bytes for letter 'A'..'F'. `shared_secret` is K as it stands on the
/// wire, with its length (mpint or string).
Result<SecretBytes> derive_key(Hash, ByteView shared_secret, ByteView exchange_hash, ByteView session_id,
                               char letter, std::size_t size);

}  // namespace streamkit::crypto
