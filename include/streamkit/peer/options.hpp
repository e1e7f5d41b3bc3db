// What a Peer is told. Every member has a default; those marked (running) may be changed by
// Peer::reconfigure while the peer runs and apply to links made after that.
#pragma once

#include <streamkit/channel/multiplexer.hpp>
#include <streamkit/channel/frame.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/peer/channel.hpp>
#include <streamkit/peer/until.hpp>
#include <streamkit/ssh/config.hpp>
#include <streamkit/ssh/transport.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace streamkit {

/// Where a conversation by keyboard-interactive (RFC 4256) stands, for a server. Valid during the
/// call.
struct InteractiveTurn {
  const std::string& name;        ///< that the client claims
  const std::string& submethods;  ///< what it would like; usually empty
  /// The answers of each round so far, one a prompt; empty when it begins. Wiped at the end.
  const std::vector<std::vector<SecretBytes>>& rounds;
};
/// What the server says to that.
struct InteractiveReply {
  enum class Verdict { refuse, accept, ask };
  Verdict verdict = Verdict::refuse;
  ssh::InfoRequest request{};  ///< to ask, with the limits given there; at most 16 rounds
};

/// Who may connect to us (server half) and whom we accept as server (client half).
struct Trust {
  // ---- as server. With none of the first four set, only our own key is accepted.
  /// Read anew for each authentication, as are the two other files of keys below: see Peer::reload_trust().
  std::string authorized_keys_file;
  /// Keys, one a line, of authorities whose user certificates are believed, as sshd's TrustedUserCAKeys. A
  /// certificate lets in who claims one of its principals as name.
  std::string user_ca_file;
  std::vector<crypto::PublicKey> authorized_keys;
  /// May this key come in under this name? Called on the Context, once per verified or offered key; not
  /// asked about keys that come with a certificate.
  std::function<bool(const std::string& name, const crypto::PublicKey& key)> public_key;
  /// May this name come in with this password? Set: passwords are offered to clients.
  std::function<bool(const std::string& name, std::string_view password)> password;
  /// May this name come in, or what is to be asked (first)? Set: keyboard-interactive is offered to
  /// clients. Called on the Context for each round; `done` may be called then or later, on any
  /// thread. Ask unknown names what you ask known ones. Clients have limits.ssh.handshake_timeout
  /// for all of it: raise that where people type.
  std::function<void(const InteractiveTurn& turn, Completion<InteractiveReply> done)> interactive;

  /// Methods that everybody has to pass, all of them and in this order, as sshd's AuthenticationMethods:
  /// "publickey", "password", "keyboard-interactive", each at most once, and with its callback set. Empty: any
  /// one of those that are offered.
  std::vector<std::string> authentication_methods;

  // ---- as client
  enum class HostKeys {
    pinned,        ///< only keys in known_host_keys, known_hosts_file or that host_key allows
    tofu,          ///< an unknown host is trusted and remembered at first sight; a changed one refused
    any_insecure,  ///< every key, unverified: for tests on one machine
  };
  HostKeys host_keys = HostKeys::pinned;
  /// Read at each connect; written by tofu. Its @cert-authority lines say whose host certificates are
  /// believed; a host that they name is never trusted at first sight.
  std::string known_hosts_file;
  std::vector<std::string> known_host_keys;            ///< fingerprints, "SHA256:..."; those of bastions too
  std::function<bool(const Endpoint& endpoint, const crypto::PublicKey& key)> host_key;
  std::string present_password;                        ///< tried after our key when the server takes passwords; not at bastions
  /// Answers what the server asks by keyboard-interactive, after key and password: one answer a
  /// prompt (there may be none), or an error to give up. As for `interactive`, later will do, and
  /// limits.ssh.handshake_timeout goes on. The texts are the server's: escape() them.
  std::function<void(const Endpoint& endpoint, const ssh::InfoRequest& asked,
                     Completion<std::vector<SecretBytes>> done)> answer_prompts;

  // ---- both
  /// Keys and certificates that are refused before everything else, of users and of hosts: see RevokedKeys.
  /// While it cannot be read, or not be understood, every key is refused.
  std::string revoked_keys_file;

  // ---- names
  /// What happens when a link comes up under the name of a live link with the same key. Another key
  /// is refused always.
  enum class SameKey { replace, refuse, share };
  SameKey same_name_same_key = SameKey::replace;
};

struct Reconnect {
  bool on = true;
  bool from_start = false;  ///< also when the very first attempt finds nobody: connect() then waits until its deadline
  Duration first = std::chrono::milliseconds(100);
  Duration max = std::chrono::seconds(30);
  double factor = 2;
  double jitter = 0.2;      ///< each wait is varied by up to this part of it
};

