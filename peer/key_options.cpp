// Options of authorized_keys lines: those of sshd(8) that mean something here, and ours. What is
// not in the tables refuses the line. What they do is decided elsewhere (AuthorizedKeys,
// Peer::Impl).
#include "key_options.hpp"

#include "trust_file.hpp"

#include <streamkit/io/stream.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <limits>

namespace streamkit {
namespace {

using namespace trust_file;
using Entry = AuthorizedKeys::Entry;

Error bad(std::string why) {
  return Error(Errc::bad_file, std::move(why));
}

/// The value between quotes at the head of `rest`, where \" stands for a quote.
Result<std::string> take_quoted(std::string_view& rest) {
  if (!rest.starts_with('"')) return bad("an option's value is not in quotes");
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\' && i + 1 < rest.size() && rest[i + 1] == '"') ++i;
    value += rest[i];
  }
  return bad("a quote is not closed");
}

// ---------------------------------------------------------------- lists

Result<void> read_patterns(std::string_view value, std::string_view option,
                           std::vector<std::string>& to) {
  bool is_bad = false, any_positive = false;
  for_each_pattern(value, [&](std::string_view pattern) {
    is_bad |= pattern.empty() || pattern == "!" || pattern.find_first_of(kBlanks) != pattern.npos;
    any_positive |= !pattern.starts_with('!');
    to.emplace_back(pattern);
  });
  const std::string name(option);
  if (is_bad) return bad("a pattern in " + name + "=\"...\" is empty or has a blank in it");
  if (!any_positive) return bad(name + "=\"...\" says only what is not allowed");
  if (to.size() > kMaxKeyPatterns)
    return bad(name + "=\"...\" has more than " + std::to_string(kMaxKeyPatterns) + " patterns");
  return {};
}

Result<void> read_names(std::string_view value, Entry& entry) {
  return read_patterns(value, "name", entry.names);
}

Result<void> read_services(std::string_view value, Entry& entry) {
  return read_patterns(value, "services", entry.services);
}

Result<void> read_principals(std::string_view value, Entry& entry) {
  for_each_pattern(value, [&](std::string_view one) { entry.principals.emplace_back(one); });
  if (std::find(entry.principals.begin(), entry.principals.end(), "") != entry.principals.end())
    return bad("a principal in principals=\"...\" is empty");
  if (entry.principals.size() > kMaxKeyPatterns)
    return bad("principals=\"...\" has more than " + std::to_string(kMaxKeyPatterns) + " names");
  return {};
}

// Nobody looks names up here, so a name would be a restriction that never fits, and one with '!' an
// exception that never counts.
bool is_source(std::string_view pattern) {
  if (pattern.starts_with('!')) pattern.remove_prefix(1);
  if (pattern.find_first_of("*?") != pattern.npos)
    return pattern.find_first_not_of("0123456789abcdefABCDEF:.*?") == pattern.npos;
  return io::is_in_networks("::", pattern).has_value();
}

Result<void> read_sources(std::string_view value, Entry& entry) {
  if (Result<void> read = read_patterns(value, "from", entry.sources); !read) return read;
  for (const std::string& pattern : entry.sources)
    if (!is_source(pattern))
      return bad(
          "from=\"...\" takes addresses (10.0.0.*), networks (10.0.0.0/8, no bits beyond) and no "
          "host names, and has " +
          escape(pattern, 64));
  return {};
}

// ---------------------------------------------------------------- time

/// Cuts `length` digits off `digits`.
int take_number(std::string_view& digits, std::size_t length) noexcept {
  int number = 0;
  std::from_chars(digits.data(), digits.data() + length, number);
  digits.remove_prefix(length);
  return number;
}

Result<void> read_expiry(std::string_view value, Entry& entry) {
  const Error malformed =
      bad("expiry-time=\"...\" is YYYYMMDD[HHMM[SS]], with a Z behind it for UTC");
  const bool is_utc = value.ends_with('Z');
  if (is_utc) value.remove_suffix(1);
  const std::size_t length = value.size();
  if ((length != 8 && length != 12 && length != 14) ||
      value.find_first_not_of("0123456789") != value.npos)
    return malformed;
  std::tm when{};
  const int year = take_number(value, 4), month = take_number(value, 2),
            day = take_number(value, 2);
  if (!value.empty()) when.tm_hour = take_number(value, 2), when.tm_min = take_number(value, 2);
  if (!value.empty()) when.tm_sec = take_number(value, 2);
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (year < 1970 || !date.ok() || when.tm_hour > 23 || when.tm_min > 59 || when.tm_sec > 59)
    return malformed;
  std::int64_t seconds = 0;
  if (is_utc) {
    seconds = std::chrono::sys_seconds(std::chrono::sys_days(date)).time_since_epoch().count() +
              when.tm_hour * 3600 + when.tm_min * 60 + when.tm_sec;
  } else {
    when.tm_year = year - 1900, when.tm_mon = month - 1, when.tm_mday = day, when.tm_isdst = -1;
    seconds = std::mktime(&when);
  }
  if (seconds < 0) return malformed;
  entry.expires = static_cast<std::uint64_t>(seconds);
  return {};
}

// ---------------------------------------------------------------- forwarding

/// HOST:PORT or [HOST]:PORT, and where `may_omit_host` just PORT, for any host.
Result<void> read_place(std::string_view value, bool may_omit_host, std::string_view option,
                        std::vector<AuthorizedKeys::Place>& to) {
  const Error malformed =
      bad(std::string(option) + "=\"...\" is " + (may_omit_host ? "[HOST:]PORT" : "HOST:PORT") +
          ", with * for any, and an IPv6 address in brackets");
  AuthorizedKeys::Place place{"*", 0};
  const auto colon = value.rfind(':');
  if (colon == value.npos && !may_omit_host) return malformed;
  const std::string_view port = colon == value.npos ? value : value.substr(colon + 1);
  if (colon != value.npos) {
    std::string_view host = value.substr(0, colon);
    const bool in_brackets = host.starts_with('[') && host.ends_with(']');
    if (in_brackets) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.find_first_of("[] \t,") != host.npos ||
        (!in_brackets && host.find(':') != host.npos))
      return malformed;
    place.host = host;
  }
  if (port != "*") {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), place.port);
    if (error != std::errc() || end != port.data() + port.size() || place.port == 0)
      return malformed;
  }
  if (to.size() == kMaxKeyPatterns)
    return bad("the option " + std::string(option) + " is there more than " +
               std::to_string(kMaxKeyPatterns) + " times");
  to.push_back(std::move(place));
  return {};
}

