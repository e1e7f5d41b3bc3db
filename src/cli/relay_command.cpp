// `streamkit relay`: the server's half.
#include "commands.hpp"
#include "exit_codes.hpp"
#include "passphrase.hpp"

#include <streamkit/tunnel/relay.hpp>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace streamkit::cli {
namespace {

struct RelayArguments {
  tunnel::RelayOptions options;
  std::vector<std::string> listen = {"127.0.0.1:2222"};
  std::string ports;
  long linger_seconds = 60;
  Voice voice;
};

// "2200-2300" or one port.
bool parse_ports(const std::string& text, std::uint16_t& first, std::uint16_t& last) {
  const char* const end = text.data() + text.size();
  const auto [dash, bad_first] = std::from_chars(text.data(), end, first);
  if (bad_first != std::errc() || first == 0) return false;
  if (dash == end) return last = first, true;
  if (*dash != '-') return false;
  const auto [rest, bad_last] = std::from_chars(dash + 1, end, last);
  return bad_last == std::errc() && rest == end && last >= first;
}

nlohmann::ordered_json fields_of(const tunnel::TunnelInfo& tunnel) {
  return {{"kind", tunnel.kind == tunnel::Kind::http ? "http" : "tcp"},
          {"url", tunnel.url},
          {"name", tunnel.name},
          {"port", tunnel.port},
          {"key", tunnel.key},
          {"client", tunnel.address},
          {"target", tunnel.target},
          {"stock_ssh", tunnel.stock_ssh}};
}

tunnel::RelayEvents events_for(const Console& console) {
  tunnel::RelayEvents events;
  events.claimed = [&console](const tunnel::TunnelInfo& tunnel) {
    console.event("claimed", fields_of(tunnel));
    console.note(fmt::format("claimed    {} -> {} by {} from {}", tunnel.url, tunnel.target,
                             tunnel.key, tunnel.address));
  };
  events.released = [&console](const tunnel::TunnelInfo& tunnel, std::string_view why) {
    auto fields = fields_of(tunnel);
    fields["reason"] = why;
    console.event("released", fields);
    console.note(fmt::format("released   {} ({})", tunnel.url, why));
  };
  events.visited = [&console](const tunnel::TunnelInfo& tunnel, const std::string& visitor) {
    console.event("visit", {{"url", tunnel.url}, {"visitor", visitor}});
    console.note(fmt::format("visit      {} from {}", tunnel.url, visitor));
  };
  events.request = [&console](const tunnel::RequestInfo& request) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(request.duration).count();
    console.event("request", {{"name", request.name},
                              {"visitor", request.visitor},
                              {"method", request.method},
                              {"path", request.path},
                              {"status", request.status},
                              {"error", request.error},
                              {"ms", ms},
                              {"bytes_in", request.bytes_in},
                              {"bytes_out", request.bytes_out}});
    console.note(fmt::format(
        "request    {} {} {} {} {} ms{}", request.name.empty() ? "-" : request.name, request.status,
        request.method, request.path, ms, request.error.empty() ? "" : " " + request.error));
  };
  events.refused = [&console](const std::string& who, const std::string& why) {
    console.event("refused", {{"client", who}, {"reason", why}});
    console.note(fmt::format("refused    {}: {}", who, why));
  };
  events.log = [&console](std::string_view level, std::string_view line) {
    if (level == "warning") return console.note(fmt::format("{:<10} {}", level, line));
    console.detail(fmt::format("{:<10} {}", level, line));
  };
  return events;
}

std::string port_of(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}

void tell_ready(const Console& console, const tunnel::Relay& relay) {
  std::vector<std::string> listen;
  for (const Endpoint& endpoint : relay.endpoints()) {
    const std::string& text = endpoint.text();
    listen.push_back(text.starts_with("tcp://") ? text.substr(6) : text);
  }
  console.event("ready", {{"listen", listen},
                          {"http", relay.http_address()},
                          {"url", relay.http_address().empty() ? "" : relay.url_of("*")},
                          {"relay_key", relay.key().fingerprint()},
                          {"trusted", relay.trusted()}});
  console.note(
      fmt::format("relay      ready, key {}{}", relay.key().fingerprint(),
                  relay.identity_file().empty() ? "" : " (" + relay.identity_file() + ")"));
  console.note(
      fmt::format("  tunnels  {} for `streamkit http` and `ssh -R`", fmt::join(listen, ", ")));
  if (!relay.http_address().empty()) {
    console.note(fmt::format("  visitors {} as {}", relay.http_address(), relay.url_of("NAME")));
  }
  console.note(fmt::format("  accepts  {}", fmt::join(relay.trusted(), " and ")));
  const std::string port = listen.empty() ? "2222" : port_of(listen.front());
  console.note(fmt::format("  try      streamkit http 3000{}",
                           port == "2222" ? "" : " --relay localhost:" + port));
  console.note(fmt::format("  or       ssh -p {} -R NAME:80:localhost:3000 localhost", port));
}

