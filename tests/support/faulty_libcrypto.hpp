// Calls into libcrypto that fail when a test says so. A test program that links to faulty_libcrypto
// has them between the library and libcrypto.
#pragma once

#include <streamkit/base/bytes.hpp>

namespace streamkit::testing::libcrypto {

/// The n-th call from now on fails, as that function fails; 0: none. Counts anew.
void fail_call(int n) noexcept;
/// Since fail_call().
int calls() noexcept;
/// The n-th signature from now on comes out with a bit changed, as by a fault in arithmetic; 0:
/// none.
void spoil_signature(int n) noexcept;
/// Is shown every private key, shared secret and derived key that comes out.
void watch_secrets(void (*seen)(ByteView)) noexcept;

}  // namespace streamkit::testing::libcrypto
