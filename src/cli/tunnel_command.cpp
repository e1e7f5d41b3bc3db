// What `streamkit http` and `streamkit tcp` have in common. The tunnel does the work; this says
// what it does, in words or as JSON, and turns its end into an exit code.
#include "tunnel_command.hpp"

#include "exit_codes.hpp"
#include "passphrase.hpp"
#include "ssh_config.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <unistd.h>

namespace streamkit::cli {
namespace {

using tunnel::Ending;

// Set on the loop's thread, read by the main one.
struct Outcome {
  std::mutex mutex;
  std::optional<std::pair<Ending, Error>> end;
};

int exit_code_of(Ending ending) {
  switch (ending) {
    case Ending::stopped:
      return kExitStopped;
    case Ending::unreachable:
      return kExitUnreachable;
    case Ending::unauthorised:
      return kExitUnauthorised;
    case Ending::refused:
      return kExitRefused;
    case Ending::relay_key:
      return kExitRelayKey;
    case Ending::usage:
      return kExitUsage;
  }
  return kExitFailed;
}

long long milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// What to do about it; one line more under the error.
std::string advice(const TunnelArguments& arguments, Ending ending, const crypto::PublicKey* key) {
  switch (ending) {
    case Ending::unreachable:
      return fmt::format(
          "is a relay running at {}? `streamkit relay` starts one; --wait keeps trying",
          arguments.options.relay.text());
    case Ending::unauthorised:
      return key == nullptr ? std::string()
                            : "the relay's authorized_keys needs this line: " + key->text();
    case Ending::relay_key:
      return arguments.options.relay_key.empty()
                 ? "if the relay got a new key on purpose, remove its line from the known_hosts "
                   "file"
                 : "compare --relay-key with what `streamkit relay` shows when it starts";
    case Ending::stopped:
    case Ending::refused:
    case Ending::usage:
      break;
  }
  return {};
}

tunnel::TunnelEvents events_for(const Console& console, const TunnelArguments& arguments,
                                Outcome& outcome) {
  const std::string target = arguments.options.target.text();
  tunnel::TunnelEvents events;
  events.online = [&console, target,
                   relay = arguments.options.relay.text()](const tunnel::Online& online) {
    if (!online.again) console.data(online.url);
    console.event("online", {{"url", online.url},
                             {"name", online.name},
                             {"port", online.port},
                             {"target", target},
                             {"relay", relay},
                             {"relay_key", online.relay_key},
                             {"first_contact", online.first_contact},
                             {"again", online.again}});
    if (online.first_contact)
      console.note("relay      first contact: key " + online.relay_key + " is remembered");
    console.note(
        fmt::format("online     {} -> {}{}", online.url, target, online.again ? " (again)" : ""));
  };
  events.reconnecting = [&console](const Error& why, Duration wait) {
    console.event("reconnecting", {{"reason", why.message()}, {"wait_ms", milliseconds(wait)}});
    console.note(
        fmt::format("waiting    {}; next attempt in {} ms", why.message(), milliseconds(wait)));
  };
  events.closed = [&outcome](Ending ending, const Error& why) {
    {
      const std::lock_guard lock(outcome.mutex);
      outcome.end.emplace(ending, why);
    }
    Signals::ring();
  };
  events.visit_began = [&console](const tunnel::Visit& visit) {
    console.event("visit", {{"number", visit.number}, {"visitor", visit.visitor}});
    console.detail(fmt::format("visit      {} from {}", visit.number, visit.visitor));
  };
  events.visit_ended = [&console](const tunnel::Visit& visit) {
    console.event(
        "visit_end",
        {{"number", visit.number}, {"bytes_in", visit.bytes_in}, {"bytes_out", visit.bytes_out}});
    console.detail(fmt::format("visit      {} ended, {} bytes in, {} bytes out", visit.number,
                               visit.bytes_in, visit.bytes_out));
  };
  events.target_failed = [&console](const tunnel::Visit& visit, const Error& why) {
    console.event(
        "target_failed",
        {{"number", visit.number}, {"visitor", visit.visitor}, {"reason", why.message()}});
    console.note("target     " + why.message());
  };
  events.log = [&console](std::string_view level, std::string_view line) {
    console.detail(fmt::format("{:<10} {}", level, line));
  };
  return events;
}

// Where the relay is, and how one gets there.
Result<void> set_relay(TunnelArguments& arguments) {
  tunnel::TunnelOptions& options = arguments.options;
  std::string relay = endpoint_text(arguments.relay, "2222");
  if (arguments.ssh_config) {
    const Result<SshConfig> config = SshConfig::ask(arguments.relay);
    if (!config) return config.error();
    Result<std::string> endpoint = endpoint_of(*config);
    if (!endpoint) return endpoint.error();
    relay = std::move(*endpoint);
    const auto exists = [](const std::string& file) { return ::access(file.c_str(), F_OK) == 0; };
    const auto& keys = config->identity_files;
    const auto key = std::find_if(keys.begin(), keys.end(), exists);
    if (options.identity_file.empty() && key != keys.end()) options.identity_file = *key;
    if (options.known_hosts_file.empty() && !config->known_hosts_files.empty())
      options.known_hosts_file = config->known_hosts_files.front();
  }
  for (std::string_view rest = arguments.via; !rest.empty();) {
    const std::string_view server = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), server.size() + 1));
    const bool is_first = relay.find("?via=") == std::string::npos;
    relay += (is_first ? "?via=" : ",") + endpoint_text(std::string(server), "22").substr(6);
  }
  options.relay = Endpoint(relay);
  return options.relay.check();
}

