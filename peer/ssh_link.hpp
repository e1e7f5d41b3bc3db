// SshLink: a stream and the SSH transport engine on it.
#pragma once

#include "agent.hpp"
#include "link.hpp"

#include <streamkit/crypto/random.hpp>
#include <streamkit/io/stream.hpp>

#include <memory>

namespace streamkit {

class SshLink final : public Link {
 public:
  static Result<std::unique_ptr<SshLink>> make(LinkOwner& owner,
                                               const std::shared_ptr<io::Context>& context,
                                               std::unique_ptr<io::Stream> stream, ssh::Role role,
                                               ssh::Config config, std::string agent = {});

  /// Nothing while the stream takes nothing: which channel goes next is decided when it does.
  std::size_t sendable_bytes() const noexcept override { return waits_writable_ ? 0 : transport_->sendable_bytes(); }
  Result<void> send(ByteView header, ByteView body) override;
  void start() override;
  void pump(TimePoint now) override;
  bool flush() override;
  bool await_room() override;
  bool has_output() const noexcept override;
  void close(const Error& why) override;
  Result<void> handle_timeout() override;
  TimePoint next_timeout() const override;
  TimePoint last_input() const override { return last_input_; }
  const ssh::ConnectionInfo* info() const override { return &transport_->info(); }
  void set_send_batch(std::size_t bytes) override { transport_->set_send_batch(bytes); }

 private:
  SshLink(LinkOwner& owner, const std::shared_ptr<io::Context>& context,
          std::unique_ptr<io::Stream> stream);
  void read();
  void want_input();
  void handle(ssh::Event& event);
  void answer(const Result<void>& verdict);
  /// A completion that whoever has it may call on any thread, when the link is gone, or never. The
  /// first call counts.
  template <class T>
  Completion<T> later(void (SshLink::*then)(Result<T>));
  void ask_agent(const ssh::HostKeyReceived& session);
  void let_agent_go();
  void judge_interactive();
  void judged_interactive(Result<InteractiveReply> reply);
  void prompts_answered(Result<std::vector<SecretBytes>> answers);
  void go_down(const Error& error);

  LinkOwner& owner_;
  const std::weak_ptr<io::Context> context_;
  const std::shared_ptr<SshLink*> self_ = std::make_shared<SshLink*>(this);  // goes with this
  struct Conversation {
    std::string user, submethods;
    std::vector<std::vector<SecretBytes>> rounds;
  };
  std::unique_ptr<Conversation> conversation_;
  std::string agent_option_;
  std::unique_ptr<Agent> agent_;  // until we are in
  std::unique_ptr<io::Stream> stream_;
  crypto::BufferedRandom random_;
  std::optional<ssh::Transport> transport_;
  TimePoint last_input_;
  std::optional<Error> rejected_;  // why we did not take the host key
  bool waits_readable_ = false, waits_writable_ = false, is_going_down_ = false, is_down_ = false;
};

}  // namespace streamkit
