#include "bench_table.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace streamkit::cli {
namespace {

using Json = nlohmann::ordered_json;

double middle(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// One line of the table: an entry and what its rounds gave.
struct Line {
  bench::Entry entry;
  std::vector<Json> runs;
  std::string skipped;  // or why it failed

  double median(const char* field = "value") const {
    std::vector<double> values;
    for (const Json& run : runs)
      if (run.contains(field)) values.push_back(run[field]);
    return middle(std::move(values));
  }
  std::pair<double, double> range() const {
    const auto [least, most] =
        std::minmax_element(runs.begin(), runs.end(),
                            [](const Json& a, const Json& b) { return a["value"] < b["value"]; });
    return {(*least)["value"], (*most)["value"]};
  }
};

// The median of the rounds' ratios: what the machine does for a while then hits both sides of one.
double ratio(const Line& ours, const Line& theirs) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(ours.runs.size(), theirs.runs.size()); ++i)
    ratios.push_back(ours.runs[i]["value"].get<double>() / theirs.runs[i]["value"].get<double>());
  return middle(std::move(ratios));
}

bool is_among(const std::vector<std::string>& words, std::string_view word) {
  return words.empty() || std::find(words.begin(), words.end(), word) != words.end();
}

Result<std::vector<Line>> lines_of(const BenchPlan& plan) {
  const std::vector<bench::Entry> all = bench::entries();
  for (const std::string& row : plan.rows)
    if (std::none_of(all.begin(), all.end(), [&](const bench::Entry& e) { return e.row == row; }))
      return Error(Errc::usage,
                   fmt::format("there is no row \"{}\"; --list shows what there is", row));
  std::vector<std::string_view> order;  // the rows, each once
  for (const bench::Entry& e : all)
    if (is_among(plan.rows, e.row) && std::find(order.begin(), order.end(), e.row) == order.end())
      order.push_back(e.row);
  std::vector<Line> lines;
  for (const std::string_view row : order)
    for (const bench::Entry& e : all)
      if (e.row == row && is_among(plan.subjects, e.subject)) lines.push_back({e, {}, {}});
  if (lines.empty()) return Error(Errc::usage, "there is no such subject: ours, limit or tcp");
  return lines;
}

// The yardstick of the same variant, else the first one with the same kind of cipher.
const Line* limit_of(const std::vector<Line>& lines, const Line& ours) {
  if (ours.entry.subject != "ours") return nullptr;
  const Line* found = nullptr;
  for (const Line& line : lines) {
    if (line.entry.row != ours.entry.row || line.entry.subject != "limit" || line.runs.empty())
      continue;
    if (line.entry.variant == ours.entry.variant) return &line;
    if (!found && line.entry.variant.ends_with("-fast") == ours.entry.variant.ends_with("-fast"))
      found = &line;
  }
  return found;
}

// ---------------------------------------------------------------- measuring

class Progress {
 public:
  explicit Progress(std::size_t total)
      : total_(total), is_terminal_(::isatty(STDERR_FILENO) == 1) {}
  void next(unsigned round, const bench::Entry& e) {
    const std::string text = fmt::format("[{}/{}] round {}: {} {} {}", ++done_, total_, round,
                                         e.row, e.subject, e.variant);
    if (is_terminal_) {
      fmt::print(stderr, "\r{:<78}", text.substr(0, 78));
    } else {
      fmt::print(stderr, "{}\n", text);
    }
    std::fflush(stderr);
  }
  void end() const {
    if (is_terminal_) fmt::print(stderr, "\r{:<78}\r", "");
  }

 private:
  std::size_t done_ = 0;
  const std::size_t total_;
  const bool is_terminal_;
};

// False when it failed.
bool measure(Line& line, const BenchPlan& plan) {
  bench::Task task = plan.task;
  task.row = line.entry.row;
  task.subject = line.entry.subject;
  task.variant = line.entry.variant;
  const Result<std::string> said = bench::run_apart(task, plan.congestion);
  const Json run = said ? Json::parse(*said, nullptr, false) : Json();
  if (run.is_object() && run.contains("value")) {
    line.runs.push_back(run);
    return true;
  }
  const bool is_skip = run.is_object() && run.contains("skipped");
  line.skipped = is_skip ? run["skipped"].get<std::string>() : "failed";
  return is_skip;
}

