// Reader of authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). Lines are taken whole or not
// at all. No file is opened here; options are read in key_options.cpp.
#include "key_options.hpp"
#include "trust_file.hpp"

#include <streamkit/io/stream.hpp>

#include <tuple>
#include <unordered_map>

namespace streamkit {
namespace {

using namespace trust_file;
using crypto::PublicKey;

/// Where the options end: the first blank outside quotes.
std::size_t options_length(std::string_view line) noexcept {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '"')
      ++i;
    else if (line[i] == '"')
      quoted = !quoted;
    else if (!quoted && kBlanks.find(line[i]) != std::string_view::npos)
      return i;
  }
  return line.size();
}

/// Key types by their look, so that an unsupported one is called that and not an unknown option.
bool looks_like_key_type(std::string_view field) noexcept {
  return field.starts_with("ssh-") || field.starts_with("ecdsa-") || field.starts_with("sk-");
}

Result<AuthorizedKeys::Entry> read_authorized(std::string_view line) {
  AuthorizedKeys::Entry entry;
  if (has_control(line)) return Error(Errc::bad_file, "there is a control character in it");
  if (!looks_like_key_type(line)) {
    const std::string_view options = take(line, options_length(line));
    const Result<void> read = read_key_options(options, entry);
    if (!read) return read.error();
  }
  Result<PublicKey> key = take_key(line);
  if (!key) return key.error();
  entry.key = std::move(*key);
  entry.comment = line;
  return entry;
}

bool same_options(const AuthorizedKeys::Entry& a, const AuthorizedKeys::Entry& b) {
  const auto options = [](const AuthorizedKeys::Entry& e) {
    return std::tie(e.names, e.principals, e.sources, e.expires, e.max_links, e.port_forwarding,
                    e.permit_open, e.permit_listen, e.command, e.services, e.max_channels);
  };
  return options(a) == options(b);
}

bool takes(const std::vector<std::string>& patterns, std::string_view text) noexcept {
  if (patterns.empty()) return true;
  PatternList list(text);
  for (const std::string& pattern : patterns) list.meet(pattern);
  return list.takes();
}

}  // namespace

AuthorizedKeys AuthorizedKeys::parse(std::string_view text) {
  AuthorizedKeys out;
  std::unordered_map<std::string, std::size_t> index;  // of each key's blob in entries_
  for_each_line(text, [&](std::size_t number, std::string_view line) {
    Result<Entry> entry = read_authorized(line);
    if (!entry) {
      report(out.problems_, number, entry.error().message());
      return;
    }
    entry->line = number;
    // A key may be both: somebody's, and an authority.
    const std::string same = (entry->is_authority ? "a" : "k") + to_string(entry->key.blob());
    const auto [at, is_new] = index.emplace(same, out.entries_.size());
    if (is_new) {
      out.entries_.push_back(std::move(*entry));
      return;
    }
    const Entry& first = out.entries_[at->second];
    if (!same_options(first, *entry))
      report(out.problems_, number,
             "the key is on line " + std::to_string(first.line) +
                 " already, with other options; put all of them on one line");
  });
  return out;
}

const AuthorizedKeys::Entry* AuthorizedKeys::find(const PublicKey& key) const noexcept {
  return find(key, false);
}
const AuthorizedKeys::Entry* AuthorizedKeys::find_authority(const PublicKey& key) const noexcept {
  return find(key, true);
}

const AuthorizedKeys::Entry* AuthorizedKeys::find(const PublicKey& key,
                                                  bool authority) const noexcept {
  if (key.is_empty()) return nullptr;
  for (const Entry& entry : entries_)
    if (entry.is_authority == authority && entry.key == key) return &entry;
  return nullptr;
}

bool AuthorizedKeys::allows_name(const Entry& entry, std::string_view name) noexcept {
  return takes(entry.names, name);
}

bool AuthorizedKeys::allows_service(const Entry& entry, std::string_view service) noexcept {
  return (entry.command.empty() || entry.command == service) && takes(entry.services, service);
}

bool AuthorizedKeys::allows_source(const Entry& entry, std::string_view host) {
  if (entry.sources.empty()) return true;
  const std::string address(host.substr(0, host.find('%')));  // without the zone
  if (const auto is_address = io::is_in_networks(address, "0.0.0.0/0,::/0");
      !is_address || !*is_address)
    return false;
  bool taken = false;
  for (const std::string& source : entry.sources) {
    std::string_view pattern = source;
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    bool fits = matches_pattern(lower(pattern), address);
    if (pattern.find_first_of("*?") == pattern.npos) {
      const Result<bool> is_in = io::is_in_networks(address, pattern);
      if (!is_in) return false;
      fits = *is_in;
    }
    if (fits && negated) return false;
    taken = taken || fits;
  }
  return taken;
}

bool AuthorizedKeys::allows_open(const Entry& entry, std::string_view host,
                                 std::uint32_t port) noexcept {
  if (!entry.port_forwarding) return false;
  const auto fits = [&](const Place& place) {
    return (place.host == "*" || place.host == host) && (place.port == 0 || place.port == port);
  };
  return entry.permit_open.empty() ||
         std::any_of(entry.permit_open.begin(), entry.permit_open.end(), fits);
}

bool AuthorizedKeys::allows_listen(const Entry& entry, std::string_view host,
                                   std::uint32_t port) noexcept {
  if (!entry.port_forwarding || !entry.command.empty()) return false;
  const auto fits = [&](const Place& place) {
    return matches_pattern(place.host, host) && (place.port == 0 || place.port == port);
  };
  return entry.permit_listen.empty() ||
         std::any_of(entry.permit_listen.begin(), entry.permit_listen.end(), fits);
}

}  // namespace streamkit
