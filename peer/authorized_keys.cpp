// Reader of authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). Lines are taken whole or not
// at all. No file is opened here.
#include "trust_file.hpp"

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

Result<std::vector<std::string>> read_principals(std::string_view value) {
  std::vector<std::string> principals;
  for_each_pattern(value, [&](std::string_view principal) { principals.emplace_back(principal); });
  if (std::find(principals.begin(), principals.end(), "") != principals.end())
    return Error(Errc::bad_file, "a principal in principals=\"...\" is empty");
  return principals;
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

/// A list between quotes, into where it belongs and stands for the first time.
Result<void> read_list(std::string_view option, std::string_view& rest,
                       Result<std::vector<std::string>> (*read)(std::string_view),
                       std::vector<std::string>& to) {
  rest.remove_prefix(1);
  const Result<std::string> value = take_quoted(rest);
  if (!value) return value.error();
  if (!to.empty())
    return Error(Errc::bad_file, "the option " + std::string(option) + " is there twice");
  Result<std::vector<std::string>> list = read(*value);
  if (!list) return list.error();
  to = std::move(*list);
  return {};
}

Result<void> read_options(std::string_view options, AuthorizedKeys::Entry& entry) {
  while (true) {
    const std::string option = lower(options.substr(0, options.find_first_of("=,")));
    options.remove_prefix(option.size());
    const bool has_value = options.starts_with('=');
    Result<void> read;
    if (option == "name" && has_value) {
      read = read_list(option, options, read_names, entry.names);
    } else if (option == "principals" && has_value) {
      read = read_list(option, options, read_principals, entry.principals);
    } else if (option == "cert-authority" && !has_value) {
      entry.is_authority = true;
    } else if (option != "restrict" || has_value) {
      read = Error(Errc::bad_file, "the option \"" + escape(option, 64) +
                                       "\" is not known or misses its value; known are "
                                       "name=\"PATTERN,...\", cert-authority, "
                                       "principals=\"NAME,...\" and restrict");
    }
    if (!read) return read;
    if (options.empty()) break;
    if (options.front() != ',') return Error(Errc::bad_file, "a comma is missing between options");
    options.remove_prefix(1);
  }
  if (!entry.principals.empty() && !entry.is_authority)
    return Error(Errc::bad_file, "principals=\"...\" is for lines with cert-authority");
  return {};
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
    const Result<void> read = read_options(options, entry);
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
    // A key may be both: somebody's, and an authority.
    const std::string same = (entry->is_authority ? "a" : "k") + to_string(entry->key.blob());
    const auto [at, is_new] = index.emplace(same, out.entries_.size());
    if (is_new) {
      out.entries_.push_back(std::move(*entry));
      return;
    }
    const Entry& first = out.entries_[at->second];
    if (first.names != entry->names || first.principals != entry->principals)
      report(out.problems_, number,
             "the key is on line " + std::to_string(first.line) + " already, with other names" +
                 (entry->is_authority ? " or principals" : "") + "; put all of them on one line");
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
  if (entry.names.empty()) return true;
  PatternList list(name);
  for (const std::string& pattern : entry.names) list.meet(pattern);
  return list.takes();
}

}  // namespace streamkit
