// `streamkit bench`: how fast this machine is with us, beside what is possible.
#include "commands.hpp"
#include "exit_codes.hpp"

#include <bench/bench.hpp>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <fmt/format.h>

namespace streamkit::cli {
namespace {

struct BenchArguments {
  bench::Task task;
  std::string run, serve, congestion;
  int control = -1;
  bool list = false;
};

int report(const Error& error) {
  Console({}).error(error.message());
  return error.is(Errc::usage) ? kExitUsage : kExitFailed;
}

int run_bench(BenchArguments arguments) {
  bench::Task& task = arguments.task;
  if (!arguments.serve.empty()) {
    task.row = arguments.serve;
    const Result<void> served = bench::serve(task, arguments.control);
    return served ? 0 : report(served.error());
  }
  if (!arguments.congestion.empty())
    if (const Result<void> entered = bench::enter_network(arguments.congestion); !entered) return report(entered.error());
  if (arguments.list) {
    for (const bench::Entry& e : bench::entries())
      fmt::print("{{\"row\":\"{}\",\"subject\":\"{}\",\"variant\":\"{}\",\"unit\":\"{}\"}}\n", e.row, e.subject, e.variant,
                 e.unit);
    return 0;
  }
  task.row = arguments.run;
  const Result<std::string> line = bench::run(task);
  if (!line) return report(line.error());
  fmt::print("{}\n", *line);
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App& command = *app.add_subcommand("bench", "Measure how fast channels are on this machine");
  bench::Task& task = arguments->task;
  command.add_option("--run", arguments->run, "measure one ROW once, and print one line of JSON");
  command.add_option("--subject", task.subject, "of --run: ours, limit or tcp");
  command.add_option("--variant", task.variant, "of --run; --list shows them");
  command.add_option("--scale", task.scale, "part of the full amount of work")->check(CLI::Range(1e-6, bench::kMaxScale));
  command.add_option("--idle-channels", task.idle_channels, "idle channels beside the row's own")
      ->check(CLI::Range(std::size_t{0}, bench::kMaxIdleChannels));
  command.add_option("--idle-connections", task.idle_connections, "idle connections beside the row's own")
      ->check(CLI::Range(std::size_t{0}, bench::kMaxIdleConnections));
  command.add_option("--congestion", arguments->congestion,
                     "run in a network namespace with this congestion control, such as reno");
  command.add_flag("--list", arguments->list, "what can be measured, one JSON object a line");
  command.add_option("--serve", arguments->serve)->group("");  // the second process of a measurement
  command.add_option("--control", arguments->control)->group("");
  command.callback([arguments, &action] {
    action = [arguments](const Signals& signals) {
      signals.end_at_once();
      return run_bench(*arguments);
    };
  });
}

}  // namespace streamkit::cli
