// Names: the rules of names.hpp. No I/O, no clock.
#include "names.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/digest.hpp>

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

// The relay may want these for itself one day, and visitors would take them for the relay's own.
constexpr std::array<std::string_view, 7> kReserved = {"admin",     "inspect", "localhost", "relay",
                                                       "streamkit", "www",     "wpad"};
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool is_label_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// A Host value without its port and its final dot. An IPv6 literal keeps its brackets.
std::string_view without_port(std::string_view host) {
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace

Result<std::string> check_name(std::string_view text) {
  std::string name = lowered(text.substr(0, kMaxLabel + 1));
  if (name.empty()) return Error(Errc::bad_name, "a name needs at least one character");
  if (text.size() > kMaxLabel) {
    return Error(Errc::bad_name, fmt::format("a name has at most {} characters; this one has {}",
                                             kMaxLabel, text.size()));
  }
  if (!std::all_of(name.begin(), name.end(), is_label_character)) {
    return Error(Errc::bad_name,
                 fmt::format("\"{}\" cannot be a name: only a-z, 0-9 and - may be in it",
                             escape(text, kMaxLabel)));
  }
  if (name.front() == '-' || name.back() == '-') {
    return Error(Errc::bad_name, fmt::format("\"{}\" begins or ends with -", name));
  }
  // RFC 5891 section 4.2.3.1: labels such as xn-- stand for other scripts, which could imitate a
  // name.
  if (name.size() >= 4 && name.substr(2, 2) == "--") {
    return Error(Errc::bad_name, fmt::format("\"{}\" has -- in third place", name));
  }
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return Error(Errc::bad_name, fmt::format("\"{}\" is reserved; choose another name", name));
  }
  return name;
}

Result<std::string> derived_name(const crypto::PublicKey& key) {
  if (key.is_empty())
    return Error(Errc::usage, "without a key there is no name of its own: ask for one");
  auto hash = crypto::digest(crypto::Hash::sha256, {key.blob()});
  if (!hash) return hash.error();
  std::string name;
  unsigned bits = 0;
  unsigned value = 0;
  for (std::size_t i = 0; name.size() < kDerivedNameSize; ++i) {
    value = (value << 8U | std::to_integer<unsigned>((*hash)[i])) & 0xffffU;
    for (bits += 8; bits >= 5 && name.size() < kDerivedNameSize; bits -= 5) {
      name += kBase32[value >> (bits - 5) & 31U];
    }
  }
  return name;
}

bool has_derived_form(std::string_view name) noexcept {
  return name.size() == kDerivedNameSize &&
         name.find_first_not_of(kBase32) == std::string_view::npos;
}

std::optional<std::string> label_of_host(std::string_view host, std::string_view domain) {
  const std::string given = lowered(without_port(host));
  const std::string below = lowered(without_port(domain));
  if (given == below) return std::string();
  if (given.size() < below.size() + 2 || !given.ends_with(below)) return std::nullopt;
  const std::string_view label = std::string_view(given).substr(0, given.size() - below.size() - 1);
  if (given[label.size()] != '.' || label.find('.') != std::string_view::npos) return std::nullopt;
  return std::string(label);
}

std::string duration_text(Duration duration) {
  const auto seconds =
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

Result<NameTable::Claimed> NameTable::claim(const std::string& name, const Claimant& who,
                                            TimePoint now) {
  expire(now);
  Claimed answer;
  const auto held = entries_.find(name);
  if (held == entries_.end()) {
    if (const std::size_t count = count_of(who.owner); count >= max_per_owner_) {
      return Error(Errc::limit,
                   fmt::format("this key has {} tunnels already, which is the limit", count));
    }
  } else {
    if (held->second.owner != who.owner)
      return Error(Errc::name_taken, taken_text(name, held->second, now));
    answer.resumed = held->second.lingering;
    answer.superseded = held->second.lingering ? 0 : held->second.claim;
  }
  answer.claim = ++last_claim_;
  entries_[name] = Entry{answer.claim, who.owner, who.from, now, false, kNever};
  return answer;
}

void NameTable::release(ClaimId claim) {
  std::erase_if(entries_, [&](const auto& item) { return item.second.claim == claim; });
}

bool NameTable::linger(ClaimId claim, TimePoint now) {
  for (auto& [name, entry] : entries_) {
    if (entry.claim != claim) continue;
    entry.lingering = true;
    entry.until = after(now, linger_);
    return true;
  }
  return false;
}

const NameTable::Entry* NameTable::find(std::string_view name, TimePoint now) const {
  const auto at = entries_.find(name);
  return at == entries_.end() || at->second.until <= now ? nullptr : &at->second;
}

std::vector<std::string> NameTable::expire(TimePoint now) {
  std::vector<std::string> gone;
  std::erase_if(entries_, [&](const auto& item) {
    if (item.second.until > now) return false;
    gone.push_back(item.first);
    return true;
  });
  return gone;
}

TimePoint NameTable::next_expiry() const noexcept {
  TimePoint first = kNever;
  for (const auto& [name, entry] : entries_) first = std::min(first, entry.until);
  return first;
}

std::string NameTable::taken_text(const std::string& name, const Entry& entry,
                                  TimePoint now) const {
  const std::string what =
      name.starts_with("tcp:") ? "port " + name.substr(4) : fmt::format("name \"{}\"", name);
  if (entry.lingering) {
    return fmt::format(
        "{} is held by key {} ({}, link lost, kept for it another {}); choose another", what,
        entry.owner, entry.from, duration_text(entry.until - now));
  }
  return fmt::format("{} is held by key {} (connected for {} from {}); choose another", what,
                     entry.owner, duration_text(now - entry.since), entry.from);
}

std::size_t NameTable::count_of(const std::string& owner) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(),
                    [&](const auto& item) { return item.second.owner == owner; }));
}

}  // namespace streamkit::tunnel
