// AES-GCM for one key and one direction, behind one interface, because there are two of it:
// libcrypto's and ipsec-mb's. What is particular to SSH packets (nonces, the length in clear, how
// many packets a key may protect) is not in here but in aes_gcm.cpp, once.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/crypto/implementation.hpp>

#include <memory>
#include <span>

namespace streamkit::crypto {

inline constexpr std::size_t kGcmNonceSize = 12, kGcmTagSize = 16;

enum class Direction { seal, open };

/// `packet` is always a whole packet: the length in clear, which is authenticated; the body; the
/// tag. After an error the body may be anything, so the caller wipes it, and the object is of no
/// more use.
class GcmCipher {
 public:
  virtual ~GcmCipher() = default;
  /// Name and version of the library.
  virtual std::string_view implementation() const noexcept = 0;
  /// The length stands in `packet`. Encrypts `first`, then `more`, which fill the body exactly.
  virtual Result<void> seal(ByteView nonce, ByteView first, std::span<const ByteView> more,
                            MutableByteView packet) = 0;
  /// Decrypts in place. Errc::mac when the tag is wrong.
  virtual Result<void> open(ByteView nonce, MutableByteView packet) = 0;
};

/// `key` has 16 or 32 bytes.
Result<std::unique_ptr<GcmCipher>> make_libcrypto_gcm(Direction direction, ByteView key);

/// Null where ipsec-mb is not built in, or does not work here.
std::unique_ptr<GcmCipher> make_ipsec_mb_gcm(ByteView key);
bool ipsec_mb_is_available() noexcept;
/// Whether this CPU has what makes it faster than libcrypto. Asks the CPU only.
bool ipsec_mb_is_fast() noexcept;
/// "ipsec-mb 1.3.0"; empty where it is not available.
std::string_view ipsec_mb_implementation() noexcept;

}  // namespace streamkit::crypto
