// main: arguments in, one command out. Says what is wrong with the arguments itself, so that each
// usage error is one line that names the nearest thing that exists.
#include "commands.hpp"
#include "exit_codes.hpp"
#include "help_text.hpp"

#include <streamkit/crypto/implementation.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::cli {
namespace {

constexpr std::array<std::string_view, 5> kCommands = {"relay", "http", "tcp", "bench", "help"};

// Levenshtein distance; both words are short.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

int unknown_command(std::string_view given) {
  const std::string_view word = given.substr(0, 32);
  std::string line = fmt::format("there is no command \"{}\"", word);
  const auto nearest = std::min_element(kCommands.begin(), kCommands.end(), [&](auto a, auto b) {
    return distance(word, a) < distance(word, b);
  });
  if (distance(word, *nearest) <= 2) line += fmt::format("; did you mean \"{}\"?", *nearest);
  Console({}).error(line + " `streamkit --help` shows what there is");
  return kExitUsage;
}

// `help X` is `X --help`.
void translate_help(std::vector<std::string>& words) {
  if (words.empty() || words.front() != "help") return;
  words.erase(words.begin());
  words.resize(std::min<std::size_t>(words.size(), 1));
  words.emplace_back("--help");
}

std::string version_text() {
  return fmt::format("streamkit {}\nbuilt with OpenSSL {} and {}\nruns with {}; AES-GCM by {}",
                     STREAMKIT_VERSION, STREAMKIT_OPENSSL_VERSION, STREAMKIT_COMPILER,
                     crypto::libcrypto_implementation(),
                     crypto::implementation_of(crypto::AesGcm::automatic));
}

void describe(CLI::App& app) {
  app.description(
      "Brings local services to public names, over SSH.\n\n"
      "Examples:\n"
      "  streamkit relay          take visitors on http://NAME.localhost:8080\n"
      "  streamkit http 3000      give the application on port 3000 a name there\n"
      "  ssh -p 2222 -R NAME:80:localhost:3000 localhost\n"
      "                           the same with a stock ssh\n");
  app.name("streamkit");
  app.set_version_flag("--version", version_text);  // asked for: it has a library test itself
  app.set_help_flag("-h,--help", "show this text");
  app.require_subcommand(1);
  app.footer(std::string(kExitCodeHelp) + "\n\n`streamkit help COMMAND` tells more.");
}

}  // namespace

void add_voice_options(CLI::App& command, Voice& voice) {
  command.add_flag("--json", voice.json, "events as JSON, one a line, on stdout");
  command.add_flag("-q,--quiet", voice.quiet, "say nothing but errors (and the URL)");
  command.add_flag("-v,--verbose", voice.verbose, "say more");
}

std::string endpoint_text(const std::string& given, const std::string& default_port) {
  if (given.find("://") != std::string::npos) return given;
  if (given.starts_with("unix:")) return "unix://" + given.substr(5);
  const std::size_t host = given.rfind('@') + 1;  // 0 without
  const bool has_port =
      given.find(':', given.substr(host, 1) == "[" ? given.find(']', host) : host) !=
      std::string::npos;
  return has_port || default_port.empty() ? "tcp://" + given
                                          : fmt::format("tcp://{}:{}", given, default_port);
}

int run(int argc, const char* const* argv) {
  const Signals signals;
  std::vector<std::string> words(argv + 1, argv + argc);
  translate_help(words);
  CLI::App app;
  Action action;
  app.formatter(std::make_shared<HelpText>());  // commands inherit it
  describe(app);
  add_relay_command(app, action);
  add_http_command(app, action);
  add_tcp_command(app, action);
  add_bench_command(app, action);
  if (words.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return kExitUsage;
  }
  if (!words.front().starts_with('-') &&
      std::find(kCommands.begin(), kCommands.end(), words.front()) == kCommands.end()) {
    return unknown_command(words.front());
  }
  try {
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    app.parse(words);
  } catch (const CLI::ParseError& stop) {
    if (stop.get_exit_code() == 0) return app.exit(stop);  // help and version
    Console({}).error(fmt::format("{}; see --help", stop.what()));
    return kExitUsage;
  }
  return action(signals);
}

}  // namespace streamkit::cli

int main(int argc, char** argv) {
  return streamkit::cli::run(argc, argv);
}
