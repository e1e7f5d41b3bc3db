// libcrypto's error queue, and the algorithms fetched once. What each algorithm is used for stands
// in the file that uses it.
#include "evp.hpp"

#include <streamkit/crypto/implementation.hpp>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <string>

namespace streamkit::crypto {

Error evp_error(std::string_view doing, Errc code) {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  std::string words(doing);
  if (first != 0) {
    const char* reason = ERR_reason_error_string(first);
    words += ": ";
    words += reason ? reason : "libcrypto error " + std::to_string(first);
  }
  return Error(code, std::move(words));
}

const Algorithms& algorithms() noexcept {
  static const Algorithms fetched = [] {
    const Algorithms all{
        .aes128_gcm = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr),
        .aes256_gcm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
        .aes128_ctr = EVP_CIPHER_fetch(nullptr, "AES-128-CTR", nullptr),
        .aes192_ctr = EVP_CIPHER_fetch(nullptr, "AES-192-CTR", nullptr),
        .aes256_ctr = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr),
        .chacha20 = EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr),
        .hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr),
        .poly1305 = EVP_MAC_fetch(nullptr, "POLY1305", nullptr),
        .sshkdf = EVP_KDF_fetch(nullptr, "SSHKDF", nullptr),
        .sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr),
        .sha256 = EVP_MD_fetch(nullptr, "SHA2-256", nullptr),
        .sha384 = EVP_MD_fetch(nullptr, "SHA2-384", nullptr),
        .sha512 = EVP_MD_fetch(nullptr, "SHA2-512", nullptr),
    };
    ERR_clear_error();  // what is missing shows as null, not as a stale complaint
    return all;
  }();
  return fetched;
}

std::string_view libcrypto_implementation() noexcept {
  static const std::string text = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  return text;
}

const EVP_MD* hash_method(Hash hash) noexcept {
  const Algorithms& known = algorithms();
  switch (hash) {
    case Hash::sha1:
      return known.sha1;
    case Hash::sha256:
      return known.sha256;
    case Hash::sha384:
      return known.sha384;
    case Hash::sha512:
      return known.sha512;
  }
  return nullptr;
}

const char* hash_name(Hash hash) noexcept {
  switch (hash) {
    case Hash::sha1:
      return "SHA1";
    case Hash::sha256:
      return "SHA2-256";
    case Hash::sha384:
      return "SHA2-384";
    case Hash::sha512:
      return "SHA2-512";
  }
  return "";
}

Result<MacContext> make_hmac(Hash hash, ByteView key) {
  MacContext context(EVP_MAC_CTX_new(algorithms().hmac));
  if (!context) return evp_error("HMAC context");
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(
                                   OSSL_MAC_PARAM_DIGEST, const_cast<char*>(hash_name(hash)), 0),
                               OSSL_PARAM_construct_end()};
  // libcrypto takes a null key for "keep the one you have", so an empty key still needs an address.
  static constexpr unsigned char kNothing = 0;
  if (EVP_MAC_init(context.get(), key.empty() ? &kNothing : raw(key), key.size(), params) != 1)
    return evp_error("HMAC key");
  return context;
}

BigNumber to_number(ByteView magnitude, bool secret) {
  BigNumber number(secret ? BN_secure_new() : BN_new());
  if (!number || !BN_bin2bn(raw(magnitude), static_cast<int>(magnitude.size()), number.get()))
    return nullptr;
  return number;
}

}  // namespace streamkit::crypto
