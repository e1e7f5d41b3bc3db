// What `streamkit http` and `streamkit tcp` have in common: options, output, exit codes.
#pragma once

#include "commands.hpp"

#include <streamkit/tunnel/tunnel.hpp>

#include <memory>
#include <string>

namespace streamkit::cli {

struct TunnelArguments {
  tunnel::TunnelOptions options;
  std::string target;
  std::string relay = "localhost:2222";
  std::string via;
  bool ssh_config = false;
  Voice voice;
};

/// TARGET, --relay, --via, --ssh-config, --relay-key, --key, --known-hosts, --wait and the voice.
void add_tunnel_options(CLI::App& command, TunnelArguments& arguments);
/// Runs until a signal or a final refusal; answers the exit code.
int run_tunnel(TunnelArguments& arguments, const Signals& signals);

}  // namespace streamkit::cli
