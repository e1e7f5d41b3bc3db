// Stock SSH clients as tunnel clients: -R requests (RFC 4254 section 7.1) become tunnels, and the
// session of such a client shows what came of them. On the Context only.
#pragma once

#include "registry.hpp"

#include <streamkit/peer/peer.hpp>

#include <deque>
#include <map>
#include <memory>
#include <string>

namespace streamkit::tunnel {

/// What a -R asks for, in our terms. Errc::bad_name or refused when it means nothing here.
struct ForwardMeaning {
  Kind kind = Kind::http;
  std::string name;        ///< http; empty: the one that belongs to the key
  std::uint16_t port = 0;  ///< tcp; 0: any
};
/// Ports 80 and 443, a name as bind address and a path /NAME mean an HTTP name; any other port is a
/// TCP port. "", "localhost", "*" and the unspecified and loopback addresses are no names.
Result<ForwardMeaning> meaning_of(const ForwardRequest& request, std::string_view domain);

class StockClients : public std::enable_shared_from_this<StockClients> {
 public:
  StockClients(std::shared_ptr<Registry> registry, Peer& peer, std::string domain,
               Duration open_timeout)
      : registry_(std::move(registry)),
        peer_(peer),
        domain_(std::move(domain)),
        open_timeout_(open_timeout) {}

  /// Peer::on_forward's handler.
  Result<std::uint32_t> forward(const ForwardRequest& request);
  /// A client's shell: shows its tunnels until the client leaves.
  void session(Incoming incoming);
  void disconnected(const PeerInfo& who, const Error& why);
  /// Says goodbye to every session.
  void close(const std::string& why);

 private:
  struct Forward {
    ForwardRequest request;
    std::uint32_t port = 0;  // as answered
    ClaimId claim = 0;
  };
  // One shell: text to write, keys to read.
  struct Session {
    Channel channel;
    std::string queue;
    std::string writing;
    Bytes input = Bytes(256);
  };
  struct Client {
    std::deque<std::string> lines;
    std::map<std::uint64_t, Forward> forwards;
    std::vector<std::shared_ptr<Session>> sessions;
  };

  Result<std::uint32_t> grant(const ForwardRequest& request);
  Result<std::uint32_t> cancel(const ForwardRequest& request);
  void say(std::uint64_t link, const std::string& line);
  void write(const std::shared_ptr<Session>& session, const std::string& line);
  void pump(const std::shared_ptr<Session>& session);
  void listen(std::uint64_t link, const std::shared_ptr<Session>& session);
  void drop(std::uint64_t link, const std::shared_ptr<Session>& session);

  std::shared_ptr<Registry> registry_;
  Peer& peer_;
  std::string domain_;
  Duration open_timeout_;
  std::uint64_t last_forward_ = 0;
  std::map<std::uint64_t, Client> clients_;  // by link
};

}  // namespace streamkit::tunnel