// ---------------------------------------------------------------- showing

std::string number(double value) {
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  if (value >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string remarks(const Line& line, const std::vector<Line>& lines) {
  std::string text;
  const auto add = [&text](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (const Line* limit = limit_of(lines, line))
    add(fmt::format("{:.2f} x limit {}", ratio(line, *limit), limit->entry.variant));
  if (const double cpu = line.median("cpu_s_per_gb"); cpu > 0 && line.entry.unit == "MB/s")
    add(fmt::format("{:.2f} CPU-s/GB", cpu));
  if (const double p99 = line.median("p99_us"); p99 > 0) {
    if (line.entry.unit != "us") add(fmt::format("p50 {} us", number(line.median("p50_us"))));
    add(fmt::format("p99 {} us", number(p99)));
  }
  if (const double bulk = line.median("bulk_mb_s"); bulk > 0)
    add(fmt::format("bulk {} MB/s", number(bulk)));
  return text;
}

void show_table(const std::vector<Line>& lines, const Json& machine) {
  fmt::print("{}, {} cores, {}, {}, {}, AES-GCM by {}\n", machine["cpu"].get<std::string>(),
             machine["cores"].get<int>(), machine["kernel"].get<std::string>(),
             machine["congestion_control"].get<std::string>(),
             machine["libcrypto"].get<std::string>(), machine["aes_gcm"].get<std::string>());
  std::string_view row;
  for (const Line& line : lines) {
    if (line.entry.row != row) fmt::print("\n{} ({})\n", row = line.entry.row, line.entry.unit);
    fmt::print("  {:<6}{:<27}", line.entry.subject, line.entry.variant);
    if (line.runs.empty()) {
      fmt::print("- {}\n", escape(line.skipped));
      continue;
    }
    const auto [least, most] = line.range();
    fmt::print("{:>9}  {:<21}{}\n", number(line.median()),
               fmt::format("{} .. {}", number(least), number(most)), remarks(line, lines));
  }
}

void show_json(const std::vector<Line>& lines, const Json& machine, const BenchPlan& plan) {
  Json results = Json::array();
  for (const Line& line : lines) {
    Json result = {{"row", line.entry.row},
                   {"subject", line.entry.subject},
                   {"variant", line.entry.variant},
                   {"unit", line.entry.unit},
                   {"higher_is_better", line.entry.higher_is_better}};
    if (line.runs.empty()) {
      result["skipped"] = line.skipped;
    } else {
      result["median"] = line.median();
      const auto [least, most] = line.range();
      result["min"] = least;
      result["max"] = most;
      if (const Line* limit = limit_of(lines, line)) result["of_limit"] = ratio(line, *limit);
      result["runs"] = line.runs;
    }
    results.push_back(std::move(result));
  }
  const Json all = {{"machine", machine},
                    {"rounds", plan.rounds},
                    {"scale", plan.task.scale},
                    {"results", results}};
  fmt::print("{}\n", all.dump(2));
}

}  // namespace

Result<bool> run_plan(const BenchPlan& plan) {
  Result<std::vector<Line>> made = lines_of(plan);
  if (!made) return made.error();
  std::vector<Line>& lines = *made;
  Json machine = Json::parse(bench::machine_json());  // before: its load is the others'
  if (!plan.congestion.empty()) machine["congestion_control"] = plan.congestion;
  bool all_good = true;
  Progress progress(lines.size() * plan.rounds);
  for (unsigned round = 1; round <= plan.rounds; ++round) {
    for (Line& line : lines) {
      progress.next(round, line.entry);
      if (line.skipped.empty() && !measure(line, plan)) all_good = false;
    }
  }
  progress.end();
  if (plan.json) {
    show_json(lines, machine, plan);
  } else {
    show_table(lines, machine);
  }
  return all_good;
}

}  // namespace streamkit::cli