struct PeerLimits {
  channel::Limits channels;
  ssh::Limits ssh;
  std::size_t max_frame = channel::kDefaultMaxFrame;   ///< bytes, sent and received
  std::size_t max_links = 10000;                       ///< more are turned away
  std::size_t max_half_open = 100;                     ///< incoming, not yet authenticated
  std::size_t max_half_open_per_source = 10;           ///< of those, from one address, or of IPv6 from one network of 64 bits
  /// From so many half-open connections on, newcomers are turned away by chance: early_drop_percent of them, growing
  /// to all at max_half_open. From max_half_open up: never.
  std::size_t early_drop_start = 50;
  unsigned early_drop_percent = 30;
  /// From early_drop_start on, whoever has not exchanged keys after so long makes room when somebody comes.
  Duration handshake_timeout_crowded = std::chrono::seconds(3);
  /// So long after a handshake from there ran out of time, an address (of IPv6: a network of 64 bits) is let in only
  /// below early_drop_start, unless somebody authenticates from there meanwhile. 0: always.
  Duration slow_source_memory = std::chrono::minutes(10);
  /// Key exchanges that strangers at one address may begin, each with a connection of its own: a second; at once
  /// after quiet times. 0 a second: any number.
  std::size_t kex_rate_per_source = 10;
  std::size_t kex_burst_per_source = 100;
  Duration connect_timeout = std::chrono::seconds(10); ///< each attempt's TCP connect
  Duration hello_timeout = std::chrono::seconds(30);   ///< after authentication: for the other side's hello and its answer to ours
  Duration greeting_timeout = std::chrono::seconds(5); ///< with ?wire=duplex: for the greeting and its answer
};

/// Asked for every channel that the other side opens.
struct OpenRequest {
  const PeerInfo& from;
  const std::string& service;
  const Headers& headers;
  std::string_view type;  ///< SSH channel type
};

/// Whether somebody may open a service. All that is set has to fit for a rule to be about an open; lists are
/// of patterns with `*`, `?` and a leading `!`, separated by commas.
struct ServiceRule {
  std::string services = "*";
  std::string names{};           ///< that the other side goes by: worth as much as what binds names to keys
  std::string key{};             ///< its fingerprint, "SHA256:..."
  std::string principals{};      ///< its certificate has one of these
  bool allow = true;
  std::size_t max_channels = 0;  ///< to such services, open at once on one link; 0: no limit of the rule's own
};
inline constexpr std::size_t kMaxServiceRules = 1024;

struct PeerOptions {
  std::string name;                                    ///< what we are called; default: "peer-" and part of our key's fingerprint
  std::string app;                                     ///< application and its version; if both sides set one, they must be equal
  std::optional<crypto::PrivateKey> identity;          ///< our one key
  std::string identity_file;                           ///< used when there is no identity; made on first use
                                                       ///< with neither, a key is made for this run
  /// Certificates of that key, at most one for each: a user's is shown where we connect, a host's where we
  /// bind. Empty: IDENTITY_FILE-cert.pub, if there is one (ssh-keygen -s makes it). Read for each link, so
  /// that it may be renewed; make() wants them good. (running)
  std::vector<std::string> identity_certificate_files;
  /// Asked, inside Peer::make(), when the identity file is encrypted; gets its path.
  std::function<Result<SecretBytes>(const std::string& path)> passphrase;
  /// The socket of an ssh-agent whose keys we offer, as a client, after our own; "SSH_AUTH_SOCK": the
  /// one that this environment variable names. Empty: none. It is asked once the host key is trusted, has
  /// 5 s for its keys and for each signature, and is never forwarded. (running)
  std::string agent;
  Trust trust;                                         ///< (running)
  PeerLimits limits;                                   ///< (running)
  Reconnect reconnect;                                 ///< (running)
  ssh::Algorithms algorithms;                          ///< (running) a server with an empty kex list does
                                                       ///< not offer ecdh-sha2-nistp*: name them to have them
  Duration heartbeat = std::chrono::seconds(15);       ///< (running) silence after which we ask; three misses end the link
  Duration open_timeout = std::chrono::seconds(30);    ///< (running) for open() without a deadline
  std::size_t accept_backlog = 1024;                   ///< channels that wait for accept()
  /// What the other side of a link may open here: the first rule that fits decides, and where there are
  /// rules and none fits, the answer is no. Empty: everything. At most kMaxServiceRules. (running)
  std::vector<ServiceRule> policy;
  /// May this open happen, which its key's line, its certificate and the policy allow? Unset: it may. An
  /// error with Errc::limit is told as resource_exhausted, others as permission_denied. (running)
  std::function<Result<void>(const OpenRequest&)> authorize;
  std::function<void(std::string_view level, std::string_view line)> log;  ///< level: debug, info, warning
  std::shared_ptr<io::Context> context;                ///< share a loop with other peers; default: one of our own
};

}  // namespace streamkit
