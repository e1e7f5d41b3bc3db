// What this test program knows of its own memory: every block that operator new and libcrypto give
// out is counted, can be refused, and is looked through for secrets when it is freed. For one
// thread at a time, but for the counting.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <cstdint>

namespace streamkit::testing::memory {

/// Bytes given out and not freed yet.
std::size_t live_bytes() noexcept;
/// Blocks asked for since the program began.
std::uint64_t allocations() noexcept;

/// The n-th block asked for from now on is refused (std::bad_alloc, or null for libcrypto), and no
/// other. 0: none.
void refuse(std::uint64_t n) noexcept;
/// Whether the block to be refused was asked for.
bool has_refused() noexcept;

/// From now on blocks are looked through for these bytes (8 to 64 of them) too; further patterns
/// than kMaxPatterns are not taken. libcrypto's own blocks are looked through as well.
inline constexpr std::size_t kMaxPatterns = 256;
void look_for(ByteView secret) noexcept;
void look_for_nothing() noexcept;
std::size_t patterns() noexcept;
/// How many blocks were freed with a secret in them.
std::size_t freed_with_secrets() noexcept;
/// How many live blocks hold the secret now; the caller's own copies among them.
std::size_t blocks_with(ByteView secret) noexcept;

/// libcrypto asks for its memory here.
bool is_under_libcrypto() noexcept;

}  // namespace streamkit::testing::memory