void reload(const Console& console, tunnel::Relay& relay) {
  const Result<void> read = relay.reload_trust();
  console.event("reloaded", {{"error", read ? "" : read.error().message()}});
  if (!read) return console.error(read.error().message());
  console.note("relay      has read its files of keys again");
}

int run_relay(RelayArguments& arguments, const Signals& signals) {
  const Console console(arguments.voice);
  tunnel::RelayOptions& options = arguments.options;
  options.listen.clear();
  for (const std::string& text : arguments.listen)
    options.listen.emplace_back(endpoint_text(text, ""));
  if (options.http == "none") options.http.clear();
  if (!arguments.ports.empty() &&
      !parse_ports(arguments.ports, options.min_port, options.max_port)) {
    console.error("--ports is FIRST-LAST, such as 2200-2300");
    return kExitUsage;
  }
  options.limits.linger = std::chrono::seconds(arguments.linger_seconds);
  options.passphrase = ask_passphrase;
  auto relay = tunnel::Relay::start(options, events_for(console));
  if (!relay) {
    console.error(relay.error().message());
    const bool is_usage = relay.error().is(Errc::usage) || relay.error().is(Errc::bad_endpoint);
    return is_usage ? kExitUsage : kExitFailed;
  }
  tell_ready(console, *relay);
  for (auto wake = signals.wait(); wake != Signals::Wake::end; wake = signals.wait())
    if (wake == Signals::Wake::reload) reload(console, *relay);
  console.event("stopping", nlohmann::ordered_json::object());
  console.note("relay      stopping");
  signals.finish([&] { relay->stop(); });
  console.event("closed", {{"reason", "stopped"}, {"exit_code", kExitStopped + 0}});
  return kExitStopped;
}

}  // namespace

void add_relay_command(CLI::App& app, Action& action) {
  const auto arguments = std::make_shared<RelayArguments>();
  tunnel::RelayOptions& options = arguments->options;
  CLI::App& command = *app.add_subcommand("relay", "Take visitors and lead them through tunnels");
  command.description(
      "Takes visitors and leads them through tunnels.\n\n"
      "Examples:\n"
      "  streamkit relay          on this machine, for your own key\n"
      "  streamkit relay --listen 0.0.0.0:2222 --http 0.0.0.0:80 \\\n"
      "      --domain t.example.com --authorized-keys /etc/streamkit/authorized_keys\n");
  command
      .add_option("--listen", arguments->listen,
                  "for clients and ssh, ADDRESS:PORT; may be repeated")
      ->envname("STREAMKIT_LISTEN")
      ->capture_default_str();
  command.add_option("--http", options.http, "for visitors, ADDRESS:PORT, or none")
      ->envname("STREAMKIT_HTTP")
      ->capture_default_str();
  command.add_option("--domain", options.domain, "names are NAME.DOMAIN")
      ->envname("STREAMKIT_DOMAIN")
      ->capture_default_str();
  command
      .add_option(
          "--authorized-keys", options.authorized_keys_file,
          "who may have tunnels (default: your own key and ~/.config/streamkit/authorized_keys)")
      ->envname("STREAMKIT_AUTHORIZED_KEYS");
  command
      .add_option("--user-ca", options.user_ca_file,
                  "public keys of authorities; who has a certificate by one may have tunnels")
      ->envname("STREAMKIT_USER_CA");
  command
      .add_option("--revoked-keys", options.revoked_keys_file,
                  "keys that are refused in any case: a list, or ssh-keygen -k made it")
      ->envname("STREAMKIT_REVOKED_KEYS");
  command.add_option(
      "--key", options.identity_file,
      "the relay's private key; made when missing (default: ~/.config/streamkit/relay_ed25519)");
  command.add_option("--public-port", options.public_port,
                     "the port in URLs, when it is not that of --http");
  command
      .add_option("--tcp-bind", options.tcp_bind, "where TCP tunnels listen; * is every interface")
      ->capture_default_str();
  command.add_option("--ports", arguments->ports,
                     "TCP tunnels get ports FIRST-LAST (default: 1024-65535)");
  command
      .add_option("--tunnels-per-key", options.limits.tunnels_per_key, "names and ports of one key")
      ->capture_default_str();
  command
      .add_option("--linger", arguments->linger_seconds,
                  "seconds that a lost client's name waits for its key")
      ->check(CLI::Range(0L, 86400L))
      ->capture_default_str();
  add_voice_options(command, arguments->voice);
  command.footer(kExitCodeHelp);
  command.callback([arguments, &action] {
    action = [arguments](const Signals& signals) { return run_relay(*arguments, signals); };
  });
}

}  // namespace streamkit::cli
