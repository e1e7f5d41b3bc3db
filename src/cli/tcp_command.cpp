// `streamkit tcp`: a local TCP service under a public port.
#include "exit_codes.hpp"
#include "tunnel_command.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace streamkit::cli {

void add_tcp_command(CLI::App& app, Action& action) {
  const auto arguments = std::make_shared<TunnelArguments>();
  arguments->options.kind = tunnel::Kind::tcp;
  CLI::App& command = *app.add_subcommand("tcp", "Give a local TCP service a public port");
  command.description(
      "Gives a local TCP service a public port.\n\n"
      "Examples:\n"
      "  streamkit tcp 5432                on a port that the relay chooses\n"
      "  streamkit tcp 22 --port 2201      as tcp://localhost:2201\n"
      "  streamkit tcp unix:/run/app.sock --relay t.example.com\n");
  add_tunnel_options(command, *arguments);
  command.add_option("-p,--port", arguments->options.port,
                     "the port to ask for; never replaced by another");
  command.footer(kExitCodeHelp);
  command.callback([arguments, &action] {
    action = [arguments](const Signals& signals) { return run_tunnel(*arguments, signals); };
  });
}

}  // namespace streamkit::cli
