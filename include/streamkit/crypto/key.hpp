// Keys: public ones as they travel (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709), private ones
// that sign, and their text forms. No file is opened here: text in, text out.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::crypto {

enum class KeyType { ed25519, ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa };

/// "ssh-ed25519", "ecdsa-sha2-nistp256", ..., "ssh-rsa": the name in the key blob.
std::string_view key_type_name(KeyType) noexcept;
/// Signature algorithms a key of this type can make and verify, best first. RSA: rsa-sha2-512 and
/// rsa-sha2-256, never SHA-1.
const std::vector<std::string_view>& signature_algorithms(KeyType) noexcept;
/// All of them, in our order of preference for host keys and for server-sig-algs.
const std::vector<std::string_view>& signature_algorithms();

/// A public key: cheap to copy, immutable, compared by its blob.
class PublicKey {
 public:
  PublicKey() = default;  ///< no key; is_empty()
  /// Strict: known type, exact lengths, nothing behind, point on the curve, no small-order Ed25519 key,
  /// RSA of 2048..16384 bits with an odd exponent of 3..2^32-1 (sizes refused before any arithmetic).
  static Result<PublicKey> from_blob(ByteView blob);
  /// "ssh-ed25519 AAAA... comment", as in a .pub file. The declared type must be the blob's.
  static Result<PublicKey> from_text(std::string_view line);

  bool is_empty() const noexcept { return !impl_; }
  KeyType type() const noexcept;
  ByteView blob() const noexcept;  ///< valid as long as any copy of this key
  /// "SHA256:" and unpadded base64, as ssh-keygen -l prints it. Empty for no key.
  std::string fingerprint() const;
  /// "ssh-ed25519 AAAA..."
  std::string text() const;
  /// `signature` is the blob of RFC 4253 section 6.6 (string name, string bytes). Its name must be
  /// `algorithm` and one that this key's type allows. Errc::bad_key when it does not verify.
  Result<void> verify(std::string_view algorithm, ByteView data, ByteView signature) const;
  friend bool operator==(const PublicKey& a, const PublicKey& b) noexcept;

 private:
  friend class PrivateKey;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// A private key: cheap to copy (shared, immutable), wiped with its last copy.
class PrivateKey {
 public:
  PrivateKey() = default;  ///< no key; is_empty()
  static Result<PrivateKey> generate(KeyType type = KeyType::ed25519, unsigned rsa_bits = 3072);
  /// Gives the passphrase of an encrypted file; called at most once, and only when it can help.
  using Passphrase = std::function<Result<SecretBytes>()>;
  /// Reads openssh-key-v1, PKCS#8, PKCS#1 and SEC1 PEM text of at most 64 KiB. An encrypted one
  /// without `passphrase` is Errc::key_encrypted, a wrong passphrase Errc::bad_key; the terminal is
  /// never asked. Encrypted openssh-key-v1 needs a build with libssh (STREAMKIT_LIBSSH), and is
  /// read for Ed25519 and ECDSA keys under AES-CTR or AES-CBC with at most 2048 rounds.
  static Result<PrivateKey> from_text(std::string_view text, const Passphrase& passphrase = {});
  /// openssh-key-v1, unencrypted.
  Result<SecretBytes> to_text(std::string_view comment = {}) const;

  bool is_empty() const noexcept { return !impl_; }
  const PublicKey& public_key() const noexcept;
  /// A signature blob (string algorithm, string bytes), verified by ourselves before it is given out.
  Result<Bytes> sign(std::string_view algorithm, ByteView data) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace streamkit::crypto
