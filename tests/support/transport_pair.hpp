// TransportPair: a client and a server Transport joined in memory. Bytes move, questions are
// answered and time passes only when a test says so.
#pragma once

#include "support/fixed_random.hpp"

#include <streamkit/ssh/transport.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace streamkit::testing {

/// One key of each type, made once in a test program.
inline const crypto::PrivateKey& test_key(crypto::KeyType type) {
  static std::vector<std::pair<crypto::KeyType, crypto::PrivateKey>> keys;
  for (const auto& [t, key] : keys)
    if (t == type) return key;
  keys.reserve(8);
  keys.emplace_back(type, crypto::PrivateKey::generate(type, 2048).value());
  return keys.back().second;
}

inline ssh::Config client_config() {
  ssh::Config config;
  config.user = "ada";
  config.identities = {ssh::Identity(test_key(crypto::KeyType::ed25519))};
  return config;
}
inline ssh::Config server_config() {
  ssh::Config config;
  config.host_keys = {test_key(crypto::KeyType::ed25519)};
  config.limits.auth_failure_delay = {};  // virtual time stands still in most tests
  return config;
}

/// One end: the Transport, what came out of it, and how its questions are answered.
struct PairEnd {
  explicit PairEnd(ssh::Role role, ssh::Config config, TimePoint now, std::uint64_t seed)
      : random(seed), transport([&] {
          config.random = &random;
          return ssh::Transport::make(role, std::move(config), now).value();
        }()) {}

  FixedRandom random;
  ssh::Transport transport;
  std::vector<std::string> log;  ///< names of events, in order
  std::vector<Bytes> payloads;
  bool keep_payloads = true;
  std::uint64_t payload_bytes = 0;
  std::optional<ssh::Authenticated> authenticated;
  std::optional<ssh::Disconnected> disconnected;
  std::optional<crypto::PublicKey> host_key;
  std::optional<crypto::Certificate> host_certificate;
  std::vector<std::pair<std::string, std::string>> extensions;
  std::string banner;
  Result<void> asked;  ///< of the last ask() or answer_prompts()

  // How questions are answered; an empty one leaves the question open.
  std::function<bool(const crypto::PublicKey&)> host_key_answer = [](const auto&) { return true; };
  std::function<bool(const ssh::KeyOffered&)> offer_answer = [](const auto&) { return true; };
  std::function<bool(const ssh::KeyVerified&)> key_answer = [](const auto&) { return true; };
  std::function<bool(const ssh::PasswordOffered&)> password_answer = [](const auto&) {
    return false;
  };
  /// What to ask next, or whether it is enough; nothing leaves the question open.
  using Reply = std::variant<std::monostate, bool, ssh::InfoRequest>;
  std::function<Reply(const ssh::InteractiveStarted&)> interactive_answer = [](const auto&) {
    return Reply(false);
  };
  std::function<Reply(const ssh::InfoResponse&)> response_answer = [](const auto&) {
    return Reply(false);
  };
  /// Nothing: declined.
  std::function<std::optional<std::vector<std::string>>(const ssh::InfoRequest&)> prompts_answer =
      [](const auto&) { return std::nullopt; };
  /// The signature; nothing: declined.
  std::function<std::optional<Bytes>(const ssh::SignatureNeeded&)> signature_answer =
      [](const auto&) { return std::nullopt; };
  std::function<void(const ssh::HostKeyReceived&)> on_host_key;
  std::vector<ssh::Identity> more_identities;  ///< known when the host key is
  std::function<void(ByteView)> on_payload;

  /// Puts `bytes` in, in pieces of at most `chunk`.
  void feed(ByteView bytes, TimePoint now, std::size_t chunk = std::size_t(-1)) {
    while (!bytes.empty() && !transport.is_closed()) {
      const MutableByteView room = transport.prepare();
      const std::size_t n = std::min({bytes.size(), room.size(), chunk});
      std::copy_n(bytes.begin(), n, room.begin());
      (void)transport.handle_input(n, now);
      bytes = bytes.subspan(n);
      drain(now);
    }
  }
  /// Takes payloads and events until there are none. True if there was anything.
  bool drain(TimePoint now) {
    bool any = false;
    for (bool more = true; more;) {
      more = false;
      while (const auto payload = transport.next_payload(now)) {
        more = true;
        payload_bytes += payload->size();
        if (on_payload) on_payload(*payload);
        if (keep_payloads) payloads.push_back(to_bytes(*payload));
      }
      while (auto event = transport.poll_event()) more = true, handle(*event);
      any = any || more;
    }
    return any;
  }
  bool has(std::string_view name) const {
    return std::find(log.begin(), log.end(), name) != log.end();
  }

