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

/// What a user name stands for that a peer made of its name (user_name()).
std::string decoded(const std::string& user) {
  const auto hex = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  std::string name;
  for (std::size_t i = 0; i < user.size(); ++i) {
    if (user[i] == '%' && i + 2 < user.size() && hex(user[i + 1]) >= 0 && hex(user[i + 2]) >= 0) {
      name += static_cast<char>(hex(user[i + 1]) * 16 + hex(user[i + 2]));
      i += 2;
    } else {
      name += user[i];
    }
  }
  return name;
}

/// The name that somebody claims with the user name of the authentication.
std::string claimed_name(const Connection& connection, const std::string& user) {
  const bool is_encoded = connection.is_native() && connection.settings().wire == channel::Wire::streamkit;
  return is_encoded ? decoded(user) : user;
}

}  // namespace

Result<void> Peer::Impl::refresh_trust() {
  return files.refresh(options.trust, [this](std::string_view level, const std::string& line) { log(level, line); });
}

// Without the list nobody is let in.
Result<void> Peer::Impl::judge_revocation(const Credential& shown) const {
  const Result<RevokedKeys>& revoked = files.revoked();
  const std::string& file = options.trust.revoked_keys_file;
  if (!revoked) return Error(Errc::auth_denied, revoked.error().message());
  if (shown.certificate && revoked->has(*shown.certificate))
    return Error(Errc::auth_denied, shown.certificate->description() + " is revoked, or its key or authority is (" + file + ")");
  if (revoked->has(shown.key)) return Error(Errc::auth_denied, "the key " + shown.key.fingerprint() + " is revoked (" + file + ")");
  return {};
}

Result<KnownHosts> Peer::Impl::known_hosts() const {
  const std::string& file = options.trust.known_hosts_file;
  if (file.empty() || !io::file_exists(file)) return KnownHosts();
  const Result<std::string> text = io::read_file(file);
  if (!text) return Error(Errc::host_key_unknown, "cannot read " + file + ": " + text.error().message());
  return KnownHosts::parse(*text);
}

// A host's certificate is asked for where somebody's word for it would count.
bool Peer::Impl::knows_authority(const Endpoint& endpoint) const {
  if (options.trust.host_keys == Trust::HostKeys::any_insecure) return false;
  const Result<KnownHosts> known = known_hosts();
  const auto [host, port] = host_name(endpoint);
  return known && known->has_authority(host, port);
}

Result<bool> Peer::Impl::judge_host_key(Connection& connection, const Credential& shown) {
  const Trust& trust = options.trust;
  const Endpoint endpoint(connection.settings().endpoint);
  (void)refresh_trust();
  if (Result<void> good = judge_revocation(shown); !good)
    return Error(Errc::host_key_mismatch, endpoint.text() + ": " + good.error().message());
  if (trust.host_keys == Trust::HostKeys::any_insecure) return false;
  const Result<KnownHosts> known = known_hosts();
  if (!known) return known.error();
  for (const std::string& problem : known->problems()) log("warning", trust.known_hosts_file + ": " + problem);
  if (!shown.certificate) return judge_plain_key(endpoint, shown.key, *known, {});

  const crypto::Certificate& certificate = *shown.certificate;
  const auto [host, port] = host_name(endpoint);
  const auto authority = known->check_authority(host, port, certificate.signature_key());
  if (authority.verdict == KnownHosts::Verdict::revoked)
    return Error(Errc::host_key_mismatch, "the authority of " + certificate.description() + " of " + endpoint.text() + " is marked @revoked in " +
                                              trust.known_hosts_file + " line " + std::to_string(authority.line));
  Result<void> good = certificate.check(io::unix_seconds(), crypto::CertificateType::host, host);
  if (authority.verdict != KnownHosts::Verdict::known)
    good = Error(Errc::auth_denied, certificate.description() + " is by an authority that no @cert-authority line has for this host");
  // A key that is marked @revoked is of no use with a certificate either.
  if (good && known->check(host, port, shown.key).verdict != KnownHosts::Verdict::revoked) return true;
  if (!good) log("warning", endpoint.text() + ": " + good.error().message());
  return judge_plain_key(endpoint, shown.key, *known, good ? "" : good.error().message());
}

