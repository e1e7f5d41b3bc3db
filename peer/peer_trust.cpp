// Who may be here: the decisions of a Peer about host keys, user keys, passwords and names.
#include "peer_impl.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/digest.hpp>
#include <streamkit/io/file.hpp>
#include <streamkit/peer/trust.hpp>

#include <algorithm>

namespace streamkit {
namespace {

struct HostName {
  std::string host;
  std::uint16_t port;
};

// How known_hosts names an endpoint. A unix socket stands under its path, which no host name can be.
HostName host_name(const Endpoint& endpoint) {
  if (endpoint.kind() == Endpoint::Kind::unix_path) return {endpoint.path(), 22};
  std::string host = endpoint.host();
  std::transform(host.begin(), host.end(), host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return {host, endpoint.port()};
}

std::string fingerprints(const std::vector<crypto::PublicKey>& keys) {
  std::string text;
  for (const crypto::PublicKey& key : keys) text += (text.empty() ? "" : ", ") + key.fingerprint();
  return text;
}

}  // namespace

Result<void> Peer::Impl::judge_host_key(Connection& connection, const crypto::PublicKey& key) {
  const Trust& trust = options.trust;
  const Endpoint endpoint(connection.settings().endpoint);
  const std::string shown = key.fingerprint();
  if (trust.host_keys == Trust::HostKeys::any_insecure) return {};

  const auto [host, port] = host_name(endpoint);
  const std::string& file = trust.known_hosts_file;
  KnownHosts::Answer answer;
  if (!file.empty() && io::file_exists(file)) {
    const Result<std::string> text = io::read_file(file);
    if (!text) return Error(Errc::host_key_unknown, "cannot read " + file + ": " + text.error().message());
    const KnownHosts known = KnownHosts::parse(*text);
    for (const std::string& problem : known.problems()) log("warning", file + ": " + problem);
    answer = known.check(host, port, key);
  }
  const std::string where = file + " line " + std::to_string(answer.line);
  const bool is_pinned =
      std::find(trust.known_host_keys.begin(), trust.known_host_keys.end(), shown) != trust.known_host_keys.end();
  if (answer.verdict == KnownHosts::Verdict::revoked)  // before every other word for the key
    return Error(Errc::host_key_mismatch, "the key " + shown + " of " + endpoint.text() + " is marked @revoked in " + where);
  if (is_pinned || (trust.host_key && trust.host_key(endpoint, key)) || answer.verdict == KnownHosts::Verdict::known) return {};
  if (answer.verdict == KnownHosts::Verdict::changed)
    return Error(Errc::host_key_mismatch,
                 answer.expected.empty()
                     ? endpoint.text() + " showed the host key " + shown + ", and what is known of it cannot be read (" + where +
                           "): mend or remove that line and connect again"
                     : "THE HOST KEY OF " + endpoint.text() + " HAS CHANGED: it showed " + shown + ", known is " +
                           fingerprints(answer.expected) + " (" + where +
                           "). Someone may be listening in. If the change is expected, remove that line and connect again.");
  if (!trust.known_host_keys.empty())
    return Error(Errc::host_key_mismatch, endpoint.text() + " showed the host key " + shown + ", which is not among the pinned ones");
  if (trust.host_keys == Trust::HostKeys::tofu && !file.empty()) return remember(endpoint, key);
  return Error(Errc::host_key_unknown, "the host key " + shown + " of " + endpoint.text() +
                                           " is not known; pin it (known_host_keys or known_hosts) after checking the fingerprint");
}

// First contact under tofu.
Result<void> Peer::Impl::remember(const Endpoint& endpoint, const crypto::PublicKey& key) {
  const std::string& file = options.trust.known_hosts_file;
  const auto [host, port] = host_name(endpoint);
  const std::string line = KnownHosts::line(host, port, key);
  Result<void> written = line.empty() ? Result<void>(Error(Errc::bad_endpoint, "a known_hosts line cannot name it"))
                                      : io::append_line(file, line);
  if (!written)
    return Error(Errc::host_key_unknown, "cannot remember the host key of " + endpoint.text() + " in " + file + ": " + written.error().message());
  log("info", "first contact with " + endpoint.text() + ": trusting its key " + key.fingerprint() + " (" + file + ")");
  return {};
}

bool Peer::Impl::is_authorized(const std::string& name, const crypto::PublicKey& key) {
  const Trust& trust = options.trust;
  if (trust.authorized_keys_file.empty() && trust.authorized_keys.empty() && !trust.public_key)
    return key == identity.public_key();
  if (std::find(trust.authorized_keys.begin(), trust.authorized_keys.end(), key) != trust.authorized_keys.end()) return true;
  if (trust.public_key && trust.public_key(name, key)) return true;
  if (trust.authorized_keys_file.empty()) return false;
  const Result<std::string> text = io::read_file(trust.authorized_keys_file);
  if (!text) {
    log("warning", "cannot read " + trust.authorized_keys_file + ", so nobody in it is let in: " + text.error().message());
    return false;
  }
  const AuthorizedKeys keys = AuthorizedKeys::parse(*text);
  for (const std::string& problem : keys.problems()) log("warning", trust.authorized_keys_file + ": " + problem);
  const AuthorizedKeys::Entry* entry = keys.find(key);
  return entry && AuthorizedKeys::allows_name(*entry, name);
}

Result<void> Peer::Impl::judge_key(Connection& connection, const std::string& user, const crypto::PublicKey& key, bool) {
  if (is_shut) return Errc::shutting_down;
  if (!is_authorized(user, key)) {
    log("info", "refused key " + key.fingerprint() + " as '" + escape(user, 64) + "' from " + connection.settings().address);
    return Errc::auth_denied;
  }
  // A name of ours is refused here, before anything else is said. Stock software claims none.
  return connection.is_native() ? judge_name(connection, user, key) : Result<void>();
}

Result<void> Peer::Impl::judge_password(Connection&, const std::string& user, std::string_view password) {
  if (is_shut) return Errc::shutting_down;
  if (!options.trust.password || !options.trust.password(user, password)) return Errc::auth_denied;
  return {};
}

void Peer::Impl::judge_interactive(Connection&, const InteractiveTurn& turn, Completion<InteractiveReply> done) {
  if (is_shut || !options.trust.interactive) return done(InteractiveReply());
  options.trust.interactive(turn, std::move(done));
}

void Peer::Impl::answer_prompts(Connection& connection, const ssh::InfoRequest& asked,
                                Completion<std::vector<SecretBytes>> done) {
  if (is_shut || !options.trust.answer_prompts) return done(Errc::cancelled);
  options.trust.answer_prompts(Endpoint(connection.settings().endpoint), asked, std::move(done));
}

// No two live links carry one name under different keys.
Result<void> Peer::Impl::judge_name(const Connection& connection, const std::string& name, const crypto::PublicKey& key) const {
  for (const auto& link : up_links(name)) {
    if (link.get() == &connection || !link->is_native()) continue;
    if (!(link->info().key == key))
      return Error(Errc::name_taken, "the name '" + escape(name, 64) + "' is held by key " + link->info().key.fingerprint() +
                                         " from " + link->info().address + "; choose another name");
    if (options.trust.same_name_same_key == Trust::SameKey::refuse && link->settings().outgoing == connection.settings().outgoing)
      return Error(Errc::name_taken, "the name '" + escape(name, 64) + "' is already connected with this key");
  }
  if (name == options.name && !(key == identity.public_key()))
    return Error(Errc::name_taken, "the name '" + escape(name, 64) + "' is this peer's own; choose another name");
  return {};
}

Result<void> Peer::Impl::judge_hello(Connection& connection, const channel::Hello& hello) {
  // As a client the other side authenticated under a user name: it may not call itself otherwise after that.
  const PeerInfo& info = connection.info();
  if (!connection.settings().outgoing && !connection.settings().is_inproc && info.name != hello.peer_name) {
    // the user name was percent-encoded: compare what it stands for by encoding anew
    std::string decoded;
    for (std::size_t i = 0; i < info.name.size(); ++i) {
      const auto hex = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
      if (info.name[i] == '%' && i + 2 < info.name.size() && hex(info.name[i + 1]) >= 0 && hex(info.name[i + 2]) >= 0) {
        decoded += static_cast<char>(hex(info.name[i + 1]) * 16 + hex(info.name[i + 2]));
        i += 2;
      } else {
        decoded += info.name[i];
      }
    }
    if (decoded != hello.peer_name)
      return Error(Errc::bad_name, "it authenticated as '" + escape(info.name, 64) + "' but calls itself '" + escape(hello.peer_name, 64) + "'");
  }
  if (hello.peer_name.empty() || hello.peer_name.size() > 255 || !is_valid_utf8(hello.peer_name)) return Errc::bad_name;
  return judge_name(connection, hello.peer_name, info.key);
}

// The engine's words, with what to do about it.
Error Peer::Impl::explain(const Connection& connection, const Error& error) const {
  if (!connection.settings().outgoing || !error.is(Errc::auth_denied)) return error;
  return Error(Errc::auth_denied, connection.settings().endpoint + " does not let us in (" +
                                      identity.public_key().fingerprint() + " as '" + options.name + "'): " +
                                      error.message() +
                                      ". Add this line to its authorized_keys: " + identity.public_key().text());
}

}  // namespace streamkit
