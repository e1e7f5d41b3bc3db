// Packet protection for one direction (RFC 4253 section 6; AEAD framing as OpenSSH names it).
//
// A Sealer and an Opener know how the bytes of a packet are protected and nothing about what is in
// it. A packet here is: uint32 packet_length, then packet_length bytes (padding_length, payload,
// padding), then tag_size bytes.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>
#include <streamkit/crypto/implementation.hpp>

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace streamkit::crypto {

/// What negotiation and packet layout need to know of a cipher (and, where it needs one, its MAC).
struct CipherInfo {
  std::string_view name;      ///< e.g. "aes128-gcm@openssh.com"
  std::size_t key_size = 0;   ///< bytes
  std::size_t iv_size = 0;    ///< bytes
  std::size_t block_size = 8; ///< padding alignment
  bool aead = false;          ///< no MAC is negotiated
};
struct MacInfo {
  std::string_view name;      ///< e.g. "hmac-sha2-256-etm@openssh.com"
  std::size_t key_size = 0;
  std::size_t tag_size = 0;
  bool etm = false;           ///< MAC over the ciphertext; the length stays in clear
};
/// nullptr for a name that this build does not know.
const CipherInfo* find_cipher(std::string_view name) noexcept;
const MacInfo* find_mac(std::string_view name) noexcept;
/// Every supported name, in our order of preference.
const std::vector<std::string_view>& cipher_names();
const std::vector<std::string_view>& mac_names();

struct DirectionKeys {
  SecretBytes key, iv, mac_key;
};

/// Protects packets of one direction. One context for the life of the keys; move it, do not share it.
class Sealer {
 public:
  virtual ~Sealer() = default;
  /// The tag's bytes behind the packet.
  virtual std::size_t tag_size() const noexcept = 0;
  /// Multiple that the padded part must have.
  virtual std::size_t block_size() const noexcept = 0;
  /// Whether the 4 length bytes count towards that multiple (cipher none and encrypt-and-MAC).
  virtual bool aligns_length() const noexcept = 0;
  /// Name and version of the library that computes it, such as "OpenSSL 3.0.17"; empty without a cipher.
  virtual std::string_view implementation() const noexcept { return libcrypto_implementation(); }
  /// `pieces` laid end to end are the plaintext packet, beginning with its 4 length bytes (which are
  /// whole in the first piece). Writes ciphertext and tag to `out`, which has exactly their size and
  /// does not overlap the pieces, save that a piece may lie exactly at its own place in `out`.
  /// `sequence` is the packet's sequence number. After an error the Sealer is of no more use.
  virtual Result<void> seal(std::uint32_t sequence, std::span<const ByteView> pieces, MutableByteView out) = 0;
};

/// Opens packets of one direction.
class Opener {
 public:
  virtual ~Opener() = default;
  virtual std::size_t tag_size() const noexcept = 0;
  virtual std::size_t block_size() const noexcept = 0;
  virtual bool aligns_length() const noexcept = 0;
  virtual std::string_view implementation() const noexcept { return libcrypto_implementation(); }
  /// Bytes of a packet that must be there before its length can be read.
  virtual std::size_t length_prefix() const noexcept = 0;
  /// The packet_length of the packet that starts at `packet`, of which length_prefix() bytes are
  /// there. Not authenticated: believe it for bounds only. Called once a packet, before open(); may
  /// decrypt the prefix in place.
  virtual Result<std::uint32_t> read_length(std::uint32_t sequence, MutableByteView packet) = 0;
  /// Verifies the whole packet (length, padded part and tag) and decrypts it in place. Errc::mac when
  /// the tag is wrong, with nothing decrypted handed on; Errc::crypto when the library fails. After an
  /// error the Opener is of no more use. On success packet[4, 4 + packet_length) is plaintext.
  virtual Result<void> open(std::uint32_t sequence, MutableByteView packet) = 0;
};

/// `mac` is nullptr for an AEAD cipher. The keys must have the sizes that the infos state. `aes_gcm`
/// matters for AES-GCM only; Errc::usage when it is not available here.
Result<std::unique_ptr<Sealer>> make_sealer(const CipherInfo& cipher, const MacInfo* mac, DirectionKeys keys,
                                            AesGcm aes_gcm = AesGcm::automatic);
Result<std::unique_ptr<Opener>> make_opener(const CipherInfo& cipher, const MacInfo* mac, DirectionKeys keys,
                                            AesGcm aes_gcm = AesGcm::automatic);
/// Before the first NEWKEYS: no cipher, no MAC.
std::unique_ptr<Sealer> make_plain_sealer();
std::unique_ptr<Opener> make_plain_opener();

}  // namespace streamkit::crypto