bool Peer::Impl::is_pinned(const crypto::PublicKey& key) const {
  const auto& pins = options.trust.known_host_keys;
  return std::find(pins.begin(), pins.end(), key.fingerprint()) != pins.end();
}

// A key by itself: no certificate came with it, or one that does not count, for the reason `beside`. False,
// if it is taken.
Result<bool> Peer::Impl::judge_plain_key(const Endpoint& endpoint, const crypto::PublicKey& key, const KnownHosts& known,
                                         const std::string& beside) {
  const Trust& trust = options.trust;
  const std::string& file = trust.known_hosts_file;
  const std::string shown = key.fingerprint(), also = beside.empty() ? "" : ". Its certificate does not help: " + beside;
  const auto [host, port] = host_name(endpoint);
  const KnownHosts::Answer answer = known.check(host, port, key);
  const std::string where = file + " line " + std::to_string(answer.line);
  if (answer.verdict == KnownHosts::Verdict::revoked)  // before every other word for the key
    return Error(Errc::host_key_mismatch, "the key " + shown + " of " + endpoint.text() + " is marked @revoked in " + where);
  if (is_pinned(key) || (trust.host_key && trust.host_key(endpoint, key)) || answer.verdict == KnownHosts::Verdict::known) return false;
  if (answer.verdict == KnownHosts::Verdict::changed)
    return Error(Errc::host_key_mismatch,
                 (answer.expected.empty()
                      ? endpoint.text() + " showed the host key " + shown + ", and what is known of it cannot be read (" + where +
                            "): mend or remove that line and connect again"
                      : "THE HOST KEY OF " + endpoint.text() + " HAS CHANGED: it showed " + shown + ", known is " +
                            fingerprints(answer.expected) + " (" + where +
                            "). Someone may be listening in. If the change is expected, remove that line and connect again.") +
                     also);
  if (!trust.known_host_keys.empty())
    return Error(Errc::host_key_mismatch, endpoint.text() + " showed the host key " + shown + ", which is not among the pinned ones" + also);
  if (known.has_authority(host, port))  // no first contact: an authority should have vouched for it
    return Error(Errc::host_key_mismatch, endpoint.text() + " showed the host key " + shown + ", and " + file +
                                              " has a @cert-authority for it whose certificate it should show" + also);
  if (trust.host_keys == Trust::HostKeys::tofu && !file.empty()) {
    if (Result<void> written = remember(endpoint, key); !written) return written.error();
    return false;
  }
  return Error(Errc::host_key_unknown, "the host key " + shown + " of " + endpoint.text() +
                                           " is not known; pin it (known_host_keys or known_hosts) after checking the fingerprint" + also);
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

// ---------------------------------------------------------------- users

// Whether a line lets somebody in who comes as `name`, who has the key that it names or a certificate by it.
Result<Grant> Peer::Impl::judge_line(const std::string& file, const AuthorizedKeys::Entry& line, const Connection& connection,
                                     const std::string& name) const {
  const std::string where = file + " line " + std::to_string(line.line);
  const std::string& address = connection.settings().address;
  if (!AuthorizedKeys::allows_name(line, name))
    return Error(Errc::auth_denied, "it comes as '" + escape(name, 64) + "', which " + where + " does not allow");
  if (!AuthorizedKeys::allows_source(line, Endpoint("tcp://" + address).host()))
    return Error(Errc::auth_denied, "it comes from " + (address.empty() ? "a unix socket" : address) + ", which " + where + " does not allow");
  if (io::unix_seconds() > line.expires) return Error(Errc::auth_denied, where + " has expired");
  return std::make_shared<const AuthorizedKeys::Entry>(line);
}

Result<Grant> Peer::Impl::judge_plain(const Connection& connection, const std::string& name, const crypto::PublicKey& key) const {
  const Trust& trust = options.trust;
  const Error unknown(Errc::auth_denied, "the key " + key.fingerprint() + " is not authorized");
  if (trust.authorized_keys_file.empty() && trust.authorized_keys.empty() && !trust.public_key && trust.user_ca_file.empty())
    return key == identity.public_key() ? Result<Grant>(Grant()) : unknown;
  if (std::find(trust.authorized_keys.begin(), trust.authorized_keys.end(), key) != trust.authorized_keys.end()) return Grant();
  if (trust.public_key && trust.public_key(name, key)) return Grant();
  const AuthorizedKeys::Entry* line = files.keys().find(key);
  if (!line) return unknown;
  Result<Grant> grant = judge_line(trust.authorized_keys_file, *line, connection, name);
  if (!grant) return Error(Errc::auth_denied, unknown.message() + ": " + grant.error().message());
  return grant;
}

// Whether the word of that authority counts, for that name.
Result<Grant> Peer::Impl::judge_authority(const Connection& connection, const std::string& name, const crypto::Certificate& certificate) const {
  const crypto::PublicKey& authority = certificate.signature_key();
  Result<Grant> grant = Error(Errc::auth_denied, "it is by an authority that is not trusted here (user_ca_file, or cert-authority in authorized_keys_file)");
  if (const auto* line = files.authorities().find(authority)) grant = judge_line(options.trust.user_ca_file, *line, connection, name);
  const AuthorizedKeys::Entry* line = grant ? nullptr : files.keys().find_authority(authority);
  if (line) {
    const auto& has = certificate.principals();
    const auto is_listed = [&](const std::string& p) { return std::find(has.begin(), has.end(), p) != has.end(); };
    if (!line->principals.empty() && std::none_of(line->principals.begin(), line->principals.end(), is_listed))
      grant = Error(Errc::auth_denied, "it has none of the principals that " + options.trust.authorized_keys_file + " line " +
                                           std::to_string(line->line) + " asks for");
    else
      grant = judge_line(options.trust.authorized_keys_file, *line, connection, name);
  }
  if (!grant) return Error(Errc::auth_denied, certificate.description() + " does not count: " + grant.error().message());
  return grant;
}

// The name that is claimed has to be one of the principals, whoever signed.
Result<Grant> Peer::Impl::judge_certificate(const Connection& connection, const std::string& name, const crypto::Certificate& certificate) const {
  Result<Grant> trusted = judge_authority(connection, name, certificate);
  if (!trusted) return trusted;
  if (Result<void> good = certificate.check(io::unix_seconds(), crypto::CertificateType::user, name); !good) return good.error();
  if (const auto* sources = certificate.critical_option("source-address")) {
    const std::string& address = connection.settings().address;
    const Result<bool> here = io::is_in_networks(Endpoint("tcp://" + address).host(), *sources->text());
    if (!here || !*here)
      return Error(Errc::auth_denied, certificate.description() + " is good from " + escape(*sources->text(), 128) + " only, and came from " +
                                          (address.empty() ? "a unix socket" : address));
  }
  return trusted;
}

Result<Grant> Peer::Impl::admit(const Connection& connection, const std::string& name, const Credential& shown) const {
  if (Result<void> good = judge_revocation(shown); !good) return good.error();
  return shown.certificate ? judge_certificate(connection, name, *shown.certificate) : judge_plain(connection, name, shown.key);
}

// How many links the key has, but for one that this one will take the place of.
Result<void> Peer::Impl::judge_number(const Connection& connection, const std::string& name, const crypto::PublicKey& key, const Grant& grant) const {
  if (!grant || grant->max_links == 0) return {};
  const bool replaces = connection.is_native() && options.trust.same_name_same_key == Trust::SameKey::replace;
  std::size_t others = 0;
  for (const auto& [id, link] : connections) {
    const bool counts = link.get() != &connection && !link->is_down() && !link->settings().outgoing && link->info().key == key;
    others += counts && !(replaces && link->is_native() && link->info().name == name);
  }
  if (others < grant->max_links) return {};
  return Error(Errc::limit, "this key may have " + std::to_string(grant->max_links) + " links at once");
}

Result<void> Peer::Impl::judge_key(Connection& connection, const std::string& user, const Credential& shown, bool verified) {
  if (is_shut) return Errc::shutting_down;
  (void)refresh_trust();
  const std::string name = claimed_name(connection, user);
  const Result<Grant> grant = admit(connection, name, shown);
  if (!grant) {
    log("info", "refused '" + escape(user, 64) + "' from " + connection.settings().address + ": " + grant.error().message());
    return Errc::auth_denied;
  }
  if (verified) {
    if (Result<void> room = judge_number(connection, name, shown.key, *grant); !room) return room;
    connection.set_grant(*grant);
  }
  // A name of ours is refused here, before anything else is said. Stock software claims none.
  return connection.is_native() ? judge_name(connection, name, shown.key) : Result<void>();
}

// Links whose key would not be let in any more go; the others get what their line grants now.
Result<void> Peer::Impl::reload_trust() {
  if (is_shut) return Errc::shutting_down;
  const Result<void> read = refresh_trust();
  if (files.is_behind()) return read;
  for (const auto& [id, link] : std::map(connections)) {  // also those that are not up yet
    const PeerInfo info = link->info();
    if (link->is_down() || link->settings().is_inproc || info.key.is_empty()) continue;
    const std::string name = link->is_up() ? info.name : claimed_name(*link, info.name);
    const Credential shown{info.key, info.certificate};
    Result<Grant> grant = Grant();
    if (!info.outgoing)
      grant = admit(*link, name, shown);
    else if (Result<void> good = judge_revocation(shown); !good)
      grant = good.error();
    if (grant) {
      link->set_grant(std::move(*grant));
      continue;
    }
    log("info", "closing the link to '" + escape(info.name, 64) + "' at " + info.address + ": " + grant.error().message());
    link->fail(Error(Errc::closed, "the key is not accepted here any more"));
  }
  log("info", "authorised and revoked keys were read again");
  return read;
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
    if (decoded(info.name) != hello.peer_name)
      return Error(Errc::bad_name, "it authenticated as '" + escape(info.name, 64) + "' but calls itself '" + escape(hello.peer_name, 64) + "'");
  }
  if (hello.peer_name.empty() || hello.peer_name.size() > 255 || !is_valid_utf8(hello.peer_name)) return Errc::bad_name;
  return judge_name(connection, hello.peer_name, info.key);
}

