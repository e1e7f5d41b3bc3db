// `streamkit bench`: how fast this machine is with us, beside what is possible.
#include "bench_table.hpp"
#include "commands.hpp"
#include "exit_codes.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <fmt/format.h>

namespace streamkit::cli {
namespace {

constexpr double kQuickScale = 0.05;
constexpr unsigned kQuickRounds = 3;

struct BenchArguments {
  BenchPlan plan;
  bench::Task task;  // of --run and --serve
  std::string run, serve;
  int control = -1;
  bool list = false, quick = false, machine = false;
};

int report(const Error& error) {
  Console({}).error(error.message());
  return error.is(Errc::usage) ? kExitUsage : kExitFailed;
}

int list_entries() {
  for (const bench::Entry& e : bench::entries())
    fmt::print("{{\"row\":\"{}\",\"subject\":\"{}\",\"variant\":\"{}\",\"unit\":\"{}\"}}\n", e.row,
               e.subject, e.variant, e.unit);
  return 0;
}

int run_one(const BenchArguments& arguments) {
  if (!arguments.plan.congestion.empty())
    if (const Result<void> entered = bench::enter_network(arguments.plan.congestion); !entered)
      return report(entered.error());
  const Result<std::string> line = bench::run(arguments.task);
  if (!line) return report(line.error());
  fmt::print("{}\n", *line);
  return 0;
}

int run_bench(BenchArguments& arguments) {
  BenchPlan& plan = arguments.plan;
  if (arguments.list) return list_entries();
  if (arguments.machine) return fmt::print("{}\n", bench::machine_json()), 0;
  if (!arguments.serve.empty()) {
    arguments.task.row = arguments.serve;
    const Result<void> served = bench::serve(arguments.task, arguments.control);
    return served ? 0 : report(served.error());
  }
  if (!arguments.run.empty()) {
    arguments.task.row = arguments.run;
    return run_one(arguments);
  }
  if (arguments.quick) {
    plan.rounds = kQuickRounds;
    arguments.task.scale = kQuickScale;
  }
  plan.task = arguments.task;
  const Result<bool> done = run_plan(plan);
  if (!done) return report(done.error());
  return *done ? 0 : kExitFailed;
}

void add_bench_options(CLI::App& command, BenchArguments& arguments) {
  BenchPlan& plan = arguments.plan;
  bench::Task& task = arguments.task;
  command.add_option("ROW", plan.rows, "what to measure; default: everything");
  command.add_option("--rounds", plan.rounds, "times that each is measured, in turns; default 5")
      ->check(CLI::Range(1u, kMaxRounds));
  command.add_flag("--quick", arguments.quick,
                   "3 rounds of a twentieth of the work, for an impression");
  command.add_flag("--json", plan.json, "every run, and the medians, as one JSON object");
  command.add_option("--subjects", plan.subjects, "ours, limit, tcp; default: all")->delimiter(',');
  command.add_option("--scale", task.scale, "part of the full amount of work")
      ->check(CLI::Range(1e-6, bench::kMaxScale));
  command.add_option(
      "--congestion", plan.congestion,
      "run in a network namespace of our own with this congestion control, such as reno");
  command.add_option("--idle-channels", task.idle_channels, "idle channels beside ours")
      ->check(CLI::Range(std::size_t{0}, bench::kMaxIdleChannels));
  command.add_option("--idle-connections", task.idle_connections, "idle connections beside ours")
      ->check(CLI::Range(std::size_t{0}, bench::kMaxIdleConnections));
  command.add_flag("--list", arguments.list, "what can be measured, one JSON object a line");
  command.add_flag("--machine", arguments.machine, "what this machine is, as JSON");
  command.add_option("--run", arguments.run, "measure this row once, and print one line of JSON");
  command.add_option("--subject", task.subject, "of --run: ours (default), limit or tcp");
  command.add_option("--variant", task.variant, "of --run; default: the first that --list shows");
  command.add_option("--serve", arguments.serve)->group("");  // the second process of a measurement
  command.add_option("--control", arguments.control)->group("");
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App& command = *app.add_subcommand("bench", "Measure how fast channels are on this machine");
  command.description(
      "Measures how fast channels are on this machine.\n\n"
      "Subjects: ours; limit, the least that anything with the same cipher has to\n"
      "do, without a protocol; tcp, the same in clear text. Leave the machine alone\n"
      "meanwhile: everything takes some minutes.\n\n"
      "Examples:\n"
      "  streamkit bench --quick           an impression of everything\n"
      "  streamkit bench stream ping       two rows, five rounds\n"
      "  streamkit bench --congestion reno stream\n");
  add_bench_options(command, *arguments);
  command.footer(
      "Exit codes:\n"
      "  0    everything was measured, or skipped for the reason shown\n"
      "  1    a measurement failed\n"
      "  2    wrong usage");
  command.callback([arguments, &action] {
    action = [arguments](const Signals& signals) {
      signals.end_at_once();
      return run_bench(*arguments);
    };
  });
}

}  // namespace streamkit::cli
