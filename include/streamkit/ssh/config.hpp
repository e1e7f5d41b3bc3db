// What a Transport is told before it starts: who we are, what we accept, how much.
#pragma once

#include <streamkit/base/random.hpp>
#include <streamkit/base/secret.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/crypto/certificate.hpp>
#include <streamkit/crypto/implementation.hpp>
#include <streamkit/crypto/key.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace streamkit::ssh {

enum class Role { client, server };

/// Names in order of preference. An empty list means every one that the crypto room has, in its
/// order; a name it does not have is Errc::usage when the Transport is made. Certificate algorithms
/// stand before the plain ones in an empty `host_keys`: at a server those that it has a certificate
/// for, at a client all if Config::judges_authorities is set and none otherwise.
struct Algorithms {
  std::vector<std::string> kex, host_keys, ciphers, macs;
  /// chacha20-poly1305 with a peer that lacks strict key exchange is refused unless this is set:
  /// the Terrapin attack applies to it.
  bool allow_non_strict = false;
  /// Who computes AES-GCM; nothing of it is seen on the wire. One that is not available is
  /// Errc::usage when the Transport is made.
  crypto::AesGcm aes_gcm = crypto::AesGcm::automatic;
};

/// Every number may be set small in tests.
struct Limits {
  std::size_t max_packet_before_auth = 64 * 1024;  ///< packet_length accepted, bytes
  std::size_t max_packet = 256 * 1024;
  std::size_t max_send_packet = 35000;  ///< whole packets we send, until set_max_send_packet()
  std::size_t max_bytes_before_auth = 256 * 1024;
  std::size_t max_packets_before_auth = 256;
  std::uint64_t max_exchanges_before_auth = 4;  ///< key exchanges, the first one among them
  int max_auth_failures = 6;
  int max_auth_requests = 64;
  std::uint64_t rekey_after_bytes = 1ull << 30;  ///< per direction, soft: we start an exchange
  std::uint64_t rekey_after_packets = 1ull
                                      << 31;  ///< per direction; the hard limit is never above 2^31
  Duration rekey_after = std::chrono::hours(1);
  Duration handshake_timeout =
      std::chrono::seconds(30);                     ///< from the start until authentication is done
  Duration kex_timeout = std::chrono::seconds(30);  ///< a rekey that does not finish
  std::size_t output_high_water = 128 * 1024;       ///< sendable_bytes() is 0 above this
  std::size_t max_queued_during_kex = 2 << 20;      ///< payloads held back while keys are exchanged
  /// Server: no refusal is answered sooner than this after its request came, whatever the reason.
  /// The first "none", which asks for the methods, is not refused. Nobody else waits.
  Duration auth_failure_delay = std::chrono::milliseconds(200);
};

/// A key that a client may prove to hold, itself or with the help of who has it.
struct Identity {
  Identity() = default;
  Identity(crypto::PrivateKey key) : private_key(std::move(key)) {}  // NOLINT: a key is an identity
  explicit Identity(crypto::PublicKey key) : held_elsewhere(std::move(key)) {}

  crypto::PrivateKey private_key;
  /// Says whose key it is; offered before the key alone. It has to fit the key.
  std::optional<crypto::Certificate> certificate;
  /// Where there is no private key: signatures are asked for (SignatureNeeded), and only when the
  /// server has said that it would take this key.
  crypto::PublicKey held_elsewhere;
  const crypto::PublicKey& public_key() const {
    return private_key.is_empty() ? held_elsewhere : private_key.public_key();
  }
};

struct Config {
  std::string software = "streamkit_0.1.0";  ///< SSH-2.0-<software>
  Algorithms algorithms;
  Limits limits;
  Random* random = nullptr;  ///< cookies and padding; must outlive the Transport; required
  /// EXT_INFO entries of ours beside the standard ones; sent only to a peer that asked for
  /// EXT_INFO.
  std::vector<std::pair<std::string, std::string>> extensions;

  // server
  std::vector<crypto::PrivateKey> host_keys;  ///< at most one a type; at least one
  /// Shown to clients that want certificates. Each is a host's and fits one of host_keys; at most
  /// one a key. Whether it is valid now is the client's to say.
  std::vector<crypto::Certificate> host_certificates;
  bool offer_password = false;     ///< accept password attempts (as questions)
  bool offer_interactive = false;  ///< and keyboard-interactive (RFC 4256)
  /// Methods that a client has to pass, all of them and in this order (RFC 4252 section 5.1): "publickey",
  /// "password", "keyboard-interactive", each once and offered. Empty: any one of those that are offered.
  std::vector<std::string> authentication_methods;
  std::string banner;              ///< SSH_MSG_USERAUTH_BANNER before the first answer

  // client
  /// Who answers HostKeyReceived knows authorities, so servers are asked for certificates first. (A
  /// client that knows none has no use for them, and all their checks to fail.)
  bool judges_authorities = false;
  std::string user;
  std::vector<Identity> identities;  ///< offered in order
  std::string password;      ///< tried after the keys when not empty and the server takes it
  bool interactive = false;  ///< last: let the server ask (InfoRequest), once, when it does so
};

}  // namespace streamkit::ssh
