// Signatures by libcrypto: Ed25519 (RFC 8709 section 6), ECDSA (RFC 5656 section 3.1.2) and RSA
// PKCS#1 v1.5 with SHA-2 (RFC 8332). libcrypto chooses ECDSA's nonces; nothing here does arithmetic
// of its own. There is no SHA-1.
#include "signature.hpp"

#include "key_blob.hpp"

#include <streamkit/base/wire.hpp>

#include <openssl/err.h>

#include <algorithm>

namespace streamkit::crypto {
namespace {

struct Algorithm {
  std::string_view name;
  KeyType type;
  const char* hash;  ///< nullptr where the signature hashes for itself
};
constexpr Algorithm kAlgorithms[] = {
    {"ssh-ed25519", KeyType::ed25519, nullptr},
    {"ecdsa-sha2-nistp256", KeyType::ecdsa_p256, "SHA2-256"},
    {"ecdsa-sha2-nistp384", KeyType::ecdsa_p384, "SHA2-384"},
    {"ecdsa-sha2-nistp521", KeyType::ecdsa_p521, "SHA2-512"},
    {"rsa-sha2-512", KeyType::rsa, "SHA2-512"},
    {"rsa-sha2-256", KeyType::rsa, "SHA2-256"},
};

constexpr std::size_t kEd25519SignatureSize = 64;

const Algorithm* find(KeyType type, std::string_view name) noexcept {
  for (const Algorithm& a : kAlgorithms)
    if (a.type == type && a.name == name) return &a;
  return nullptr;
}

Error bad(std::string words) {
  return Error(Errc::bad_key, std::move(words));
}

/// mpint r, mpint s as libcrypto reads them (DER). Each in 1..2^(8 field size)-1 here; libcrypto
/// holds them against the group's order.
Result<Bytes> ecdsa_to_der(ByteView blob, std::size_t field_size) {
  wire::Reader in(blob);
  const ByteView r = in.mpint();
  const ByteView s = in.mpint();
  if (!in.end() || r.empty() || s.empty() || r.size() > field_size || s.size() > field_size)
    return bad("a malformed ECDSA signature");
  BigNumber r_number = to_number(r), s_number = to_number(s);
  const EcdsaSignature pair(ECDSA_SIG_new());
  if (!r_number || !s_number || !pair) return evp_error("ECDSA signature");
  if (ECDSA_SIG_set0(pair.get(), r_number.get(), s_number.get()) != 1)
    return evp_error("ECDSA signature");
  r_number.release();
  s_number.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return evp_error("ECDSA signature");
  Bytes out(reinterpret_cast<std::byte*>(der), reinterpret_cast<std::byte*>(der) + size);
  OPENSSL_free(der);
  return out;
}

Result<Bytes> ecdsa_from_der(ByteView der) {
  const unsigned char* at = raw(der);
  const EcdsaSignature pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!pair) return evp_error("ECDSA signature");
  Bytes out;
  wire::Writer to(out);
  for (const BIGNUM* number : {ECDSA_SIG_get0_r(pair.get()), ECDSA_SIG_get0_s(pair.get())}) {
    const int size = BN_num_bytes(number);
    Bytes magnitude(static_cast<std::size_t>(size));
    if (BN_bn2binpad(number, raw(MutableByteView(magnitude)), size) != size)
      return evp_error("ECDSA signature");
    to.mpint(magnitude);
  }
  return out;
}

/// RFC 8332 section 3 fixes the length, but signers are known that leave out leading zero bytes.
Result<Bytes> pad_rsa(ByteView bytes, std::size_t modulus_size) {
  if (bytes.empty() || bytes.size() > modulus_size)
    return bad("an RSA signature of a wrong length");
  Bytes out(modulus_size - bytes.size());
  append(out, bytes);
  return out;
}

/// The signature's bytes as libcrypto wants them for this kind of key.
Result<Bytes> to_libcrypto(KeyType type, const EVP_PKEY* key, ByteView bytes) {
  if (const Curve* curve = curve_of(type)) return ecdsa_to_der(bytes, curve->field_size);
  if (type == KeyType::rsa) return pad_rsa(bytes, static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  if (bytes.size() != kEd25519SignatureSize) return bad("an Ed25519 signature must have 64 bytes");
  return to_bytes(bytes);
}

}  // namespace

const std::vector<std::string_view>& signature_algorithms() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> out;
    for (const Algorithm& a : kAlgorithms) out.push_back(a.name);
    return out;
  }();
  return all;
}

const std::vector<std::string_view>& signature_algorithms(KeyType type) noexcept {
  static const std::vector<std::vector<std::string_view>> by_type = [] {
    std::vector<std::vector<std::string_view>> out(static_cast<std::size_t>(KeyType::rsa) + 1);
    for (const Algorithm& a : kAlgorithms) out[static_cast<std::size_t>(a.type)].push_back(a.name);
    return out;
  }();
  return by_type[static_cast<std::size_t>(type)];
}

Result<void> verify_signature(KeyType type, EVP_PKEY* key, std::string_view algorithm,
                              ByteView data, ByteView signature) {
  const Algorithm* chosen = find(type, algorithm);
  if (!chosen) return bad("a signature algorithm that this type of key does not have");
  wire::Reader in(signature);
  const std::string_view name = in.text();
  const ByteView bytes = in.string();
  if (!in.end() || name != algorithm) return bad("a signature that is not of the agreed algorithm");
  const Result<Bytes> form = to_libcrypto(type, key, bytes);
  if (!form) return form.error();
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit_ex(context.get(), nullptr, chosen->hash, nullptr, nullptr,
                                          key, nullptr) != 1)
    return evp_error("signature verification");
  if (EVP_DigestVerify(context.get(), raw(ByteView(*form)), form->size(), raw(data), data.size()) !=
      1) {
    ERR_clear_error();
    return bad("the signature does not verify");
  }
  return {};
}

Result<Bytes> make_signature(KeyType type, EVP_PKEY* key, std::string_view algorithm,
                             ByteView data) {
  const Algorithm* chosen = find(type, algorithm);
  if (!chosen)
    return Error(Errc::usage, "sign: this type of key does not have that signature algorithm");
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context ||
      EVP_DigestSignInit_ex(context.get(), nullptr, chosen->hash, nullptr, nullptr, key, nullptr) !=
          1 ||
      EVP_DigestSign(context.get(), nullptr, &size, raw(data), data.size()) != 1)
    return evp_error("signing");
  Bytes bytes(size);
  if (EVP_DigestSign(context.get(), raw(MutableByteView(bytes)), &size, raw(data), data.size()) !=
      1)
    return evp_error("signing");
  bytes.resize(size);
  if (curve_of(type)) {
    Result<Bytes> pair = ecdsa_from_der(bytes);
    if (!pair) return pair.error();
    bytes = std::move(*pair);
  }
  Bytes out;
  wire::Writer(out).string(algorithm).string(ByteView(bytes));
  return out;
}

}  // namespace streamkit::crypto