// ---------------------------------------------------------------- our own certificates

Result<std::vector<crypto::Certificate>> Peer::Impl::load_certificates(const PeerOptions& options, const crypto::PublicKey& key) {
  std::vector<std::string> files = options.identity_certificate_files;
  const std::string beside = options.identity || options.identity_file.empty() ? "" : options.identity_file + "-cert.pub";
  if (files.empty() && !beside.empty() && io::file_exists(beside)) files = {beside};
  std::vector<crypto::Certificate> certificates;
  for (const std::string& file : files) {
    Result<crypto::Certificate> certificate = load_certificate(file);
    if (!certificate) return certificate.error();
    if (!certificate->fits(key))
      return Error(Errc::bad_file, file + ": " + certificate->description() + " is for the key " + certificate->key().fingerprint() +
                                       ", and ours is " + key.fingerprint() + "; have ours signed, or remove the file");
    for (const crypto::Certificate& other : certificates)
      if (other.type() == certificate->type())
        return Error(Errc::bad_file, file + ": there is another certificate of that type; name one for users and one for hosts");
    certificates.push_back(std::move(*certificate));
  }
  return certificates;
}

// They are renewed while we run. One that went bad meanwhile is as good as none.
std::optional<crypto::Certificate> Peer::Impl::own_certificate(crypto::CertificateType type) const {
  const Result<std::vector<crypto::Certificate>> certificates = load_certificates(options, identity.public_key());
  if (!certificates) {
    if (options.log) options.log("warning", "going on without certificate: " + certificates.error().message());
    return {};
  }
  for (const crypto::Certificate& certificate : *certificates)
    if (certificate.type() == type) return certificate;
  return {};
}

// The engine's words, with what to do about it.
Error Peer::Impl::explain(const Connection& connection, const Error& error) const {
  if (!connection.settings().outgoing || !error.is(Errc::auth_denied)) return error;
  std::string also;
  const std::string& name = connection.settings().hello.peer_name;
  if (const auto certificate = own_certificate(crypto::CertificateType::user)) {
    const Result<void> good = certificate->check(io::unix_seconds(), crypto::CertificateType::user, name);
    also = good ? " It does not take " + certificate->description() + " either: does it trust that authority?"
                : " Our certificate is of no use: " + good.error().message() + ".";
  }
  return Error(Errc::auth_denied, connection.settings().endpoint + " does not let us in (" +
                                      identity.public_key().fingerprint() + " as '" + name + "'): " +
                                      error.message() + "." + also +
                                      " Add this line to its authorized_keys: " + identity.public_key().text());
}

}  // namespace streamkit
