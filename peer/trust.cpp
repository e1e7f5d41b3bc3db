// Readers of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") and authorized_keys
// ("AUTHORIZED_KEYS FILE FORMAT"). Lines are taken whole or not at all. No file is opened here, no
// certificate is understood: a @cert-authority line or a cert-authority option is refused, never
// half obeyed.
#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>
#include <streamkit/peer/trust.hpp>

#include <algorithm>
#include <unordered_map>

namespace streamkit {
namespace {

using crypto::PublicKey;

constexpr std::string_view kBlanks = " \t";

std::string_view trim(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Cuts the first `length` bytes off `rest`, and the blanks behind them.
std::string_view take(std::string_view& rest, std::size_t length) noexcept {
  const std::string_view field = rest.substr(0, length);
  rest.remove_prefix(field.size());
  rest = trim(rest);
  return field;
}

std::string_view take_field(std::string_view& rest) noexcept {
  return take(rest, rest.find_first_of(kBlanks));
}

/// Calls use(number, line) for every line that says something, trimmed.
template <class Use>
void for_each_line(std::string_view text, Use&& use) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim(line);
    if (!line.empty() && line.front() != '#') use(number, line);
  }
}

bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

void report(std::vector<std::string>& problems, std::size_t line, std::string_view why) {
  if (problems.size() > kMaxTrustProblems) return;
  if (problems.size() == kMaxTrustProblems) {
    problems.emplace_back("further lines have problems too");
    return;
  }
  problems.push_back("line " + std::to_string(line) + ": " + escape(why, 256));
}

/// Whether a list of patterns takes `text`: one has to match, and none that begins with '!'.
class PatternList {
 public:
  explicit PatternList(std::string_view text) noexcept : text_(text) {}
  void meet(std::string_view pattern) noexcept {
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!matches_pattern(pattern, text_)) return;
    (negated ? refused_ : taken_) = true;
  }
  bool takes() const noexcept { return taken_ && !refused_; }

 private:
  std::string_view text_;
  bool taken_ = false, refused_ = false;
};

template <class Use>
void for_each_pattern(std::string_view list, Use&& use) {
  while (true) {
    const auto comma = list.find(',');
    use(list.substr(0, comma));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// The type and the base64 text at the head of `rest`, as a key whose type is the declared one.
Result<PublicKey> take_key(std::string_view& rest) {
  const std::string_view type = take_field(rest);
  const std::string_view blob = take_field(rest);
  if (blob.empty()) return Error(Errc::bad_key, "the key is missing or incomplete");
  return PublicKey::from_text(std::string(type) + ' ' + std::string(blob));
}

// ---- known_hosts

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
  if (reader.text() != type || !reader.ok()) return false;
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
  if (markers.authority && !markers.revoked) {
    report(problems_, number, "certificate authorities are not supported");
    return;
  }
  Entry entry;
  entry.line = number;
  entry.revoked = markers.revoked;
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

// ---- authorized_keys

namespace {

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

/// The value between quotes at the head of `rest`, where \" stands for a quote.
Result<std::string> take_quoted(std::string_view& rest) {
  if (!rest.starts_with('"')) return Error(Errc::bad_file, "an option's value is not in quotes");
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\' && i + 1 < rest.size() && rest[i + 1] == '"') ++i;
    value += rest[i];
  }
  return Error(Errc::bad_file, "a quote is not closed");
}

Result<std::vector<std::string>> read_names(std::string_view value) {
  std::vector<std::string> names;
  bool bad = false, any_positive = false;
  for_each_pattern(value, [&](std::string_view pattern) {
    bad |= pattern.empty() || pattern == "!" || pattern.find_first_of(kBlanks) != pattern.npos;
    any_positive |= !pattern.starts_with('!');
    names.emplace_back(pattern);
  });
  if (bad) return Error(Errc::bad_file, "a pattern in name=\"...\" is empty or has a blank in it");
  if (!any_positive)
    return Error(Errc::bad_file, "name=\"...\" says only which names are not allowed");
  return names;
}

Result<void> read_options(std::string_view options, std::vector<std::string>& names) {
  while (true) {
    const std::string option = lower(options.substr(0, options.find_first_of("=,")));
    options.remove_prefix(option.size());
    if (option == "name" && options.starts_with('=')) {
      options.remove_prefix(1);
      const Result<std::string> value = take_quoted(options);
      if (!value) return value.error();
      if (!names.empty()) return Error(Errc::bad_file, "the option name is there twice");
      Result<std::vector<std::string>> read = read_names(*value);
      if (!read) return read.error();
      names = std::move(*read);
    } else if (option != "restrict" || options.starts_with('=')) {
      return Error(Errc::bad_file, "the option \"" + escape(option, 64) +
                                       "\" is not known or misses its value; known are "
                                       "name=\"PATTERN,...\" and restrict");
    }
    if (options.empty()) return {};
    if (options.front() != ',') return Error(Errc::bad_file, "a comma is missing between options");
    options.remove_prefix(1);
  }
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
    const Result<void> read = read_options(options, entry.names);
    if (!read) return read.error();
  }
  Result<PublicKey> key = take_key(line);
  if (!key) return key.error();
  entry.key = std::move(*key);
  entry.comment = line;
  return entry;
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
    const auto [at, is_new] = index.emplace(to_string(entry->key.blob()), out.entries_.size());
    if (is_new) {
      out.entries_.push_back(std::move(*entry));
      return;
    }
    const Entry& first = out.entries_[at->second];
    if (first.names != entry->names)
      report(out.problems_, number,
             "the key is on line " + std::to_string(first.line) +
                 " already, with other names; put all of its names on one line");
  });
  return out;
}

const AuthorizedKeys::Entry* AuthorizedKeys::find(const PublicKey& key) const noexcept {
  if (key.is_empty()) return nullptr;
  for (const Entry& entry : entries_)
    if (entry.key == key) return &entry;
  return nullptr;
}

bool AuthorizedKeys::allows_name(const Entry& entry, std::string_view name) noexcept {
  if (entry.names.empty()) return true;
  PatternList list(name);
  for (const std::string& pattern : entry.names) list.meet(pattern);
  return list.takes();
}

}  // namespace streamkit
