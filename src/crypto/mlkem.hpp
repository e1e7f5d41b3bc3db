// mlkem768x25519-sha256: ML-KEM-768 (FIPS 203) and X25519 together.
#pragma once

#include <streamkit/crypto/kex_method.hpp>

namespace streamkit::crypto {

/// Whether the libcrypto that this program runs with has ML-KEM-768 (OpenSSL 3.5, or a provider).
bool has_mlkem768() noexcept;
std::unique_ptr<KexMethod> make_mlkem768_x25519_kex();

}  // namespace streamkit::crypto
