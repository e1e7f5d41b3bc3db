// How a link begins on the ancestor's wire (PROTOCOL.md section 9): the server says its name, the
// client that it heard, and both have a few seconds for it. Who may be who is decided as ever: the
// server's client is its user name and key, and a server's name is judged with its host key.
#include "connection.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/channel/duplex.hpp>

namespace streamkit {

void Connection::greet() {
  phase_ = Phase::hello;
  hello_until_ = after(io::now(), settings_.greeting_timeout);
  greeting_ = std::make_unique<Greeting>();
  if (settings_.outgoing) return;  // the server speaks first
  const Bytes name = channel::duplex::encode_greeting(settings_.hello.peer_name);
  const Result<std::uint64_t> token =
      mux_.global_request(channel::duplex::kGreetingRequest, true, name);
  if (!token) return fail(token.error());
  hello_token_ = *token;
}

void Connection::handle_greeting(const channel::GlobalRequest& e) {
  const auto reply = [&](bool ok) {
    if (e.want_reply) (void)mux_.reply_global(ok);
  };
  if (!greeting_ || !settings_.outgoing) return reply(false);
  Result<std::string> name = channel::duplex::decode_greeting(e.payload);
  if (!name) {
    reply(false);
    return fail(Error(Errc::protocol, "malformed greeting"));
  }
  const Result<void> verdict = judge_name(*name);
  reply(verdict.has_value());
  if (!verdict) return fail(verdict.error());
  change_info([&](PeerInfo& info) { info.name = std::move(*name); });
  go_up();
}

void Connection::greeting_answered(bool ok) {
  if (!ok)
    return fail(Error(Errc::version_mismatch,
                      "the other side refused our greeting: it does not speak the wire of this "
                      "endpoint (?wire=duplex)"));
  // Since it authenticated, another key may have come up under its name.
  if (Result<void> verdict = judge_name(info_->name); !verdict) return fail(verdict.error());
  go_up();
}

Result<void> Connection::judge_name(const std::string& name) {
  channel::Hello hello;
  hello.peer_name = name;
  return owner_ ? owner_->judge_hello(*this, hello) : Result<void>(Errc::shutting_down);
}

void Connection::greeting_is_late() {
  fail(Error(Errc::timeout,
             std::string(settings_.outgoing ? "no greeting came from the other side"
                                            : "our greeting was not answered") +
                 " in time: does it speak the wire of this endpoint (?wire=duplex)?"));
}

void Connection::take_early_opens() {
  const std::unique_ptr<Greeting> greeting = std::move(greeting_);
  if (!greeting) return;
  for (channel::Opening& e : greeting->early) handle(e);
}

}  // namespace streamkit
