// Peer: binds and connects to any number of endpoints, opens and accepts channels.
#pragma once

#include <streamkit/peer/channel.hpp>
#include <streamkit/peer/endpoint.hpp>
#include <streamkit/peer/options.hpp>
#include <streamkit/peer/until.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace streamkit {

/// All optional; called on the Context, in order for each remote peer.
struct PeerEvents {
  std::function<void(const PeerInfo&)> connected;     ///< a link is up
  std::function<void(const PeerInfo&)> reconnected;   ///< our dialer brought a lost link back (instead of connected)
  std::function<void(const PeerInfo&, const Error&)> disconnected;
  /// Our dialer lost its link or an attempt failed; it tries again after `wait`.
  std::function<void(const Endpoint&, const Error&, Duration wait)> reconnecting;
  /// Our dialer gave up: a retry cannot help (host key, authentication, name, version).
  std::function<void(const Endpoint&, const Error&)> gave_up;
  /// An incoming connection was turned away before it became a link. In a flood the first ten in five seconds are
  /// told, and then how many more came from where, and why; `address` has no port then. The log says the same.
  std::function<void(const std::string& address, const Error&)> turned_away;
};

/// What is asked for with -R (tcpip-forward, streamlocal-forward@openssh.com): that the other side listens.
struct ForwardRequest {
  PeerInfo from;            ///< who asks; of no meaning where we ask
  std::string bind;         ///< address, name or path exactly as sent; at most kMaxForwardBind bytes where we ask
  std::uint32_t port = 0;   ///< 0..65535; 0: choose one (tcpip only)
  bool is_path = false;     ///< streamlocal-forward
  bool cancel = false;      ///< cancel-tcpip-forward, cancel-streamlocal-forward@openssh.com
};

/// Bytes of the address or path that request_forward() takes.
inline constexpr std::size_t kMaxForwardBind = 1024;

/// Thread-safe. Destroying it closes everything at once; shutdown() before that is the orderly way. Not
/// to be destroyed on its Context.
class Peer {
 public:
  /// A bad option (an unreadable identity, say) is the error.
  static Result<Peer> make(PeerOptions options = {});
  Peer(Peer&&) noexcept;
  Peer& operator=(Peer&&) noexcept;
  ~Peer();

  const std::string& name() const noexcept;
  const crypto::PublicKey& key() const noexcept;
  io::Context& context() const noexcept;
  PeerOptions options() const;
  /// Changes what may change while running; a change to another member is Errc::usage.
  Result<void> reconfigure(const std::function<void(PeerOptions&)>& change);

  /// Reads the authorized keys, user authorities and revoked keys of options().trust again, as each login
  /// does, and has live links follow: those whose key or certificate would not be let in any more are closed,
  /// the others may open what their line allows now. A problem in a file is the error, Errc::bad_file, and
  /// everything stays as it was, but that no new link comes up while revoked keys cannot be read. Only where the
  /// files had problems from the start, or nobody in them, what is good in them counts.
  Result<void> reload_trust();

  // ---- links
  /// Listens; gives the endpoint with port 0 resolved. Options that no server could work with are Errc::usage.
  Result<Endpoint> bind(const Endpoint& endpoint);
  Result<void> unbind(const Endpoint& endpoint);  ///< as bind() gave it; links stay
  /// Connects and stays connected: a lost link is dialed again in the background until disconnect().
  Result<PeerInfo> connect(const Endpoint& endpoint, Until until = {});
  void async_connect(const Endpoint& endpoint, Until until, Completion<PeerInfo> done);
  /// Ends the dialing and the link.
  Result<void> disconnect(const Endpoint& endpoint);
  std::vector<PeerInfo> peers() const;
  /// The peers in turns; nothing when there is none.
  std::optional<PeerInfo> next_peer();
  /// Ends every link to that peer, saying why. A dialer of ours dials again.
  Result<void> drop(std::string_view name, std::string_view why = {});
  Result<void> drop_link(std::uint64_t link, std::string_view why = {});
  void events(PeerEvents events);

  // ---- channels
  /// Opens a channel; waits for the peer to be there and to accept, until the deadline (default:
  /// PeerOptions::open_timeout).
  Result<Channel> open(const To& to, std::string service, OpenOptions options = {}, Until until = {});
  void async_open(const To& to, std::string service, OpenOptions options, Until until, Completion<Channel> done);
  /// The next channel that no on_open() takes.
  Result<Channel> accept(Until until = {});
  void async_accept(Completion<Channel> done);
  /// Takes every opened channel whose service matches the pattern (`*` and `?`; the first match wins).
  /// The handler runs on the Context; it may keep the Incoming and answer later.
  void on_open(std::string pattern, std::function<void(Incoming)> handler);

  // ---- for gateways that serve stock SSH software
  /// Answers -R requests: a port (the given one, or the chosen one for 0; any number for a path) or a
  /// refusal. Unset: refused. Runs on the Context. The request's link is closed: events.disconnected.
  void on_forward(std::function<Result<std::uint32_t>(const ForwardRequest&)> handler);
  /// Whether the key and the certificate on that link permit what is asked for, bind and port alone; asked
  /// before on_forward() by itself. For gateways that give the same in another way.
  Result<void> may_forward(const ForwardRequest& request) const;
  /// Opens the channel by which a connection to a granted -R reaches the stock client:
  /// forwarded-tcpip (bind and port exactly as requested, or as allocated) or forwarded-streamlocal.
  void async_open_forwarded(const ForwardRequest& granted, std::uint32_t port, std::string originator_host,
                            std::uint16_t originator_port, Until until, Completion<Channel> done);

  // ---- for applications behind an SSH server
  /// Asks the server at the other end to listen (RFC 4254 section 7.1, as ssh -R does) or, with `cancel`, to listen
  /// no longer. Gives the port: as asked, or the chosen one for 0; 0 for a path. Each connection there comes in
  /// as a channel that opens `service` here, of the type forwarded-tcpip (with the header `originator`) or
  /// forwarded-streamlocal@openssh.com; on_open() and accept() give it. Only what was granted comes in. Errc::refused:
  /// the server will not. What is granted ends with the link: ask again in PeerEvents::reconnected. Without a
  /// deadline, PeerOptions::open_timeout is it; after it, cancel what may be granted late.
  Result<std::uint32_t> request_forward(const To& to, ForwardRequest wanted, std::string service, Until until = {});
  void async_request_forward(const To& to, ForwardRequest wanted, std::string service, Until until,
                             Completion<std::uint32_t> done);

  /// Takes no more channels or links, lets what was written be sent, says goodbye; at the deadline
  /// (default 30 s) cuts what is left.
  Result<void> shutdown(Until grace = {});

 private:
  struct Impl;
  explicit Peer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace streamkit
