// Endpoint: reads tcp://, unix:// and inproc:// addresses. Knows their grammar (IPv6: RFC 4291
// section 2.2, zones: RFC 4007 section 11) and nothing of sockets or name services: whether a host
// exists is found out by whoever connects.
#include <streamkit/base/text.hpp>
#include <streamkit/peer/endpoint.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace streamkit {
namespace {

constexpr std::string_view kForms =
    "; write tcp://HOST:PORT (IPv6 in brackets, * for every interface), unix:///ABSOLUTE/PATH or "
    "inproc://NAME; to connect by way of SSH servers, ?via=USER@HOST:PORT,... behind it; or to an "
    "ssh -M, mux:///ABSOLUTE/PATH";

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

std::string_view problem_of_user(std::string_view user) noexcept {
  const auto is_user_character = [](char c) { return is_host_character(c) || c == '+'; };
  if (user.empty() || user.size() > kMaxUserName) return "a user's name has 1 to 255 bytes";
  if (user.front() == '-') return "a user's name cannot begin with '-'";
  if (!std::all_of(user.begin(), user.end(), is_user_character))
    return "a user's name is made of letters, digits, '.', '-', '_' and '+'";
  return "";
}

std::string_view read_tcp(std::string_view rest, std::string& user, std::string& host,
                          std::uint16_t& port) {
  std::string_view problem, name;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    user = rest.substr(0, at);
    if (problem = problem_of_user(user); !problem.empty()) return problem;
    rest.remove_prefix(at + 1);
  }
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

std::string_view problem_of_bastions(std::string_view list) {
  for (std::size_t count = 1;; ++count) {
    std::string user, host;
    std::uint16_t port = 0;
    const auto comma = list.find(',');
    if (count > kMaxBastions) return "there are at most 8 SSH servers on the way";
    if (const auto problem = read_tcp(list.substr(0, comma), user, host, port); !problem.empty())
      return problem;
    if (host.empty() || port == 0) return "an SSH server on the way is one host and a port";
    if (comma == std::string_view::npos) return "";
    list.remove_prefix(comma + 1);
  }
}

/// Takes the options off the end of an address. What is wrong with them; empty: nothing.
std::string_view read_options(std::string_view& all, std::optional<std::string_view>& via,
                              std::optional<std::string_view>& wire) {
  const auto at = std::min(all.find("?via="), all.find("?wire="));
  if (at == std::string_view::npos) return "";
  std::string_view rest = all.substr(at + 1);
  all = all.substr(0, at);
  while (true) {
    const auto end = rest.find('&');
    const std::string_view option = rest.substr(0, end);
    std::optional<std::string_view>* const value = option.starts_with("via=")    ? &via
                                                   : option.starts_with("wire=") ? &wire
                                                                                 : nullptr;
    if (value == nullptr || *value) return "its options are via= and wire=, once each, with & between";
    *value = option.substr(option.find('=') + 1);
    if (end == std::string_view::npos) return "";
    rest.remove_prefix(end + 1);
  }
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
  constexpr std::string_view kTcp = "tcp://", kUnix = "unix://", kInproc = "inproc://",
                             kMux = "mux://";
  std::string_view all = text_;
  std::optional<std::string_view> via, wire;
  const std::string_view problem_of_options = read_options(all, via, wire);
  std::string_view problem;
  if (all.starts_with(kTcp)) {
    problem = read_tcp(all.substr(kTcp.size()), user_, host_, port_);
    if (problem.empty() && via && (host_.empty() || port_ == 0))
      problem = "by way of SSH servers one gets to one host and a port";
  } else if (all.starts_with(kUnix)) {
    kind_ = Kind::unix_path;
    host_ = all.substr(kUnix.size());
    problem = problem_of_path(host_);
  } else if (all.starts_with(kInproc)) {
    kind_ = Kind::inproc;
    host_ = all.substr(kInproc.size());
    problem = problem_of_name(host_);
  } else if (all.starts_with(kMux)) {
    kind_ = Kind::mux;
    host_ = all.substr(kMux.size());
    problem = problem_of_path(host_);
  } else {
    problem = "it begins with none of tcp://, unix://, inproc:// and mux://";
  }
  if (problem.empty()) problem = problem_of_options;
  if (problem.empty() && (via || wire) && kind_ != Kind::tcp && kind_ != Kind::unix_path)
    problem = "only tcp:// and unix:// have options";
  if (problem.empty() && via) problem = problem_of_bastions(*via);
  if (problem.empty() && wire && *wire != "duplex") problem = "the only other wire is wire=duplex";
  via_ = via.value_or("");
  if (wire) wire_ = channel::Wire::duplex;
  if (problem.empty()) return;
  host_.clear();
  user_.clear();
  via_.clear();
  port_ = 0;
  wire_ = channel::Wire::streamkit;
  problem_ = "\"" + escape(text_, 128) + "\" is not an endpoint: " + std::string(problem);
  problem_ += kForms;
}

Result<void> Endpoint::check() const {
  if (problem_.empty()) return {};
  return Error(Errc::bad_endpoint, problem_);
}

std::optional<Endpoint> Endpoint::via() const {
  if (via_.empty()) return {};
  const auto comma = via_.rfind(',');
  if (comma == std::string::npos) return Endpoint("tcp://" + via_);
  return Endpoint("tcp://" + via_.substr(comma + 1) + "?via=" + via_.substr(0, comma));
}

}  // namespace streamkit
