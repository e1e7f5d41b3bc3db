// Whom do we trust? Host keys a client knows, keys a server lets in, the key we are ourselves.
// Readers of the OpenSSH file formats; strict, because a line misread is a door left open.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/crypto/certificate.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit {

/// Problems that a file's reader lists; what comes after them is counted in one last sentence.
inline constexpr std::size_t kMaxTrustProblems = 100;

/// A known_hosts file: which key a host showed before.
class KnownHosts {
 public:
  enum class Verdict { known, unknown, changed, revoked };
  struct Answer {
    Verdict verdict = Verdict::unknown;
    std::size_t line = 0;                     ///< of the entry that decided it; 0: none
    std::vector<crypto::PublicKey> expected;  ///< for `changed`: the keys that are known for the host
  };
  /// Patterns, negation, hashed names, [host]:port, @revoked, @cert-authority. Lines that do not parse
  /// are skipped and reported in problems(). A skipped line never makes a key trusted, nor its host a
  /// new one: a host that such a line names is `changed` (with nothing in `expected`) unless another
  /// line knows the key. What cannot be read of a @revoked line counts as "all".
  static KnownHosts parse(std::string_view text);
  /// `host` as it was asked for, in any case of letters; port 22 (and 0: no port) is looked up plainly,
  /// others as [host]:port only. A key of a type that has no entry while another type has one is
  /// `changed`, not `unknown`. @revoked wins over everything. An empty host or key is `changed`.
  Answer check(std::string_view host, std::uint16_t port, const crypto::PublicKey& key) const;
  /// What a @cert-authority line says of who signed a certificate of the host: `known`, `unknown` or
  /// `revoked` (a @revoked line has it, which wins). As certificates are for hosts and not for ports, a
  /// line counts that names the host with or without its port, and none that excludes either.
  Answer check_authority(std::string_view host, std::uint16_t port, const crypto::PublicKey& authority) const;
  /// Whether a @cert-authority line, readable or not, names the host: a key that is not known is no first
  /// contact then.
  bool has_authority(std::string_view host, std::uint16_t port) const;
  /// Sentences that begin with "line N: ", safe to print; at most kMaxTrustProblems and one.
  const std::vector<std::string>& problems() const noexcept { return problems_; }
  /// The line to add for a host, without newline. Empty when that cannot be: no key, or a host with
  /// characters that would mean something else in the file (blanks, commas, `*`, a leading `@`).
  static std::string line(std::string_view host, std::uint16_t port, const crypto::PublicKey& key);

 private:
  struct Entry {
    std::size_t line = 0;
    std::string patterns;   // lower case; empty: hashed
    Bytes salt, hash;       // of a hashed name
    crypto::PublicKey key;  // empty: there is one, but it could not be read
    bool revoked = false, authority = false;
  };
  void read_line(std::size_t number, std::string_view text);
  static Result<bool> names(const Entry& entry, std::string_view host);
  static Result<bool> covers(const Entry& entry, std::string_view host, std::uint16_t port);
  std::vector<Entry> entries_;
  std::vector<std::string> problems_;
};

/// Of one option of an authorized_keys line: patterns in a list, or times that it stands there.
inline constexpr std::size_t kMaxKeyPatterns = 256;

