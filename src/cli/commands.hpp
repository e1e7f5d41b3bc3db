// The program's commands. Each adds itself to the arguments and is run when it was asked for.
#pragma once

#include "console.hpp"
#include "signals.hpp"

#include <CLI/App.hpp>
#include <functional>
#include <string>

namespace streamkit::cli {

/// What was asked for; set by the command whose arguments were given.
using Action = std::function<int(const Signals&)>;

void add_relay_command(CLI::App& app, Action& action);
void add_http_command(CLI::App& app, Action& action);
void add_tcp_command(CLI::App& app, Action& action);
void add_bench_command(CLI::App& app, Action& action);

/// --json, -q and -v.
void add_voice_options(CLI::App& command, Voice& voice);
/// "HOST:PORT", "HOST" or an endpoint with its scheme, as an endpoint's text.
std::string endpoint_text(const std::string& given, const std::string& default_port);

}  // namespace streamkit::cli
