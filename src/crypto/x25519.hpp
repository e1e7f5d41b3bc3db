// X25519 (RFC 7748): the arithmetic, and curve25519-sha256 (RFC 8731) made of it.
#pragma once

#include "evp.hpp"

#include <streamkit/crypto/kex_method.hpp>

namespace streamkit::crypto {

inline constexpr std::size_t kX25519Size = 32;

/// An ephemeral key pair.
class X25519Key {
 public:
  static Result<X25519Key> generate();
  /// From the scalar's 32 bytes.
  static Result<X25519Key> from_private(ByteView scalar);
  ByteView public_value() const noexcept { return public_; }
  /// The 32 bytes of the shared point. Errc::key_exchange for a wrong length and for points of
  /// small order, whose result is all zero.
  Result<SecretBytes> agree(ByteView other) const;

 private:
  static Result<X25519Key> adopt(Pkey key);
  Pkey key_;
  Bytes public_;
};

std::unique_ptr<KexMethod> make_x25519_kex();

}  // namespace streamkit::crypto
