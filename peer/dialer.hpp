// Dialer: keeps one endpoint connected. Connects, and after a loss connects again, with growing waits
// and jitter, until it is told to stop or learns that trying again cannot help.
#pragma once

#include "connection.hpp"

#include <streamkit/io/stream.hpp>

#include <memory>

namespace streamkit {

class Dialer;

/// What a dialer asks of its peer. On the Context.
class DialerOwner {
 public:
  /// Connects a stream to where `to` is, through its bastions if there are any.
  virtual std::unique_ptr<io::Connect> dial(const Endpoint& to, Duration timeout, io::Connect::Done done) = 0;
  /// Makes a connection out of a fresh stream, as client, and starts it.
  virtual Result<std::shared_ptr<Connection>> dialed(Dialer&, std::unique_ptr<io::Stream>) = 0;
  virtual Result<std::shared_ptr<Connection>> dial_inproc(Dialer&) = 0;
  virtual void dialer_waits(Dialer&, const Error&, Duration wait) = 0;
  virtual void dialer_gave_up(Dialer&, const Error&) = 0;

 protected:
  ~DialerOwner() = default;
};

class Dialer final {
 public:
  struct Policy {
    Reconnect reconnect;
    Duration connect_timeout;
  };

  Dialer(std::shared_ptr<io::Context> context, DialerOwner& owner, Endpoint endpoint, Policy policy,
         TimePoint first_deadline, Completion<PeerInfo> first);
  ~Dialer();

  void start();
  /// Ends dialing; the link, if there is one, is the owner's to close. A first connect still under
  /// way completes with `why`.
  void stop(const Error& why);
  void link_up(const PeerInfo& info);
  void link_down(const Error& error);

  const Endpoint& endpoint() const noexcept { return endpoint_; }
  const std::shared_ptr<Connection>& connection() const noexcept { return connection_; }
  bool was_up() const noexcept { return was_up_; }
  bool is_stopped() const noexcept { return stopped_; }
  bool is_first_pending() const noexcept { return static_cast<bool>(first_); }

 private:
  void attempt();
  void failed(const Error& error);
  void fail_first(const Error& error);

  const std::shared_ptr<io::Context> context_;
  DialerOwner& owner_;
  const Endpoint endpoint_;
  const Policy policy_;
  const TimePoint first_deadline_;
  Completion<PeerInfo> first_;
  std::unique_ptr<io::Connect> connect_;
  std::shared_ptr<Connection> connection_;
  io::Timer timer_, first_timer_;
  int failures_ = 0;
  bool was_up_ = false, stopped_ = false;
};

/// Where a socket is for a tcp or unix endpoint.
io::Address address_of(const Endpoint& endpoint);
/// Whether trying again may help.
bool is_transient(const Error& error) noexcept;

}  // namespace streamkit
