// libcrypto seen from C++: owners for its objects, its error queue as an Error, and the algorithms
// that this room uses, fetched once. Private to src/crypto, the only room that includes
// <openssl/...>.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>
#include <streamkit/crypto/digest.hpp>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>

#include <memory>
#include <string_view>

namespace streamkit::crypto {

template <auto Free>
struct Release {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Release<&EVP_CIPHER_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Release<&EVP_MAC_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release<&EVP_MD_CTX_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, Release<&EVP_KDF_CTX_free>>;
using Pkey = std::unique_ptr<EVP_PKEY, Release<&EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Release<&EVP_PKEY_CTX_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Release<&BN_clear_free>>;
using BigNumberContext = std::unique_ptr<BN_CTX, Release<&BN_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Release<&ECDSA_SIG_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Release<&OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Release<&OSSL_PARAM_free>>;
using Bio = std::unique_ptr<BIO, Release<&BIO_free_all>>;

/// Empties this thread's libcrypto error queue into one Error: "<doing>: <libcrypto's first
/// reason>".
Error evp_error(std::string_view doing, Errc code = Errc::crypto);

/// The algorithms of packet protection and hashing. A null entry is one that libcrypto's loaded
/// providers do not have. Fetched at the first use; alive until the program ends, so that a thread
/// which is still busy at exit never meets a freed one.
struct Algorithms {
  EVP_CIPHER* aes128_gcm;
  EVP_CIPHER* aes256_gcm;
  EVP_CIPHER* aes128_ctr;
  EVP_CIPHER* aes192_ctr;
  EVP_CIPHER* aes256_ctr;
  EVP_CIPHER* chacha20;
  EVP_MAC* hmac;
  EVP_MAC* poly1305;
  EVP_KDF* sshkdf;
  EVP_MD* sha1;
  EVP_MD* sha256;
  EVP_MD* sha384;
  EVP_MD* sha512;
};
const Algorithms& algorithms() noexcept;

/// libcrypto's object and name for a hash.
const EVP_MD* hash_method(Hash) noexcept;
const char* hash_name(Hash) noexcept;

/// An HMAC context that holds `key`; EVP_MAC_init with no key starts the next message.
Result<MacContext> make_hmac(Hash, ByteView key);

/// The number that `magnitude` spells, big-endian. A secret one is wiped wherever libcrypto copies
/// it.
BigNumber to_number(ByteView magnitude, bool secret = false);

inline const unsigned char* raw(ByteView v) noexcept {
  return reinterpret_cast<const unsigned char*>(v.data());
}
inline unsigned char* raw(MutableByteView v) noexcept {
  return reinterpret_cast<unsigned char*>(v.data());
}

}  // namespace streamkit::crypto
