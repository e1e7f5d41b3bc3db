#include "ssh_link.hpp"

#include <utility>

namespace streamkit {
namespace {

// An open may have 64 KiB of headers and 32 KiB of first data, which must fit one packet. Everybody
// takes 35000 bytes (RFC 4253 section 6.1); our own kind takes this.
constexpr std::size_t kNativePacket = 256 * 1024;

}  // namespace

Result<std::unique_ptr<SshLink>> SshLink::make(LinkOwner& owner,
                                               const std::shared_ptr<io::Context>& context,
                                               std::unique_ptr<io::Stream> stream, ssh::Role role,
                                               ssh::Config config, std::string agent) {
  std::unique_ptr<SshLink> link(new SshLink(owner, context, std::move(stream)));
  link->agent_option_ = std::move(agent);
  config.random = &link->random_;
  Result<ssh::Transport> transport = ssh::Transport::make(role, std::move(config), io::now());
  if (!transport) return transport.error();
  link->transport_.emplace(std::move(*transport));
  return link;
}

SshLink::SshLink(LinkOwner& owner, const std::shared_ptr<io::Context>& context,
                 std::unique_ptr<io::Stream> stream)
    : StreamLink(owner, std::move(stream), "the connection"), context_(context) {}

void SshLink::start() {
  flush();
  want_input();
}

Result<void> SshLink::send(ByteView header, ByteView body) {
  return transport_->send(header, body, io::now());
}

void SshLink::pump(TimePoint now) {
  for (bool any = true; any && !is_down_;) {
    any = false;
    while (!is_down_) {
      const std::optional<ByteView> payload = transport_->next_payload(now);
      if (!payload) break;
      any = true;
      if (const Result<void> r = owner_.link_payload(*payload, transport_->keeper(), now); !r) {
        close(r.error());
        owner_.link_down(r.error());
        return;
      }
      if (owner_.goes_first(payload->size())) return;
    }
    while (!is_down_) {
      std::optional<ssh::Event> event = transport_->poll_event();
      if (!event) break;
      any = true;
      handle(*event);
    }
  }
  want_input();
}

void SshLink::answer(const Result<void>& verdict) {
  if (verdict) return transport_->accept_auth();
  if (verdict.error().is(Errc::auth_denied)) return transport_->reject_auth();
  const auto reason = verdict.error().is(Errc::name_taken) || verdict.error().is(Errc::bad_name)
                          ? ssh::DisconnectReason::illegal_user_name
                          : ssh::DisconnectReason::too_many_connections;
  transport_->disconnect(reason, verdict.error().message());
}

template <class T>
Completion<T> SshLink::later(void (SshLink::*then)(Result<T>)) {
  return
      [context = context_, self = std::weak_ptr<SshLink*>(self_), then](Result<T> result) mutable {
        const auto loop = context.lock();
        if (!loop) return;
        loop->post([self = std::exchange(self, {}), then, result = std::move(result)]() mutable {
          const auto link = self.lock();
          if (!link || (*link)->is_down_) return;
          ((*link)->*then)(std::move(result));
          (*link)->owner_.link_active();
        });
      };
}

// The question about the host key stays open meanwhile.
void SshLink::ask_agent(const ssh::HostKeyReceived& session) {
  const auto context = context_.lock();
  const Result<std::string> path = Agent::path_of(agent_option_);
  if (!path || !context) {
    if (!path) owner_.link_log("warning", path.error().message());
    return transport_->accept_host_key();
  }
  agent_ = std::make_unique<Agent>(*context, *path);
  agent_->start(session, [this](const Result<std::vector<crypto::PublicKey>>& keys) {
    std::vector<ssh::Identity> identities;
    if (keys)
      for (const crypto::PublicKey& key : *keys) identities.emplace_back(key);
    else
      owner_.link_log("warning", "no keys from the ssh-agent: " + keys.error().message());
    transport_->accept_host_key(identities);
    owner_.link_active();
  });
}

void SshLink::let_agent_go() {
  if (!agent_) return;
  agent_->close();
  if (const auto context = context_.lock())
    context->keep(std::shared_ptr<Agent>(std::move(agent_)));
  agent_.reset();
}

void SshLink::judge_interactive() {
  const Conversation& c = *conversation_;
  owner_.judge_interactive({c.user, c.submethods, c.rounds}, later(&SshLink::judged_interactive));
}

void SshLink::judged_interactive(Result<InteractiveReply> reply) {
  const bool goes_on = reply && reply->verdict == InteractiveReply::Verdict::ask;
  if (goes_on) {
    const Result<void> asked = transport_->ask(reply->request);
    if (asked) return;
    reply = asked.error();
  }
  conversation_.reset();
  if (!reply) owner_.link_log("warning", "keyboard-interactive: " + reply.error().message());
  reply && reply->verdict == InteractiveReply::Verdict::accept ? transport_->accept_auth()
                                                               : transport_->reject_auth();
}

void SshLink::prompts_answered(Result<std::vector<SecretBytes>> answers) {
  Result<void> answered =
      answers ? transport_->answer_prompts(*answers) : Result<void>(answers.error());
  if (answered) return;
  owner_.link_log("info", "no answer to what the server asks: " + answered.error().message());
  transport_->decline();
}

void SshLink::handle(ssh::Event& event) {
  if (const auto* e = std::get_if<ssh::HostKeyReceived>(&event)) {
    if (const Result<void> verdict = owner_.judge_host_key({e->key, e->certificate})) {
      agent_option_.empty() ? transport_->accept_host_key() : ask_agent(*e);
    } else {
      rejected_ = verdict.error();
      transport_->reject_host_key(verdict.error());
    }
  } else if (const auto* offered = std::get_if<ssh::KeyOffered>(&event)) {
    answer(owner_.judge_key(offered->user, {offered->key, offered->certificate}, false));
  } else if (const auto* verified = std::get_if<ssh::KeyVerified>(&event)) {
    answer(owner_.judge_key(verified->user, {verified->key, verified->certificate}, true));
  } else if (const auto* password = std::get_if<ssh::PasswordOffered>(&event)) {
    answer(owner_.judge_password(password->user, as_text(password->password.view())));
  } else if (auto* started = std::get_if<ssh::InteractiveStarted>(&event)) {
    conversation_ = std::make_unique<Conversation>();
    conversation_->user = std::move(started->user);
    conversation_->submethods = std::move(started->submethods);
    judge_interactive();
  } else if (auto* response = std::get_if<ssh::InfoResponse>(&event)) {
    conversation_->rounds.push_back(std::move(response->answers));
    judge_interactive();
  } else if (const auto* asked = std::get_if<ssh::InfoRequest>(&event)) {
    owner_.answer_prompts(*asked, later(&SshLink::prompts_answered));
  } else if (const auto* needed = std::get_if<ssh::SignatureNeeded>(&event)) {
    if (!agent_) return transport_->decline();
    agent_->sign(*needed, [this](const Result<Bytes>& signature) {
      Result<void> good =
          signature ? transport_->provide_signature(*signature) : Result<void>(signature.error());
      if (!good) {
        owner_.link_log("warning", "no signature from the ssh-agent: " + good.error().message());
        transport_->decline();
      }
      owner_.link_active();
    });
  } else if (const auto* extensions = std::get_if<ssh::ExtensionsReceived>(&event)) {
    for (const auto& [name, value] : extensions->entries)
      if (name == "peer@streamkit") {
        transport_->set_max_send_packet(kNativePacket);
        owner_.link_native();
      }
  } else if (const auto* banner = std::get_if<ssh::Banner>(&event)) {
    owner_.link_banner(banner->text);
  } else if (const auto* done = std::get_if<ssh::Authenticated>(&event)) {
    conversation_.reset();
    let_agent_go();
    owner_.link_authenticated(done->user, {done->key, done->certificate});
  } else if (const auto* end = std::get_if<ssh::Disconnected>(&event)) {
    if (rejected_) return go_down(*rejected_);
    if (end->by_peer && end->reason == ssh::DisconnectReason::illegal_user_name)
      return go_down(Error(Errc::name_taken, end->error.message()));
    go_down(end->error);
  }
}

void SshLink::go_down(const Error& error) {
  // The flush may find the socket broken and come back here.
  if (is_down_ || std::exchange(is_going_down_, true)) return;
  flush();  // our own DISCONNECT, as far as the socket takes it
  end();
  let_agent_go();
  owner_.link_down(error);
}

void SshLink::close(const Error& why) {
  if (is_down_) return;
  transport_->disconnect(ssh::disconnect_reason(why), why.message());
  flush();
  end();
  let_agent_go();
}

Result<void> SshLink::handle_timeout() {
  if (is_down_) return {};
  return transport_->handle_timeout(io::now());
}

TimePoint SshLink::next_timeout() const {
  return is_down_ ? kNever : transport_->next_timeout().value_or(kNever);
}

}  // namespace streamkit
