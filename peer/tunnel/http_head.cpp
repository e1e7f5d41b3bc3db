#include "http_head.hpp"

#include <array>

namespace streamkit::tunnel {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_alnum(char c) noexcept {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 128; ++c) {
    const char ch = static_cast<char>(c);
    table[static_cast<std::size_t>(c)] =
        is_alnum(ch) || std::string_view("!#$%&'*+-.^_`|~").find(ch) != std::string_view::npos;
  }
  return table;
}();

bool is_port(std::string_view text) noexcept {
  if (text.size() > 5) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65535;
}

}  // namespace

std::optional<std::string_view> HttpHead::find(std::string_view name) const noexcept {
  for (const HttpField& field : fields)
    if (same_word(field.name, name)) return field.value;
  return std::nullopt;
}

bool same_word(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && starts_with_word(a, b);
}

bool starts_with_word(std::string_view text, std::string_view prefix) noexcept {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i)
    if (lower(text[i]) != lower(prefix[i])) return false;
  return true;
}

bool is_token(std::string_view text) noexcept {
  for (const char c : text)
    if (!kTokenChars[static_cast<unsigned char>(c)]) return false;
  return !text.empty();
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view next_element(std::string_view& list) noexcept {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    if (!element.empty()) return element;
  }
  return {};
}

bool list_has(std::string_view list, std::string_view word) noexcept {
  for (std::string_view e = next_element(list); !e.empty(); e = next_element(list))
    if (same_word(e, word)) return true;
  return false;
}

std::optional<HostParts> split_host(std::string_view host) noexcept {
  HostParts parts;
  std::string_view rest;
  if (!host.empty() && host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos || end == 1) return std::nullopt;
    parts.name = host.substr(1, end - 1);
    for (const char c : parts.name)
      if (!is_alnum(c) && c != ':' && c != '.') return std::nullopt;
    rest = host.substr(end + 1);
  } else {
    const std::size_t colon = host.find(':');
    parts.name = host.substr(0, colon);
    if (parts.name.empty() || parts.name.size() > 255) return std::nullopt;
    for (const char c : parts.name)
      if (!is_alnum(c) && c != '-' && c != '.' && c != '_') return std::nullopt;
    rest = colon == std::string_view::npos ? std::string_view{} : host.substr(colon);
  }
  if (!rest.empty()) {
    if (rest.front() != ':' || !is_port(rest.substr(1))) return std::nullopt;
    parts.port = rest.substr(1);
  }
  return parts;
}

}  // namespace streamkit::tunnel