Result<void> read_permit_open(std::string_view value, Entry& entry) {
  return read_place(value, false, "permitopen", entry.permit_open);
}

Result<void> read_permit_listen(std::string_view value, Entry& entry) {
  return read_place(value, true, "permitlisten", entry.permit_listen);
}

// ---------------------------------------------------------------- the rest

Result<void> read_command(std::string_view value, Entry& entry) {
  if (value.empty())
    return bad("command=\"...\" is empty; it names the one service that may be opened");
  entry.command = value;
  return {};
}

Result<void> read_count(std::string_view value, std::string_view option, std::size_t& to) {
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count == 0)
    return bad(std::string(option) + "=\"...\" is a number from 1 to " +
               std::to_string(std::numeric_limits<std::uint32_t>::max()));
  to = count;
  return {};
}

Result<void> read_max_channels(std::string_view value, Entry& entry) {
  return read_count(value, "max-channels", entry.max_channels);
}

Result<void> read_max_links(std::string_view value, Entry& entry) {
  return read_count(value, "max-links", entry.max_links);
}

void keep(Entry&) {}

struct Flag {
  std::string_view name;  // in lower case, as options are compared
  void (*set)(Entry&);
};
constexpr Flag kFlags[] = {
    {"cert-authority", [](Entry& entry) { entry.is_authority = true; }},
    // In the order of the line: "restrict,port-forwarding" gives it back.
    {"restrict", [](Entry& entry) { entry.port_forwarding = false; }},
    {"no-port-forwarding", [](Entry& entry) { entry.port_forwarding = false; }},
    {"port-forwarding", [](Entry& entry) { entry.port_forwarding = true; }},
    // There is none of these here, allowed or not.
    {"pty", keep},
    {"no-pty", keep},
    {"agent-forwarding", keep},
    {"no-agent-forwarding", keep},
    {"x11-forwarding", keep},
    {"no-x11-forwarding", keep},
    {"user-rc", keep},
    {"no-user-rc", keep},
};

struct Setting {
  std::string_view name;
  Result<void> (*read)(std::string_view value, Entry&);
  bool may_repeat = false;
};
constexpr Setting kSettings[] = {
    {"name", read_names},
    {"principals", read_principals},
    {"from", read_sources},
    {"expiry-time", read_expiry},
    {"max-links", read_max_links},
    {"permitopen", read_permit_open, true},
    {"permitlisten", read_permit_listen, true},
    {"command", read_command},
    {"services", read_services},
    {"max-channels", read_max_channels},
};

Error unknown(std::string_view option) {
  return bad("the option \"" + escape(option, 64) +
             "\" is not known here, misses its value or has one too many");
}

}  // namespace

Result<void> read_key_options(std::string_view options, Entry& entry) {
  std::array<bool, std::size(kSettings)> seen{};
  while (true) {
    const std::string option = lower(options.substr(0, options.find_first_of("=,")));
    options.remove_prefix(option.size());
    if (options.starts_with('=')) {
      const auto* setting = std::find_if(std::begin(kSettings), std::end(kSettings),
                                         [&](const Setting& s) { return s.name == option; });
      if (setting == std::end(kSettings)) return unknown(option);
      options.remove_prefix(1);
      const Result<std::string> value = take_quoted(options);
      if (!value) return value.error();
      bool& was_seen = seen[static_cast<std::size_t>(setting - kSettings)];
      if (was_seen && !setting->may_repeat) return bad("the option " + option + " is there twice");
      was_seen = true;
      if (Result<void> read = setting->read(*value, entry); !read) return read;
    } else {
      const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                      [&](const Flag& f) { return f.name == option; });
      if (flag == std::end(kFlags)) return unknown(option);
      flag->set(entry);
    }
    if (options.empty()) break;
    if (options.front() != ',') return bad("a comma is missing between options");
    options.remove_prefix(1);
  }
  if (!entry.principals.empty() && !entry.is_authority)
    return bad("principals=\"...\" is for lines with cert-authority");
  return {};
}

}  // namespace streamkit
