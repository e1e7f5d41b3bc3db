// SHA-2, HMAC and the key derivation of RFC 4253 section 7.2, by libcrypto. SHA-1 is here for the
// hashed names of known_hosts and for nothing else.
#include "evp.hpp"

#include <streamkit/crypto/digest.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

namespace streamkit::crypto {

std::size_t hash_size(Hash hash) noexcept {
  switch (hash) {
    case Hash::sha1:
      return 20;
    case Hash::sha256:
      return 32;
    case Hash::sha384:
      return 48;
    case Hash::sha512:
      return 64;
  }
  return 0;
}

Result<Bytes> digest(Hash hash, std::initializer_list<ByteView> pieces) {
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex2(context.get(), hash_method(hash), nullptr) != 1)
    return evp_error("hash");
  for (const ByteView piece : pieces)
    if (EVP_DigestUpdate(context.get(), piece.data(), piece.size()) != 1) return evp_error("hash");
  Bytes out(hash_size(hash));
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context.get(), raw(MutableByteView(out)), &size) != 1 ||
      size != out.size())
    return evp_error("hash");
  return out;
}

Result<Bytes> hmac(Hash hash, ByteView key, ByteView data) {
  const Result<MacContext> context = make_hmac(hash, key);
  if (!context) return context.error();
  Bytes out(hash_size(hash));
  std::size_t size = 0;
  if (EVP_MAC_update(context->get(), raw(data), data.size()) != 1 ||
      EVP_MAC_final(context->get(), raw(MutableByteView(out)), &size, out.size()) != 1 ||
      size != out.size())
    return evp_error("HMAC");
  return out;
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

Result<SecretBytes> derive_key(Hash hash, ByteView shared_secret, ByteView exchange_hash,
                               ByteView session_id, char letter, std::size_t size) {
  if (letter < 'A' || letter > 'F')
    return Error(Errc::usage, "derive_key: the letter is one of A to F");
  SecretBytes out(size);
  if (size == 0) return out;
  const KdfContext context(EVP_KDF_CTX_new(algorithms().sshkdf));
  if (!context) return evp_error("key derivation");
  const auto octets = [](const char* name, ByteView v) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(v.data()), v.size());
  };
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(hash_name(hash)),
                                       0),
      octets(OSSL_KDF_PARAM_KEY, shared_secret),
      octets(OSSL_KDF_PARAM_SSHKDF_XCGHASH, exchange_hash),
      octets(OSSL_KDF_PARAM_SSHKDF_SESSION_ID, session_id),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_SSHKDF_TYPE, &letter, 1),
      OSSL_PARAM_construct_end()};
  if (EVP_KDF_derive(context.get(), raw(out.span()), size, params) != 1)
    return evp_error("key derivation");
  return out;
}

}  // namespace streamkit::crypto
