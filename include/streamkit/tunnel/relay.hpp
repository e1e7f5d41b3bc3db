// Relay: gives tunnels names and ports, and carries visitors through them.
//
// Peers of ours (Tunnel) and stock `ssh -R` clients come in over SSH; visitors come in over HTTP
// and TCP. A name belongs to the key that claimed it; see docs/cli.md for the rules as users see
// them.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/peer/endpoint.hpp>
#include <streamkit/peer/until.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::io {
class Context;
}  // namespace streamkit::io

namespace streamkit::tunnel {

enum class Kind { http, tcp };

struct RelayLimits {
  std::size_t tunnels_per_key = 20;            ///< names and ports together
  std::size_t visitors_per_tunnel = 512;       ///< of a TCP tunnel, at once
  Duration linger = std::chrono::seconds(60);  ///< how long a lost client's name waits for its key
  Duration open_timeout =
      std::chrono::seconds(15);         ///< for a client to take a visitor's connection
  std::size_t http_connections = 4096;  ///< of visitors, at once
};

struct RelayOptions {
  std::vector<Endpoint> listen = {"tcp://127.0.0.1:2222"};  ///< for peers and ssh
  std::string http = "127.0.0.1:8080";  ///< for visitors, HOST:PORT; empty: no HTTP tunnels
  std::string domain = "localhost";     ///< names are NAME.domain
  std::uint16_t public_port = 0;        ///< the port in URLs; 0: the one of `http`
  std::string tcp_bind = "127.0.0.1";   ///< where TCP tunnels listen; "": every interface
  std::uint16_t min_port = 1024;        ///< TCP tunnels get ports min_port..max_port
  std::uint16_t max_port = 65535;
  /// Who may have tunnels. With all three empty: the keys in `authorized_keys` of the configuration
  /// folder and this user's own client key there.
  std::string authorized_keys_file;
  std::string user_ca_file;  ///< as in Trust
  std::vector<crypto::PublicKey> authorized_keys;
  std::string revoked_keys_file;  ///< as in Trust; has to be good when the relay starts
  std::optional<crypto::PrivateKey> identity;  ///< the relay's key
  std::string identity_file;  ///< used without `identity`; empty: `relay_ed25519` in the
                              ///< configuration folder; made on first use
  /// As in PeerOptions: for an encrypted identity file.
  std::function<Result<SecretBytes>(const std::string& path)> passphrase;
  Duration heartbeat = std::chrono::seconds(
      15);  ///< silence after which a client is asked; three misses end its link
  RelayLimits limits;
  std::shared_ptr<io::Context> context;  ///< default: one of its own
};

/// A tunnel as the relay sees it.
struct TunnelInfo {
  Kind kind = Kind::http;
  std::string name;        ///< http
  std::uint16_t port = 0;  ///< tcp
  std::string url;
  std::string key;      ///< fingerprint of the client's key
  std::string address;  ///< where the client came from
  std::string target;   ///< what the client says is behind it; unverified
  bool stock_ssh = false;
};

/// One answered HTTP request.
struct RequestInfo {
  std::string name;     ///< of the tunnel that was asked for; empty when the host was not ours
  std::string visitor;  ///< address
  std::string method;   ///< empty when the request was not understood
  std::string path;     ///< without the query, escaped
  int status = 0;       ///< 0: the visitor left before an answer
  std::string error;    ///< a word for what went wrong; empty when all went well
  Duration duration{};
  std::uint64_t bytes_in = 0;   ///< of the request's body
  std::uint64_t bytes_out = 0;  ///< of the response's body
};

/// Called on the Context; all optional.
struct RelayEvents {
  std::function<void(const TunnelInfo&)> claimed;
  /// `why`: closed, lost, superseded.
  std::function<void(const TunnelInfo&, std::string_view why)> released;
  std::function<void(const TunnelInfo&, const std::string& visitor)> visited;  ///< a TCP tunnel
  std::function<void(const RequestInfo&)> request;
  /// A tunnel was refused, or somebody was turned away before that.
  std::function<void(const std::string& who, const std::string& why)> refused;
  std::function<void(std::string_view level, std::string_view line)> log;
};

/// Thread-safe but for its construction. Destroying it closes everything at once.
class Relay {
 public:
  /// Binds everything, or says what could not be bound.
  static Result<Relay> start(RelayOptions options = {}, RelayEvents events = {});
  Relay(Relay&&) noexcept;
  Relay& operator=(Relay&&) noexcept;
  ~Relay();

  const std::vector<Endpoint>& endpoints() const noexcept;  ///< as bound, ports resolved
  const std::string& http_address() const noexcept;         ///< as bound; empty without HTTP
  const crypto::PublicKey& key() const noexcept;
  const std::string& identity_file() const noexcept;  ///< empty when the key was given
  /// What decides who may come in, in words; for people.
  const std::vector<std::string>& trusted() const noexcept;
  std::string url_of(std::string_view name) const;
  std::vector<TunnelInfo> tunnels() const;  ///< live ones
  /// As Peer::reload_trust(): clients whose keys are no longer good go, and their tunnels linger as after
  /// any lost link.
  Result<void> reload_trust();
  /// Tells the clients, lets what is under way end until `grace` (default 5 s), and closes.
  void stop(Until grace = {});

 private:
  struct Impl;
  explicit Relay(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace streamkit::tunnel
