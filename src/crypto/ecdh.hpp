// ecdh-sha2-nistp256, -384 and -521 (RFC 5656 section 4).
#pragma once

#include "evp.hpp"

#include <streamkit/crypto/kex_method.hpp>

namespace streamkit::crypto {

/// A NIST prime curve as SSH and libcrypto name it.
struct Curve {
  std::string_view ssh_name;  ///< "nistp256"
  const char* group;          ///< libcrypto's "prime256v1"
  std::size_t field_size;     ///< bytes of a coordinate
  Hash hash;                  ///< RFC 5656 section 6.2.1
  /// An uncompressed point: 0x04, x, y.
  constexpr std::size_t point_size() const noexcept { return 1 + 2 * field_size; }
};
inline constexpr Curve kP256 = {"nistp256", "prime256v1", 32, Hash::sha256};
inline constexpr Curve kP384 = {"nistp384", "secp384r1", 48, Hash::sha384};
inline constexpr Curve kP521 = {"nistp521", "secp521r1", 66, Hash::sha512};

/// The public point of an EC key, uncompressed.
Result<Bytes> ec_point(const EVP_PKEY* key, const Curve& curve);
/// A public key from an uncompressed point of the curve. libcrypto alone would also take compressed
/// and hybrid forms, so one key would have several encodings.
Result<Pkey> ec_public(const Curve& curve, ByteView point, Errc error);

/// `curve` lives as long as the method: one of the constants above.
std::unique_ptr<KexMethod> make_ecdh_kex(const Curve& curve);

}  // namespace streamkit::crypto
