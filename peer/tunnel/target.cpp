// TunnelTarget: what a tunnel leads to, as text and as an address.
#include <streamkit/base/text.hpp>
#include <streamkit/io/stream.hpp>
#include <streamkit/tunnel/tunnel.hpp>

#include <charconv>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

constexpr std::size_t kMaxTargetText = 1024;
constexpr std::string_view kHttpScheme = "http://";
constexpr std::string_view kUnixScheme = "unix:";

Error not_understood(std::string_view text, std::string_view why) {
  return Error(Errc::usage,
               fmt::format("\"{}\" is no target: {}; write 3000, HOST:3000, http://HOST:3000 or "
                           "unix:/PATH",
                           escape(text, 80), why));
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failure == std::errc() && end == text.data() + text.size() && port != 0;
}

bool is_host(std::string_view host) {
  for (const char c : host) {
    if (c <= ' ' || c == 0x7f || c == '/' || c == '@' || c == '?' || c == '#') return false;
  }
  return !host.empty();
}

}  // namespace

Result<TunnelTarget> TunnelTarget::parse(std::string_view text) {
  if (text.size() > kMaxTargetText) return not_understood(text, "too long");
  TunnelTarget target;
  if (text.starts_with(kUnixScheme)) {
    target.path = text.substr(kUnixScheme.size());
    if (target.path.empty()) return not_understood(text, "the path is missing");
    return target;
  }
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    return not_understood(text, "targets that speak TLS are not supported yet");
  }
  const bool is_url = rest.starts_with(kHttpScheme);
  if (is_url) rest.remove_prefix(kHttpScheme.size());
  if (is_url && rest.ends_with('/')) rest.remove_suffix(1);
  if (parse_port(rest, target.port) && !is_url) {
    target.host = "127.0.0.1";
    return target;
  }
  const bool is_v6 = rest.starts_with('[');
  const auto close = is_v6 ? rest.find(']') : std::string_view::npos;
  if (is_v6 && close == std::string_view::npos) return not_understood(text, "] is missing");
  const auto colon = rest.find(':', is_v6 ? close : 0);
  target.host = rest.substr(is_v6 ? 1 : 0, is_v6 ? close - 1 : colon);
  if (colon == std::string_view::npos && is_url) {
    target.port = 80;
  } else if (colon == std::string_view::npos || (is_v6 && colon != close + 1) ||
             !parse_port(rest.substr(colon + 1), target.port)) {
    return not_understood(text, "the port is missing or not 1..65535");
  }
  if (!is_host(target.host)) return not_understood(text, "the host is missing or malformed");
  return target;
}

bool TunnelTarget::is_loopback() const noexcept {
  io::Address address;
  address.kind = path.empty() ? io::Address::Kind::tcp : io::Address::Kind::unix_path;
  address.host = host;
  return address.is_loopback();
}

std::string TunnelTarget::text() const {
  if (!path.empty()) return std::string(kUnixScheme) + path;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace streamkit::tunnel
