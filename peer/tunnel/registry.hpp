// Registry: which client has which tunnel, and how a visitor reaches it. Joins the rules of
// names.hpp to live clients; knows neither HTTP nor SSH. On the Context only.
#pragma once

#include "names.hpp"

#include <streamkit/io/stream.hpp>
#include <streamkit/peer/channel.hpp>
#include <streamkit/tunnel/relay.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace streamkit::tunnel {

/// A client's wish for a tunnel, and the two ways in which the relay will call on it.
struct Wish {
  Kind kind = Kind::http;
  std::string name;        ///< http; checked by claim(); empty: the one derived from the key
  std::uint16_t port = 0;  ///< tcp; 0: any
  PeerInfo from;
  std::string target;       ///< for people
  std::string host_header;  ///< what the client wants as Host; empty: the visitor's
  bool stock_ssh = false;
  /// Opens a channel to the client for one visitor.
  std::function<void(const io::Address& visitor, Completion<Channel> done)> open;
  /// Tells the client that the tunnel is over; called at most once, and not after release() or
  /// lost().
  std::function<void(const Status& why)> end;
};

class Registry : public std::enable_shared_from_this<Registry> {
 public:
  enum class Presence { none, live, lingering };
  struct Found {
    Presence presence = Presence::none;
    std::string target;  ///< when live, as what follows
    std::string host_header;
    ClaimId claim = 0;
  };

  Registry(io::Context& context, RelayOptions options, RelayEvents events);

  /// What the HTTP front was bound to; the port in URLs unless the options say another.
  void set_http_port(std::uint16_t port) noexcept { http_port_ = port; }
  std::string url_of(std::string_view name) const;

  struct Granted {
    ClaimId claim = 0;
    TunnelInfo info;
  };
  /// Errc::bad_name, name_taken, limit, refused, or the operating system's word about the port.
  Result<Granted> claim(Wish wish);
  /// The client gave it back: free at once.
  void release(ClaimId claim);
  /// The client's link was lost: kept for its key for a while.
  void lost(ClaimId claim);
  /// Ends every tunnel, telling the clients.
  void close(const Status& why);

  Found find_http(const std::string& name) const;
  /// Opens a channel to the client of a live claim; Errc::peer_not_connected when it is gone.
  void open(ClaimId claim, const io::Address& visitor, Completion<Channel> done);
  std::vector<TunnelInfo> tunnels() const;
  /// Called for each claim that is no longer live.
  std::function<void(ClaimId)> on_gone;
  void refused(const PeerInfo& who, const std::string& why) const;

 private:
  struct Tunnel {
    std::string key;  // in the name table
    TunnelInfo info;
    Wish wish;
    std::size_t visitors = 0;
  };

  Result<Granted> claim_http(Wish wish);
  Result<Granted> claim_tcp(Wish wish);
  Result<std::uint16_t> listen_anywhere();
  Result<void> listen(std::uint16_t port);
  void drop_listener(std::uint16_t port);
  Granted grant(const NameTable::Claimed& claimed, std::string key, TunnelInfo info, Wish wish);
  void forget(ClaimId claim, std::string_view why);
  void arm_expiry();
  void expire();
  void accept_tcp(std::uint16_t port, std::unique_ptr<io::Stream> stream);
  void join_tcp(ClaimId claim, Channel channel, std::unique_ptr<io::Stream> stream);
  void visit_over(ClaimId claim);

  io::Context& context_;
  const RelayOptions options_;
  const RelayEvents events_;
  NameTable names_;
  io::Timer expiry_;
  std::uint16_t http_port_ = 0;
  std::map<ClaimId, Tunnel> tunnels_;
  std::map<std::uint16_t, std::unique_ptr<io::Listener>> listeners_;
};

}  // namespace streamkit::tunnel
