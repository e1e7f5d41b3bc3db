// Public key blobs: ssh-rsa (RFC 4253 section 6.6), ecdsa-sha2-nistp* (RFC 5656 section 3.1),
// ssh-ed25519 (RFC 8709 section 4). One key has one blob: whatever has a second spelling is
// refused, because blobs are what keys are compared by. Certificates and security-key types are not
// read here.
#include "key_blob.hpp"

#include <streamkit/base/wire.hpp>

#include <openssl/core_names.h>

#include <algorithm>
#include <array>
#include <bit>

namespace streamkit::crypto {
namespace {

Error bad(std::string words) {
  return Error(Errc::bad_key, std::move(words));
}

unsigned at(ByteView v, std::size_t i) {
  return std::to_integer<unsigned>(v[i]);
}

/// y = p and above, sign bit aside: RFC 8032 section 5.1.3 has no such encoding, lax decoders do.
bool is_reduced_y(ByteView key) {
  if ((at(key, 31) & 0x7f) != 0x7f || at(key, 0) < 0xed) return true;
  return !std::all_of(key.begin() + 1, key.begin() + 31,
                      [](std::byte b) { return b == std::byte{0xff}; });
}

/// The points of order 1, 2, 4 and 8, sign bit aside. Under such a key signatures verify that
/// nobody made with a private key.
bool has_small_order(ByteView key) {
  using Point = std::array<unsigned char, kEd25519Size>;
  static constexpr Point kIdentity = {1};
  static constexpr Point kOrder4 = {0};
  static constexpr Point kOrder2 = {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
  static constexpr Point kOrder8 = {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
                                    0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
                                    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
                                    0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};
  static constexpr Point kOtherOrder8 = {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
                                         0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
                                         0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
                                         0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a};
  for (const Point* point : {&kIdentity, &kOrder4, &kOrder2, &kOrder8, &kOtherOrder8}) {
    bool same = (at(key, 31) & 0x7f) == (*point)[31];
    for (std::size_t i = 0; i < 31; ++i) same = same && at(key, i) == (*point)[i];
    if (same) return true;
  }
  return false;
}

Result<Pkey> parse_ed25519(wire::Reader& in) {
  const ByteView key = in.string();
  if (!in.end() || key.size() != kEd25519Size) return bad("an Ed25519 key must have 32 bytes");
  if (!is_reduced_y(key) || has_small_order(key))
    return bad("this Ed25519 key is a point that anyone can sign for");
  Pkey made(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, raw(key), key.size()));
  if (!made) return evp_error("Ed25519 key", Errc::bad_key);
  return made;
}

Result<Pkey> parse_ecdsa(wire::Reader& in, const Curve& curve) {
  const std::string_view name = in.text();
  const ByteView point = in.string();
  if (!in.end() || name != curve.ssh_name)
    return bad("an ECDSA key must name the curve of its type and end after its point");
  return ec_public(curve, point, Errc::bad_key);
}

Result<Pkey> parse_rsa(wire::Reader& in) {
  const ByteView exponent = in.mpint();
  const ByteView modulus = in.mpint();
  if (!in.end()) return bad("a malformed RSA key");
  if (auto good = check_rsa_numbers(modulus, exponent); !good) return good.error();
  const BigNumber n = to_number(modulus), e = to_number(exponent);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return evp_error("RSA key");
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return evp_error("RSA key", Errc::bad_key);
  return Pkey(made);
}

}  // namespace

const Curve* curve_of(KeyType type) noexcept {
  switch (type) {
    case KeyType::ecdsa_p256:
      return &kP256;
    case KeyType::ecdsa_p384:
      return &kP384;
    case KeyType::ecdsa_p521:
      return &kP521;
    case KeyType::ed25519:
    case KeyType::rsa:
      break;
  }
  return nullptr;
}

Result<void> check_rsa_numbers(ByteView modulus, ByteView exponent) {
  const std::size_t bits =
      modulus.empty() ? 0
                      : modulus.size() * 8 - static_cast<std::size_t>(std::countl_zero(
                                                 std::to_integer<unsigned char>(modulus[0])));
  if (bits < kMinRsaBits || bits > kMaxRsaBits)
    return bad("an RSA key must have 2048 to 16384 bits; make one with ssh-keygen -t ed25519");
  if (exponent.empty() || exponent.size() > kMaxRsaExponentSize ||
      !(at(exponent, exponent.size() - 1) & 1) || (exponent.size() == 1 && at(exponent, 0) < 3))
    return bad("an RSA exponent must be odd and from 3 to 2^32-1");
  if (!(at(modulus, modulus.size() - 1) & 1)) return bad("an RSA modulus must be odd");
  return {};
}

Result<ParsedKey> parse_public_blob(ByteView blob) {
  wire::Reader in(blob);
  const std::string_view name = in.text();
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::ecdsa_p384,
                             KeyType::ecdsa_p521, KeyType::rsa}) {
    if (!in.ok() || name != key_type_name(type)) continue;
    const Curve* curve = curve_of(type);
    Result<Pkey> key = type == KeyType::ed25519 ? parse_ed25519(in)
                       : curve                  ? parse_ecdsa(in, *curve)
                                                : parse_rsa(in);
    if (!key) return key.error();
    return ParsedKey{type, std::move(*key)};
  }
  return bad("a key of a type that is not supported; Ed25519, ECDSA and RSA are");
}

