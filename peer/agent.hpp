// Agent: a client of an ssh-agent (RFC 9987), for one SSH connection. It asks which keys the agent
// has, and for signatures by them. Private keys stay where they are; nothing is forwarded.
#pragma once

#include "agent_messages.hpp"

#include <streamkit/io/stream.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace streamkit {

/// For the connection to an agent and its keys, together, and for each signature.
inline constexpr std::chrono::seconds kAgentPatience{5};

/// On its Context. Destroying it drops what is under way. One call at a time: the next when the
/// completion of the last was called. After an error that is not Errc::refused it is of no more
/// use.
class Agent {
 public:
  using Keys = Function<void(Result<std::vector<crypto::PublicKey>>)>;
  using Signature = Function<void(Result<Bytes>)>;

  /// The socket's path. "SSH_AUTH_SOCK" stands for what that environment variable says.
  static Result<std::string> path_of(const std::string& option);

  Agent(io::Context& context, std::string path)
      : context_(context), path_(std::move(path)), timer_(context) {}
  /// Connects, says which session this is for, and asks for the keys. Once.
  void start(const ssh::HostKeyReceived& session, Keys done);
  void sign(const ssh::SignatureNeeded& needed, Signature done);
  /// Drops what is under way. For an owner that keeps it for its callers' sake.
  void close();

 private:
  using Answer = Function<void(Result<Bytes>)>;
  void ask(Bytes request, Answer done);
  void list();
  void write();
  void read();
  void give(Result<Bytes> answer);
  void start_timer();

  io::Context& context_;
  const std::string path_;
  std::unique_ptr<io::Connect> connect_;
  std::shared_ptr<io::Stream> stream_;
  io::Timer timer_;
  Bytes request_, received_;
  std::size_t written_ = 0;
  Answer answer_;
  Keys keys_;
};

}  // namespace streamkit
