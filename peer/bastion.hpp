// Bastion: an SSH server on the way to an endpoint (PROTOCOL.md section 8). A link of its own to
// it, judged like every link of ours, and one channel through it: the stream that the next link
// runs on.
#pragma once

#include "connection.hpp"

#include <streamkit/io/stream.hpp>

#include <memory>
#include <optional>

namespace streamkit {

class Bastion;

/// What a bastion asks of its peer, besides what a connection does. On the Context.
class BastionOwner : public ConnectionOwner {
 public:
  /// As DialerOwner's: the way to the bastion itself.
  virtual std::unique_ptr<io::Connect> dial(const Endpoint& to, Duration timeout,
                                            io::Connect::Done done) = 0;
  /// Makes a connection to `to` out of a fresh stream, as client, and starts it.
  virtual Result<std::shared_ptr<Connection>> make_link(ConnectionOwner& owner, const Endpoint& to,
                                                        std::unique_ptr<io::Stream> stream) = 0;
  /// The same error with what to do about it.
  virtual Error explain(const Connection& connection, const Error& error) const = 0;
  virtual void bastion_ended(Bastion& bastion) = 0;

 protected:
  ~BastionOwner() = default;
};

class Bastion final : public ConnectionOwner, public std::enable_shared_from_this<Bastion> {
 public:
  /// The way to `to`, which has a via(). `done` gets the stream to it.
  Bastion(BastionOwner& owner, io::Context& context, Endpoint to, Duration timeout,
          io::Connect::Done done);
  ~Bastion();

  /// Once. Destroying what it gives cancels, as long as there is no stream.
  std::unique_ptr<io::Connect> start();
  /// The stream is closed: the link ends when the bastion has sent on what was written, or a moment
  /// later.
  void leave();
  /// Ends the link at once. `done` is not called.
  void end();
  /// Why the stream broke, if it was the bastion's doing.
  const std::optional<Error>& broken() const noexcept { return broken_; }
  io::Address target() const;
  bool is_waited_for() const noexcept { return static_cast<bool>(done_); }

  // ---- ConnectionOwner
  Result<bool> judge_host_key(Connection& connection, const Credential& shown) override;
  void answer_prompts(Connection& connection, const ssh::InfoRequest& asked,
                      Completion<std::vector<SecretBytes>> done) override;
  Result<void> judge_hello(Connection& connection, const channel::Hello& hello) override;
  void connection_up(Connection& connection) override;
  void connection_down(Connection& connection, const Error& error) override;
  void incoming(Connection& connection, std::shared_ptr<ChannelState> state) override;
  void log(std::string_view level, std::string_view line) override;

 private:
  void reached(Result<std::unique_ptr<io::Stream>> stream);
  void opened(Result<Channel> channel);
  void fail(const Error& error);

  BastionOwner* owner_;  // until the end
  const Endpoint to_, at_;
  const Duration timeout_;
  io::Connect::Done done_;
  std::unique_ptr<io::Connect> connect_;
  std::shared_ptr<Connection> connection_;
  std::optional<Error> broken_;
  io::Timer farewell_;
};

}  // namespace streamkit
