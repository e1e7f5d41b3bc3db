// Reader of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Lines are taken whole or not at
// all. No file is opened here; what a certificate says is not looked at, only whose word counts.
#include "trust_file.hpp"

#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>

namespace streamkit {
namespace {

using namespace trust_file;
using crypto::PublicKey;

/// How a host and port stand in the file.
std::string host_name(std::string_view host, std::uint16_t port) {
  std::string name = lower(host);
  if (port == 22 || port == 0) return name;
  return '[' + name + "]:" + std::to_string(port);
}

/// "|1|salt|hash": HMAC-SHA1 of the name under the salt.
bool read_hashed(std::string_view field, Bytes& salt, Bytes& hash) {
  constexpr std::string_view kMagic = "|1|";
  if (!field.starts_with(kMagic)) return false;
  field.remove_prefix(kMagic.size());
  const auto bar = field.find('|');
  if (bar == std::string_view::npos) return false;
  Result<Bytes> first = base64_decode(field.substr(0, bar));
  Result<Bytes> second = base64_decode(field.substr(bar + 1));
  const std::size_t size = crypto::hash_size(crypto::Hash::sha1);
  if (!first || !second || first->size() != size || second->size() != size) return false;
  salt = std::move(*first);
  hash = std::move(*second);
  return true;
}

/// Whether a key is whole, but of a kind that we accept from nobody (DSA, a hardware token's, RSA
/// of a size we refuse): to revoke it changes nothing.
bool is_never_accepted(std::string_view type, std::string_view base64) {
  const Result<Bytes> blob = base64_decode(base64);
  if (!blob) return false;
  wire::Reader reader(*blob);
  if (reader.text() != type || !reader.ok() || crypto::is_certificate_algorithm(type)) return false;
  if (type == crypto::key_type_name(crypto::KeyType::rsa)) {
    reader.string();
    reader.string();
    return reader.end();
  }
  using crypto::KeyType;
  for (const KeyType known :
       {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::ecdsa_p384, KeyType::ecdsa_p521})
    if (type == crypto::key_type_name(known)) return false;
  return true;
}

struct Markers {
  bool revoked = false, authority = false;
  std::string problem;
};

Markers take_markers(std::string_view& rest) {
  Markers markers;
  for (int count = 1; rest.starts_with('@'); ++count) {
    const std::string_view marker = take_field(rest);
    if (marker == "@revoked")
      markers.revoked = true;
    else if (marker == "@cert-authority")
      markers.authority = true;
    else
      markers.problem = "the marker \"" + escape(marker, 64) + "\" is not known";
    if (count > 1 && markers.problem.empty()) markers.problem = "there is more than one marker";
  }
  return markers;
}

}  // namespace

void KnownHosts::read_line(std::size_t number, std::string_view text) {
  std::string_view rest = text;
  const Markers markers = take_markers(rest);
  std::string problem = markers.problem;
  Entry entry;
  entry.line = number;
  entry.revoked = markers.revoked;
  entry.authority = markers.authority && !markers.revoked;
  const std::string_view hosts = take_field(rest);
  if (hosts.starts_with('|')) {
    if (!read_hashed(hosts, entry.salt, entry.hash)) {
      report(problems_, number, "the hashed host name is malformed");
      if (!entry.revoked) return;  // nobody can tell whom it names
      entry.patterns = "*";
    }
  } else {
    entry.patterns = lower(hosts);
  }
  std::string_view key_text = rest;
  Result<PublicKey> key = take_key(rest);
  if (has_control(text)) problem = "there is a control character in it";
  if (key && problem.empty()) {
    entry.key = std::move(*key);
  } else {
    report(problems_, number, problem.empty() ? key.error().message() : problem);
    const std::string_view type = take_field(key_text);
    if (entry.revoked && is_never_accepted(type, take_field(key_text))) return;
  }
  if (entry.patterns.empty() && entry.hash.empty()) {
    if (!entry.revoked) return;  // it names nobody
    entry.patterns = "*";
  }
  entries_.push_back(std::move(entry));
}

KnownHosts KnownHosts::parse(std::string_view text) {
  KnownHosts out;
  for_each_line(text,
                [&](std::size_t number, std::string_view line) { out.read_line(number, line); });
  return out;
}

Result<bool> KnownHosts::names(const Entry& entry, std::string_view host) {
  if (!entry.hash.empty()) {
    const Result<Bytes> hash = crypto::hmac(crypto::Hash::sha1, entry.salt, as_bytes(host));
    if (!hash) return hash.error();
    return crypto::equal_constant_time(*hash, entry.hash);
  }
  PatternList list(host);
  for_each_pattern(entry.patterns, [&](std::string_view pattern) { list.meet(pattern); });
  return list.takes();
}

KnownHosts::Answer KnownHosts::check(std::string_view host, std::uint16_t port,
                                     const PublicKey& key) const {
  Answer answer;
  if (host.empty() || key.is_empty()) {
    answer.verdict = Verdict::changed;
    return answer;
  }
  const std::string name = host_name(host, port);
  for (const Entry& entry : entries_) {
    if (entry.authority) continue;
    const Result<bool> named = names(entry, name);
    if (named && !*named) continue;
    // An entry that may be the host's, but cannot be compared, counts as one that differs.
    const bool readable = named && !entry.key.is_empty();
    if (entry.revoked) {
      if (!readable || entry.key == key) return {Verdict::revoked, entry.line, {}};
    } else if (readable && entry.key == key) {
      if (answer.verdict != Verdict::known) answer = {Verdict::known, entry.line, {}};
    } else if (answer.verdict != Verdict::known) {
      if (answer.verdict == Verdict::unknown) answer = {Verdict::changed, entry.line, {}};
      if (readable) answer.expected.push_back(entry.key);
    }
  }
  return answer;
}

Result<bool> KnownHosts::covers(const Entry& entry, std::string_view host, std::uint16_t port) {
  const std::string with_port = host_name(host, port), without = lower(host);
  if (!entry.hash.empty()) {
    const Result<bool> named = names(entry, with_port);
    return !named || *named ? named : names(entry, without);
  }
  PatternList first(with_port), second(without);
  for_each_pattern(entry.patterns,
                   [&](std::string_view pattern) { first.meet(pattern), second.meet(pattern); });
  return (first.takes() || second.takes()) && !first.refuses() && !second.refuses();
}

KnownHosts::Answer KnownHosts::check_authority(std::string_view host, std::uint16_t port,
                                               const PublicKey& authority) const {
  Answer answer;
  for (const Entry& entry : entries_) {
    if (!entry.authority && !entry.revoked) continue;
    const Result<bool> named = covers(entry, host, port);
    if (named && !*named) continue;
    const bool readable = named && !entry.key.is_empty();
    if (entry.revoked) {
      if (!readable || entry.key == authority) return {Verdict::revoked, entry.line, {}};
    } else if (readable && entry.key == authority && answer.verdict == Verdict::unknown) {
      answer = {Verdict::known, entry.line, {}};
    }
  }
  return answer;
}

bool KnownHosts::has_authority(std::string_view host, std::uint16_t port) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    if (!entry.authority) return false;
    const Result<bool> named = covers(entry, host, port);
    return !named || *named;
  });
}

std::string KnownHosts::line(std::string_view host, std::uint16_t port, const PublicKey& key) {
  constexpr std::string_view kMeansMore = "!|@#";
  const auto misread = [](char c) {
    return c <= ' ' || c >= 0x7f || c == ',' || c == '*' || c == '?';
  };
  if (key.is_empty() || host.empty() || kMeansMore.find(host.front()) != std::string_view::npos ||
      std::any_of(host.begin(), host.end(), misread))
    return {};
  return host_name(host, port) + ' ' + key.text();
}

}  // namespace streamkit
