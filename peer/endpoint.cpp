// Endpoint: reads tcp://, unix:// and inproc:// addresses. Knows their grammar (IPv6: RFC 4291
// section 2.2, zones: RFC 4007 section 11) and nothing of sockets or name services: whether a host
// exists is found out by whoever connects.
#include <streamkit/base/text.hpp>
#include <streamkit/peer/endpoint.hpp>

#include <algorithm>
#include <charconv>

namespace streamkit {
namespace {

constexpr std::string_view kForms =
    "; write tcp://HOST:PORT (IPv6 in brackets, * for every interface), unix:///ABSOLUTE/PATH or "
    "inproc://NAME";
constexpr std::string_view kWireOption = "?wire=", kDuplex = "duplex";

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_host_character(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}
bool is_printable(std::string_view text) {
  return escape(text, 4 * text.size()) == text;
}

bool is_ipv4(std::string_view text) noexcept {
  for (int part = 0; part < 4; ++part) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const auto length = static_cast<std::size_t>(end - text.data());
    if (error != std::errc() || value > 255 || (length > 1 && text[0] == '0')) return false;
    text.remove_prefix(length);
    if (part == 3) return text.empty();
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return false;
}

/// Groups of hexadecimal digits, the last two perhaps as an IPv4 address, `::` at most once.
bool is_ipv6(std::string_view text) noexcept {
  std::size_t groups = 0;
  bool gap = false;
  if (text.starts_with(':')) {
    if (!text.starts_with("::")) return false;
    gap = true;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    const auto digits =
        static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_hex) - text.begin());
    if (digits < text.size() && text[digits] == '.') {
      groups += 2;
      if (!is_ipv4(text)) return false;
      break;
    }
    if (digits < 1 || digits > 4) return false;
    ++groups;
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text.starts_with("::")) {
      if (gap) return false;
      gap = true;
      text.remove_prefix(2);
    } else if (text[0] == ':' && text.size() > 1) {
      text.remove_prefix(1);
    } else {
      return false;
    }
  }
  return gap ? groups < 8 : groups == 8;
}

/// What is wrong with the inside of the brackets; empty: nothing.
std::string_view problem_of_ipv6(std::string_view text) noexcept {
  const auto percent = text.find('%');
  if (percent != std::string_view::npos) {
    const std::string_view zone = text.substr(percent + 1);
    if (zone.empty() || zone.size() > 15 ||
        !std::all_of(zone.begin(), zone.end(), is_host_character))
      return "what follows the % is not the name of an interface";
  }
  return is_ipv6(text.substr(0, percent)) ? "" : "the brackets do not hold an IPv6 address";
}

std::string_view problem_of_host(std::string_view host) noexcept {
  if (host.empty()) return "the host is missing";
  if (host == "*") return "";
  if (host.front() == '-') return "a host cannot begin with '-'";
  if (host.find(':') != std::string_view::npos) return "an IPv6 address has to stand in brackets";
  if (host.size() > kMaxHostName) return "the host's name is too long";
  if (!std::all_of(host.begin(), host.end(), is_host_character))
    return "a host is made of letters, digits, '.', '-' and '_'";
  return "";
}

std::string_view read_port(std::string_view text, std::uint16_t& port) noexcept {
  constexpr std::string_view kBad = "the port has to be a number of 0 to 65535";
  if (text.size() > 1 && text.front() == '0') return kBad;  // someone's octal
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && stop == end ? "" : kBad;
}

std::string_view read_tcp(std::string_view rest, std::string& host, std::uint16_t& port) {
  std::string_view problem, name;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return "the closing bracket is missing";
    name = rest.substr(1, close - 1);
    problem = problem_of_ipv6(name);
    rest.remove_prefix(close + 1);
    if (problem.empty() && !rest.starts_with(':')) return "the port is missing";
    rest.remove_prefix(rest.empty() ? 0 : 1);
  } else {
    const auto colon = rest.rfind(':');
    name = rest.substr(0, colon);
    problem = problem_of_host(name);
    if (problem.empty() && colon == std::string_view::npos) return "the port is missing";
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  if (!problem.empty()) return problem;
  if (name != "*") host = name;
  for (char& c : host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return read_port(rest, port);
}

/// Takes the option off the end of an address.
std::string_view read_wire(std::string_view& all, channel::Wire& wire) {
  const auto at = all.rfind(kWireOption);
  if (at == std::string_view::npos) return "";
  const bool is_duplex = all.substr(at + kWireOption.size()) == kDuplex;
  all.remove_suffix(all.size() - at);
  if (!is_duplex) return "the only other wire is ?wire=duplex";
  if (all.starts_with("inproc://")) return "in process there is one wire only";
  wire = channel::Wire::duplex;
  return "";
}

std::string_view problem_of_path(std::string_view path) {
  if (!path.starts_with('/')) return "the path has to be absolute, with three slashes in a row";
  if (path.ends_with('/')) return "the path is that of a folder";
  if (path.size() > kMaxUnixPath) return "a socket's path has at most 107 bytes";
  if (!is_printable(path)) return "the path has characters that do not print";
  return "";
}

std::string_view problem_of_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxInprocName) return "the name has to have 1 to 255 bytes";
  if (!is_printable(name)) return "the name has characters that do not print";
  return "";
}

}  // namespace

Endpoint::Endpoint(std::string text) : text_(std::move(text)) {
  constexpr std::string_view kTcp = "tcp://", kUnix = "unix://", kInproc = "inproc://";
  std::string_view all = text_;
  const std::string_view problem_of_wire = read_wire(all, wire_);
  std::string_view problem;
  if (all.starts_with(kTcp)) {
    problem = read_tcp(all.substr(kTcp.size()), host_, port_);
  } else if (all.starts_with(kUnix)) {
    kind_ = Kind::unix_path;
    host_ = all.substr(kUnix.size());
    problem = problem_of_path(host_);
  } else if (all.starts_with(kInproc)) {
    kind_ = Kind::inproc;
    host_ = all.substr(kInproc.size());
    problem = problem_of_name(host_);
  } else {
    problem = "it begins with none of tcp://, unix:// and inproc://";
  }
  if (problem.empty()) problem = problem_of_wire;
  if (problem.empty()) return;
  host_.clear();
  port_ = 0;
  wire_ = channel::Wire::streamkit;
  problem_ = "\"" + escape(text_, 128) + "\" is not an endpoint: " + std::string(problem);
  problem_ += kForms;
}

Result<void> Endpoint::check() const {
  if (problem_.empty()) return {};
  return Error(Errc::bad_endpoint, problem_);
}

}  // namespace streamkit
