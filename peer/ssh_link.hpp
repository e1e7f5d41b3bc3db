// SshLink: a stream and the SSH transport engine on it.
#pragma once

#include "agent.hpp"
#include "stream_link.hpp"

#include <streamkit/crypto/random.hpp>

#include <memory>

namespace streamkit {

class SshLink final : public StreamLink {
 public:
  static Result<std::unique_ptr<SshLink>> make(LinkOwner& owner,
                                               const std::shared_ptr<io::Context>& context,
                                               std::unique_ptr<io::Stream> stream, ssh::Role role,
                                               ssh::Config config, std::string agent = {});

  /// Nothing while the stream takes nothing: which channel goes next is decided when it does.
  std::size_t sendable_bytes() const noexcept override { return awaits_room_ ? 0 : transport_->sendable_bytes(); }
  Result<void> send(ByteView header, ByteView body) override;
  void start() override;
  void pump(TimePoint now) override;
  void close(const Error& why) override;
  Result<void> handle_timeout() override;
  TimePoint next_timeout() const override;
  const ssh::ConnectionInfo* info() const override { return &transport_->info(); }
  void set_send_batch(std::size_t bytes) override { transport_->set_send_batch(bytes); }

 private:
  SshLink(LinkOwner& owner, const std::shared_ptr<io::Context>& context,
          std::unique_ptr<io::Stream> stream);
  bool wants_input() const override { return transport_->wants_input(); }
  MutableByteView prepare_input() override { return transport_->prepare(); }
  Result<void> take_input(std::size_t size) override { return transport_->handle_input(size, last_input_); }
  void input_ended() override { transport_->handle_eof(); }
  ByteView output() const noexcept override { return transport_->output(); }
  void consume_output(std::size_t size) override { transport_->consume_output(size); }
  void go_down(const Error& error) override;
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

  const std::weak_ptr<io::Context> context_;
  const std::shared_ptr<SshLink*> self_ = std::make_shared<SshLink*>(this);  // goes with this
  struct Conversation {
    std::string user, submethods;
    std::vector<std::vector<SecretBytes>> rounds;
  };
  std::unique_ptr<Conversation> conversation_;
  std::string agent_option_;
  std::unique_ptr<Agent> agent_;  // until we are in
  crypto::BufferedRandom random_;
  std::optional<ssh::Transport> transport_;
  std::optional<Error> rejected_;  // why we did not take the host key
  bool is_going_down_ = false;
};

}  // namespace streamkit
