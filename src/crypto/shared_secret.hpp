// How a shared secret K enters the exchange hash: as an mpint (RFC 4253 section 8) or, for the
// hybrid methods, as a string. Both hold the secret in wiped memory only.
#pragma once

#include <streamkit/base/secret.hpp>
#include <streamkit/base/wire.hpp>

namespace streamkit::crypto {

inline SecretBytes secret_mpint(ByteView magnitude) {
  Bytes out;
  out.reserve(4 + 1 + magnitude.size());  // never moved while it is written: no copy stays behind
  wire::Writer(out).mpint(magnitude);
  return SecretBytes(std::move(out));
}

inline SecretBytes secret_string(ByteView bytes) {
  Bytes out;
  out.reserve(4 + bytes.size());
  wire::Writer(out).string(bytes);
  return SecretBytes(std::move(out));
}

}  // namespace streamkit::crypto