int tell_end(const Console& console, const TunnelArguments& arguments, Ending ending,
             const Error& why, const crypto::PublicKey* key) {
  const int code = exit_code_of(ending);
  console.event(
      "closed",
      {{"reason", tunnel::to_string(ending)}, {"message", why.message()}, {"exit_code", code}});
  if (ending == Ending::stopped) return code;
  console.error(why.message());
  if (const std::string more = advice(arguments, ending, key); !more.empty()) console.error(more);
  return code;
}

}  // namespace

void add_tunnel_options(CLI::App& command, TunnelArguments& arguments) {
  command
      .add_option("TARGET", arguments.target,
                  "what to bring to the relay: PORT, HOST:PORT or unix:PATH")
      ->required();
  command.add_option("-r,--relay", arguments.relay, "the relay: HOST or HOST:PORT")
      ->envname("STREAMKIT_RELAY")
      ->capture_default_str();
  command
      .add_option("--via", arguments.via,
                  "SSH servers on the way to the relay, the nearest first: [USER@]HOST[:PORT],...")
      ->envname("STREAMKIT_VIA");
  command.add_flag("--ssh-config", arguments.ssh_config,
                   "the relay is a host of OpenSSH's configuration: ask `ssh -G` where it is, by "
                   "which ProxyJump, and for key and known_hosts files");
  command
      .add_option("--relay-key", arguments.options.relay_key,
                  "the relay's only acceptable key, SHA256:...; without it the key seen first is "
                  "remembered")
      ->envname("STREAMKIT_RELAY_KEY");
  command
      .add_option("--key", arguments.options.identity_file,
                  "our private key; made when missing (default: ~/.config/streamkit/id_ed25519)")
      ->envname("STREAMKIT_KEY");
  command.add_flag_callback(
      "--agent", [&arguments] { arguments.options.agent = "SSH_AUTH_SOCK"; },
      "offer the keys of the ssh-agent too, after ours");
  command.add_option(
      "--known-hosts", arguments.options.known_hosts_file,
      "where keys of relays are remembered (default: ~/.config/streamkit/known_hosts)");
  command.add_flag("--wait", arguments.options.wait_for_relay,
                   "keep trying when the relay is not there yet");
  add_voice_options(command, arguments.voice);
}

int run_tunnel(TunnelArguments& arguments, const Signals& signals) {
  const Console console(arguments.voice);
  auto target = tunnel::TunnelTarget::parse(arguments.target);
  if (!target) return tell_end(console, arguments, Ending::usage, target.error(), nullptr);
  arguments.options.target = std::move(*target);
  if (const Result<void> set = set_relay(arguments); !set)
    return tell_end(console, arguments, Ending::usage, set.error(), nullptr);
  arguments.options.passphrase = ask_passphrase;
  Outcome outcome;
  auto started = tunnel::Tunnel::start(arguments.options, events_for(console, arguments, outcome));
  if (!started) return tell_end(console, arguments, Ending::usage, started.error(), nullptr);
  for (;;) {
    const bool asked_to_stop = signals.wait() != Signals::Wake::bell;
    std::optional<std::pair<Ending, Error>> end;
    {
      const std::lock_guard lock(outcome.mutex);
      end = outcome.end;
    }
    if (!asked_to_stop && !end) continue;
    if (asked_to_stop) {
      console.event("stopping", nlohmann::ordered_json::object());
      console.detail("stopping");
    }
    signals.finish([&] { started->stop(); });
    if (!end) end.emplace(Ending::stopped, Error(Errc::closed, "stopped"));
    return tell_end(console, arguments, end->first, end->second, &started->key());
  }
}

}  // namespace streamkit::cli