/// An authorized_keys file: who may come in, and what for (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
class AuthorizedKeys {
 public:
  /// What permitopen and permitlisten name.
  struct Place {
    std::string host;        ///< "*": any
    std::uint16_t port = 0;  ///< 0: any
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Entry {
    std::size_t line = 0;
    crypto::PublicKey key;
    // ---- options that decide who comes in
    /// name="PATTERN,...": the peer names this key may claim, with `*`, `?` and a leading `!`
    /// for names it may not. Empty: any.
    std::vector<std::string> names;
    /// cert-authority: not somebody's key, but one whose certificates are believed. What else the line
    /// says is about everybody who comes with one.
    bool is_authority = false;
    /// principals="NAME,...": a certificate has to have one of them. Empty: any.
    std::vector<std::string> principals;
    /// from="PATTERN,...": numeric addresses and networks ("10.0.0.0/8"), also with `*`, `?` and a
    /// leading `!`. Empty: any.
    std::vector<std::string> sources;
    /// expiry-time="YYYYMMDD[HHMM[SS]][Z]", in local time without Z: the last second (since 1970) at
    /// which the key is let in.
    std::uint64_t expires = ~std::uint64_t(0);
    /// max-links="N": links of one key at the same time. 0: any number.
    std::size_t max_links = 0;
    // ---- options that decide what they may do here
    /// no-port-forwarding and restrict take it, port-forwarding gives it back: direct-tcpip,
    /// direct-streamlocal, tcpip-forward, streamlocal-forward.
    bool port_forwarding = true;
    /// permitopen="HOST:PORT", each an option of its own: the only places for direct-tcpip, and then
    /// direct-streamlocal has none. Hosts are compared literally.
    std::vector<Place> permit_open;
    /// permitlisten="[HOST:]PORT": the same for tcpip-forward and streamlocal-forward. Hosts may be
    /// patterns.
    std::vector<Place> permit_listen;
    /// command="SERVICE": the one service that may be opened, and no tcpip-forward or
    /// streamlocal-forward. Empty: any.
    std::string command;
    /// services="PATTERN,...": the services that may be opened. Empty: any.
    std::vector<std::string> services;
    /// max-channels="N": channels of a link that the other side has open at once. 0: as many as the
    /// link takes.
    std::size_t max_channels = 0;
    std::string comment;
  };
  /// Besides these options it knows pty, agent-forwarding, X11-forwarding and user-rc, with and without
  /// "no-", which are about what is never given here.
  /// Lines with others are refused (a restriction that is not understood must not be ignored); so are
  /// lines that do not parse, whose declared type is not the key's, or that repeat a key of an earlier
  /// line with other options. They are reported in problems(), as KnownHosts does.
  static AuthorizedKeys parse(std::string_view text);
  /// The line of a key that is somebody's; of an authority. nullptr: there is none.
  const Entry* find(const crypto::PublicKey& key) const noexcept;
  const Entry* find_authority(const crypto::PublicKey& key) const noexcept;
  /// Whether `entry` may claim `name`; come from `host`, a numeric address (anything else is refused by
  /// any from="..."); open `service`; open (direct-tcpip) a place, listen (tcpip-forward) at one, as it
  /// was asked for.
  static bool allows_name(const Entry& entry, std::string_view name) noexcept;
  static bool allows_source(const Entry& entry, std::string_view host);
  static bool allows_service(const Entry& entry, std::string_view service) noexcept;
  static bool allows_open(const Entry& entry, std::string_view host, std::uint32_t port) noexcept;
  static bool allows_listen(const Entry& entry, std::string_view host, std::uint32_t port) noexcept;
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  const std::vector<std::string>& problems() const noexcept { return problems_; }

 private:
  const Entry* find(const crypto::PublicKey& key, bool authority) const noexcept;
  std::vector<Entry> entries_;
  std::vector<std::string> problems_;
};

/// Keys and certificates that are no longer good: a list of public keys, one a line as in a .pub file, or
/// a key revocation list as ssh-keygen -k makes it (OpenSSH's PROTOCOL.krl) with serial numbers, ranges
/// and bitmaps of them, key ids, keys, and SHA-1 and SHA-256 fingerprints.
class RevokedKeys {
 public:
  /// Errc::bad_file for anything that is not understood to its end, and for a KRL that is signed: what
  /// cannot be read might revoke the very key that is asked about.
  static Result<RevokedKeys> parse(std::string_view file);
  bool has(const crypto::PublicKey& key) const;
  /// It, the key in it, or its authority.
  bool has(const crypto::Certificate& certificate) const;

 private:
  struct Range {
    std::uint64_t first = 0, last = 0;
    Bytes bits;  ///< not empty: bit i from the end stands for `first` + i
    bool has(std::uint64_t serial) const noexcept;
  };
  struct Section {
    Bytes authority;  ///< its blob; empty: any
    std::vector<Range> serials;
    std::set<std::string, std::less<>> key_ids;
  };
  Result<void> read_lines(std::string_view text);
  Result<void> read_list(ByteView file);
  static Result<Section> read_section(ByteView data);
  static Result<void> read_part(std::uint8_t type, ByteView data, Section& to);
  std::set<std::string, std::less<>> keys_, sha1_, sha256_;  ///< blobs, and their digests
  std::vector<Section> sections_;
};

/// A certificate from its -cert.pub file. Every error names the file.
Result<crypto::Certificate> load_certificate(const std::string& path);

/// Reads the private key at `path`, or makes an Ed25519 one there (0600, unencrypted, with its .pub
/// beside it) when there is none. Never overwrites: when another process makes it at the same time,
/// that one is read; a .pub without its private key is Errc::bad_file. Every error names the file, and
/// the one for unsafe permissions says which chmod mends it.
Result<crypto::PrivateKey> load_or_create_identity(const std::string& path, const crypto::PrivateKey::Passphrase& passphrase = {});
Result<crypto::PrivateKey> load_identity(const std::string& path, const crypto::PrivateKey::Passphrase& passphrase = {});

}  // namespace streamkit
