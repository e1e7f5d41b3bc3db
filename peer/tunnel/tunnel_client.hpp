// TunnelClient: one tunnel's life on the client's side: registers over each link that comes up,
// takes visitors and joins them to the target. On the Context only; Tunnel (the handle) takes the
// Lock.
#pragma once

#include <streamkit/io/stream.hpp>
#include <streamkit/peer/peer.hpp>
#include <streamkit/tunnel/tunnel.hpp>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace streamkit::tunnel {

/// How a failed attempt to reach the relay, or to register, ends a tunnel.
Ending ending_of(const Error& error) noexcept;
/// Whether another attempt may succeed without anybody changing anything.
bool may_pass(const Error& error) noexcept;

class TunnelClient : public std::enable_shared_from_this<TunnelClient> {
 public:
  /// `known_before`: whether this relay key had been seen already.
  TunnelClient(std::shared_ptr<io::Context> context, TunnelOptions options, TunnelEvents events,
               std::function<bool(const crypto::PublicKey&)> known_before);

  /// Hooks into the peer's events and dials.
  void start(Peer& peer);
  /// Gives the name back. Nothing is told after this but the end.
  void stop();
  State state() const noexcept { return state_; }
  Result<Online> wait_online(const Until& until);

 private:
  struct Active {
    Visit visit;
    Channel channel;
    std::unique_ptr<io::Connect> connect;
  };

  PeerEvents peer_events();
  void link_up(const PeerInfo& relay);
  void link_down(const Error& why);
  void register_tunnel();
  void registered(Channel channel);
  void registration_failed(const Error& error);
  void registration_ended(const Result<Closed>& end);
  void retry_later(const Error& why);
  void accept_next();
  void begin(Channel channel);
  void connected(std::uint64_t number, Result<std::unique_ptr<io::Stream>> stream);
  void ended(std::uint64_t number, const JoinStats* stats);
  void finish(Ending how, const Error& why);
  OpenOptions wish() const;
  void log(std::string_view level, const std::string& line) const;

  const std::shared_ptr<io::Context> context_;
  TunnelOptions options_;
  const TunnelEvents events_;
  const std::function<bool(const crypto::PublicKey&)> known_before_;
  Peer* peer_ = nullptr;
  State state_ = State::connecting;
  bool was_online_ = false;
  bool first_contact_ = false;
  PeerInfo relay_;             // link 0: none
  std::uint16_t port_;         // tcp: to ask for, the one that we had last; 0: any
  std::uint64_t attempt_ = 0;  // of registering; answers to older ones are stale
  std::optional<Channel> registration_;
  io::Timer retry_;
  Duration retry_wait_{};
  std::map<std::uint64_t, Active> visits_;
  std::uint64_t last_visit_ = 0;

  // For wait_online(), which waits off the Context.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<Online>> first_;
};

}  // namespace streamkit::tunnel
