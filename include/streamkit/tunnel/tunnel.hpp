// Tunnel: the client's half. Brings what listens on this side to a name or port of a relay, and
// keeps it there: a lost link is dialed again until stop().
#pragma once

#include <streamkit/peer/endpoint.hpp>
#include <streamkit/peer/until.hpp>
#include <streamkit/tunnel/relay.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace streamkit::io {
class Context;
}  // namespace streamkit::io

namespace streamkit::tunnel {

/// What a tunnel leads to.
struct TunnelTarget {
  std::string host;  ///< empty for a unix socket
  std::uint16_t port = 0;
  std::string path;  ///< of a unix socket

  /// PORT, HOST:PORT, [IPV6]:PORT, http://HOST[:PORT][/] or unix:PATH. A bare port is 127.0.0.1's.
  static Result<TunnelTarget> parse(std::string_view text);
  bool is_loopback() const noexcept;
  std::string text() const;  ///< "127.0.0.1:3000", "unix:/run/x"
};

struct TunnelOptions {
  Endpoint relay = "tcp://localhost:2222";
  Kind kind = Kind::http;
  TunnelTarget target;
  std::string name;  ///< http: asked for; empty: the one that belongs to our key
  /// tcp: asked for. 0: the relay chooses, and is asked for the same again later, or for another when
  /// somebody else has that one by then.
  std::uint16_t port = 0;
  /// http: what the target sees as Host. "localhost": localhost:PORT, for loopback targets; "keep":
  /// what the visitor sent; anything else: that. Empty: "localhost" for loopback targets, else
  /// "keep".
  std::string host_header;
  std::optional<crypto::PrivateKey> identity;
  std::string identity_file;  ///< used without `identity`; empty: `id_ed25519` in the configuration
                              ///< folder; made on first use
  /// As in PeerOptions: for an encrypted identity file, and an ssh-agent's keys after our own.
  std::function<Result<SecretBytes>(const std::string& path)> passphrase;
  std::string agent;
  std::string relay_key;      ///< "SHA256:...": the only relay key accepted
  /// Without `relay_key`: where relays' keys are remembered at first sight. Empty: `known_hosts` in
  /// the configuration folder.
  std::string known_hosts_file;
  bool wait_for_relay = false;  ///< keep trying when nobody answers the very first attempt
  Duration connect_timeout = std::chrono::seconds(10);
  Duration target_timeout = std::chrono::seconds(10);  ///< to connect to the target
  Duration reconnect_first = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::seconds(2);
  Duration heartbeat = std::chrono::seconds(15);
  std::shared_ptr<io::Context> context;  ///< default: one of its own
};

enum class State { connecting, online, reconnecting, closed };
std::string_view to_string(State) noexcept;

/// Why a tunnel ended, in the order of the program's exit codes.
enum class Ending {
  stopped,       ///< by stop()
  unreachable,   ///< the relay, and there had been no success before
  unauthorised,  ///< the relay does not accept our key
  refused,  ///< name or port: taken, forbidden, over a limit, or taken over by another client with
            ///< our key
  relay_key,  ///< the relay's key is not the known one
  usage,      ///< an option makes no sense, or a file of ours is unusable
};
std::string_view to_string(Ending) noexcept;

/// What the relay gave us.
struct Online {
  std::string url;             ///< http://NAME.DOMAIN:PORT or tcp://DOMAIN:PORT
  std::string name;            ///< http
  std::uint16_t port = 0;      ///< tcp
  std::string relay_key;       ///< fingerprint
  bool first_contact = false;  ///< the relay's key was unknown before and is remembered now
  bool again = false;          ///< not the first time: after a reconnect
};

struct Visit {
  std::uint64_t number = 0;    ///< counts from 1
  std::string visitor;         ///< address, as the relay says
  std::uint64_t bytes_in = 0;  ///< from the visitor
  std::uint64_t bytes_out = 0;
};

/// Called on the Context; all optional.
struct TunnelEvents {
  std::function<void(const Online&)> online;
  /// The link was lost or an attempt failed; the next one comes after `wait`.
  std::function<void(const Error&, Duration wait)> reconnecting;
  /// Once, at the end.
  std::function<void(Ending, const Error&)> closed;
  std::function<void(const Visit&)> visit_began;
  std::function<void(const Visit&)> visit_ended;
  /// The target could not be reached for a visitor.
  std::function<void(const Visit&, const Error&)> target_failed;
  std::function<void(std::string_view level, std::string_view line)> log;
};

/// Thread-safe but for its construction. Destroying it closes everything at once.
class Tunnel {
 public:
  /// Starts connecting and returns; what happens then is told by events. The error is one of
  /// options or of the files they name.
  static Result<Tunnel> start(TunnelOptions options, TunnelEvents events = {});
  Tunnel(Tunnel&&) noexcept;
  Tunnel& operator=(Tunnel&&) noexcept;
  ~Tunnel();

  State state() const;
  /// Waits for the first success; an end before that is the error.
  Result<Online> wait_online(Until until = {});
  const crypto::PublicKey& key() const noexcept;  ///< ours
  /// Gives the name back, lets what is under way end until `grace` (default 5 s), and closes.
  void stop(Until grace = {});

 private:
  struct Impl;
  explicit Tunnel(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace streamkit::tunnel