Result<KeyType> type_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return KeyType::ed25519;
  if (EVP_PKEY_is_a(key, "RSA")) return KeyType::rsa;
  if (EVP_PKEY_is_a(key, "EC")) {
    char group[64] = {};
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       nullptr) != 1)
      return evp_error("an EC key without a named curve", Errc::bad_key);
    for (const KeyType type : {KeyType::ecdsa_p256, KeyType::ecdsa_p384, KeyType::ecdsa_p521})
      if (std::string_view(group) == curve_of(type)->group) return type;
  }
  return bad(
      "a key of a type that SSH does not use here; Ed25519, ECDSA P-256/384/521 and RSA are");
}

Result<SecretBytes> number_of(const EVP_PKEY* key, const char* param) {
  BIGNUM* fetched = nullptr;
  if (EVP_PKEY_get_bn_param(key, param, &fetched) != 1)
    return evp_error("a key that lacks one of its numbers", Errc::bad_key);
  const BigNumber number(fetched);
  const int size = BN_num_bytes(number.get());
  SecretBytes out(static_cast<std::size_t>(size));
  if (BN_bn2binpad(number.get(), raw(out.span()), size) != size) return evp_error("a key's number");
  return out;
}

Result<Bytes> write_public_blob(const EVP_PKEY* key) {
  const Result<KeyType> type = type_of(key);
  if (!type) return type.error();
  Bytes out;
  wire::Writer to(out);
  to.string(key_type_name(*type));
  if (*type == KeyType::ed25519) {
    std::array<std::byte, kEd25519Size> point;
    std::size_t size = point.size();
    if (EVP_PKEY_get_raw_public_key(key, raw(MutableByteView(point)), &size) != 1 ||
        size != point.size())
      return evp_error("Ed25519 key");
    to.string(ByteView(point));
  } else if (const Curve* curve = curve_of(*type)) {
    const Result<Bytes> point = ec_point(key, *curve);
    if (!point) return point.error();
    to.string(curve->ssh_name).string(ByteView(*point));
  } else {
    const Result<SecretBytes> e = number_of(key, OSSL_PKEY_PARAM_RSA_E);
    const Result<SecretBytes> n = number_of(key, OSSL_PKEY_PARAM_RSA_N);
    if (!e) return e.error();
    if (!n) return n.error();
    to.mpint(e->view()).mpint(n->view());
  }
  return out;
}

}  // namespace streamkit::crypto
