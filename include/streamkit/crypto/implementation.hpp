// Who does the arithmetic: libcrypto does all of it; AES-GCM may come from a second library.
#pragma once

#include <string_view>

namespace streamkit::crypto {

/// Who computes AES-GCM. The bytes are the same, so the two sides of a connection may differ.
enum class AesGcm {
  automatic,  ///< ipsec_mb where it is built in and this CPU has VAES and AVX-512, else libcrypto
  libcrypto,
  ipsec_mb,   ///< Intel's Multi-Buffer Crypto for IPsec Library, where is_available() says so
};

/// Whether make_sealer() and make_opener() take it here. Always true but for ipsec_mb, which has to
/// be built in and to have passed its own test on this CPU. That test takes some 5 ms, once a process,
/// when ipsec_mb is first asked about or used. From any thread.
bool is_available(AesGcm) noexcept;

/// Name and version of what computes AES-GCM when that is asked for, such as "ipsec-mb 1.3.0" or
/// "OpenSSL 3.0.17"; empty when it is not available. Lives as long as the process. From any thread.
std::string_view implementation_of(AesGcm) noexcept;

/// Name and version of the libcrypto that this process runs with, such as "OpenSSL 3.0.17".
std::string_view libcrypto_implementation() noexcept;

}  // namespace streamkit::crypto
