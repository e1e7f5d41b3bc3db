// `streamkit http`: a local web application under a public name.
#include "exit_codes.hpp"
#include "tunnel_command.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace streamkit::cli {

void add_http_command(CLI::App& app, Action& action) {
  const auto arguments = std::make_shared<TunnelArguments>();
  arguments->options.kind = tunnel::Kind::http;
  CLI::App& command = *app.add_subcommand("http", "Give a local web application a public name");
  command.description(
      "Gives a local web application a public name.\n\n"
      "Examples:\n"
      "  streamkit http 3000               under a name that belongs to your key\n"
      "  streamkit http 3000 --name shop   as http://shop.localhost:8080\n"
      "  streamkit http 3000 --relay t.example.com\n"
      "                                    at another relay than localhost:2222\n");
  add_tunnel_options(command, *arguments);
  command.add_option("-n,--name", arguments->options.name,
                     "the name to ask for; never replaced by another");
  command.add_option(
      "--host-header", arguments->options.host_header,
      "what the application sees as Host: localhost (localhost:PORT; the default for loopback "
      "targets), keep, or a value");
  command.footer(kExitCodeHelp);
  command.callback([arguments, &action] {
    action = [arguments](const Signals& signals) { return run_tunnel(*arguments, signals); };
  });
}

}  // namespace streamkit::cli