 private:
  template <class Answer, class Question>
  void answer(const Answer& how, const Question& question) {
    if (!how) return;
    how(question) ? transport.accept_auth() : transport.reject_auth();
  }
  void reply(const Reply& reply) {
    if (const bool* verdict = std::get_if<bool>(&reply))
      *verdict ? transport.accept_auth() : transport.reject_auth();
    if (const auto* request = std::get_if<ssh::InfoRequest>(&reply))
      asked = transport.ask(*request);
  }
  void handle(ssh::Event& event) {
    std::visit([this](auto& e) { take(e); }, event);
  }
  void take(ssh::HostKeyReceived& e) {
    log.emplace_back("host_key");
    host_key = e.key;
    host_certificate = e.certificate;
    if (on_host_key) on_host_key(e);
    if (!host_key_answer) return;
    host_key_answer(e.key) ? transport.accept_host_key(more_identities)
                           : transport.reject_host_key(Error(Errc::host_key_unknown));
  }
  void take(ssh::KeyOffered& e) { log.emplace_back("key_offered"), answer(offer_answer, e); }
  void take(ssh::KeyVerified& e) { log.emplace_back("key_verified"), answer(key_answer, e); }
  void take(ssh::PasswordOffered& e) { log.emplace_back("password"), answer(password_answer, e); }
  void take(ssh::InteractiveStarted& e) {
    log.emplace_back("interactive");
    if (interactive_answer) reply(interactive_answer(e));
  }
  void take(ssh::InfoResponse& e) {
    log.emplace_back("answers");
    if (response_answer) reply(response_answer(e));
  }
  void take(ssh::InfoRequest& e) {
    log.emplace_back("prompts");
    if (!prompts_answer) return;
    const auto texts = prompts_answer(e);
    if (!texts) return transport.decline();
    std::vector<SecretBytes> answers;
    for (const std::string& text : *texts) answers.emplace_back(as_bytes(text));
    asked = transport.answer_prompts(answers);
  }
  void take(ssh::SignatureNeeded& e) {
    log.emplace_back("signature");
    if (!signature_answer) return;
    const std::optional<Bytes> signature = signature_answer(e);
    if (!signature) return transport.decline();
    asked = transport.provide_signature(*signature);
  }
  void take(ssh::ExtensionsReceived& e) {
    log.emplace_back("extensions");
    extensions = std::move(e.entries);
  }
  void take(ssh::Banner& e) {
    log.emplace_back("banner");
    banner += e.text;
  }
  void take(ssh::AuthAttemptFailed& e) { log.emplace_back("failed " + e.method); }
  void take(ssh::Authenticated& e) {
    log.emplace_back("authenticated");
    authenticated = std::move(e);
  }
  void take(ssh::Disconnected& e) {
    log.emplace_back("disconnected");
    disconnected = std::move(e);
  }
};

class TransportPair {
 public:
  explicit TransportPair(ssh::Config client_options = client_config(),
                         ssh::Config server_options = server_config())
      : client(ssh::Role::client, std::move(client_options), now, 1),
        server(ssh::Role::server, std::move(server_options), now, 2) {}

  TimePoint now{std::chrono::hours(1)};
  PairEnd client, server;
  std::size_t chunk = std::size_t(-1);  ///< bytes handed over at a time; 1 for the finest
  /// Sees, and may change, what goes from the client (true) or the server; called with each piece.
  std::function<void(bool from_client, Bytes& bytes)> wire;

  /// Moves bytes both ways until nothing moves any more.
  void drive() {
    for (bool more = true; more;) {
      more = client.drain(now) | server.drain(now);
      more = pass(client, server, true) || more;
      more = pass(server, client, false) || more;
    }
  }
  /// Lets time pass: every timer that falls due is told in its turn.
  void advance(Duration by) {
    const TimePoint end = now + by;
    while (true) {
      TimePoint next = end;
      for (PairEnd* e : {&client, &server})
        if (const auto at = e->transport.next_timeout()) next = std::min(next, std::max(*at, now));
      now = next;
      for (PairEnd* e : {&client, &server})
        if (const auto at = e->transport.next_timeout(); at && *at <= now)
          (void)e->transport.handle_timeout(now);
      drive();
      if (now >= end) return;
    }
  }
  bool is_open() const {
    return client.transport.is_authenticated() && server.transport.is_authenticated();
  }

 private:
  bool pass(PairEnd& from, PairEnd& to, bool from_client) {
    const ByteView out = from.transport.output();
    if (out.empty() || (!to.transport.wants_input() && !to.transport.is_closed())) return false;
    Bytes bytes = to_bytes(out);
    from.transport.consume_output(out.size());
    if (wire) wire(from_client, bytes);
    to.feed(bytes, now, chunk);
    return true;
  }
};

}  // namespace streamkit::testing
