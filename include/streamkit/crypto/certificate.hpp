// OpenSSH certificates (draft-miller-ssh-cert, OpenSSH's PROTOCOL.certkeys): a key, and a certificate
// authority's word about whose it is. Parsed and verified here; which authority is believed is decided
// elsewhere, and what time it is is an argument.
#pragma once

#include <streamkit/crypto/key.hpp>

#include <cstdint>
#include <optional>

namespace streamkit::crypto {

enum class CertificateType : std::uint32_t { user = 1, host = 2 };

inline constexpr std::size_t kMaxCertificateSize = 64 * 1024;    ///< bytes of the blob
inline constexpr std::size_t kMaxCertificatePrincipals = 256;
inline constexpr std::size_t kMaxCertificateOptions = 256;       ///< critical ones, and extensions

/// The name under which a signature algorithm is used with a certificate: "ssh-ed25519" becomes
/// "ssh-ed25519-cert-v01@openssh.com". The signature itself bears the plain name.
std::string certificate_algorithm(std::string_view algorithm);
/// The other way round; a name that is not a certificate's comes back as it is.
std::string_view plain_algorithm(std::string_view name) noexcept;
bool is_certificate_algorithm(std::string_view name) noexcept;
/// All of them, in the order of signature_algorithms().
const std::vector<std::string_view>& certificate_algorithms();

/// A certificate whose signature was verified: cheap to copy, immutable, compared by its blob.
class Certificate {
 public:
  struct Option {
    std::string name;
    Bytes data;  ///< empty for one that is just there
    /// The one string that `data` consists of, as most options have it; nullopt for anything else.
    /// Valid as long as the option is.
    std::optional<std::string_view> text() const;
  };

  /// Strict: every field there, nothing behind, the limits above, options in order and each once, a key
  /// and a signature key that PublicKey takes, a signature by that key with an algorithm of its type
  /// (SHA-2 only). A signature key that is itself a certificate is refused unread. Errc::bad_key.
  static Result<Certificate> from_blob(ByteView blob);
  /// "ssh-ed25519-cert-v01@openssh.com AAAA... comment", as in a -cert.pub file.
  static Result<Certificate> from_text(std::string_view line);

  ByteView blob() const noexcept;  ///< valid as long as any copy, and so is all that follows
  /// "ssh-ed25519-cert-v01@openssh.com AAAA..."
  std::string text() const;
  const PublicKey& key() const noexcept;            ///< that is certified
  const PublicKey& signature_key() const noexcept;  ///< of the authority
  CertificateType type() const noexcept;
  std::uint64_t serial() const noexcept;
  const std::string& key_id() const noexcept;       ///< any bytes but NUL: escape it
  /// Users or hosts (these may be patterns with `*` and `?`) that it is for. None: for nobody.
  const std::vector<std::string>& principals() const noexcept;
  std::uint64_t valid_after() const noexcept;       ///< seconds since 1970, inclusive
  std::uint64_t valid_before() const noexcept;      ///< exclusive
  const std::vector<Option>& critical_options() const noexcept;
  const std::vector<Option>& extensions() const noexcept;
  const Option* critical_option(std::string_view name) const noexcept;  ///< nullptr: it is not there
  bool has_extension(std::string_view name) const noexcept;

  /// Whether it is about that key.
  bool fits(const PublicKey& key) const noexcept { return key == this->key(); }
  /// Whether it is of that type, valid at `now` (seconds since 1970) and for that principal, and has no
  /// critical option that is unknown: a host's has none, a user's "force-command" and "source-address",
  /// which the caller has to enforce. ("verify-required" asks for a hardware key, which `key()` never is.)
  /// Errc::auth_denied with a sentence that begins with description(). Says nothing about the authority.
  Result<void> check(std::uint64_t now, CertificateType type, std::string_view principal) const;
  /// "the user certificate 'KEY ID' (serial 7, signed by SHA256:...)", safe to print.
  std::string description() const;

  friend bool operator==(const Certificate& a, const Certificate& b) noexcept;

 private:
  struct Impl;
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace streamkit::crypto
