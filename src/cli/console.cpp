// Console: whole lines, flushed at once; each is one write, so that lines of two threads do not
// mix.
#include "console.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace streamkit::cli {
namespace {

// Nobody reads any more: nothing sensible is left to do about it, and the tunnel should go on.
void write_line(std::FILE* to, std::string line) {
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), to) == line.size()) std::fflush(to);
}

}  // namespace

void Console::data(std::string_view line) const {
  if (!voice_.json) write_line(stdout, std::string(line));
}

void Console::event(std::string_view name, const nlohmann::ordered_json& fields) const {
  if (!voice_.json) return;
  nlohmann::ordered_json all = {{"event", name}};
  all.update(fields);
  // Text that is not UTF-8 (a visitor's path, say) must not end the program.
  write_line(stdout, all.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void Console::note(std::string_view line) const {
  if (!voice_.json && !voice_.quiet) write_line(stderr, std::string(line));
}

void Console::detail(std::string_view line) const {
  if (voice_.verbose) write_line(stderr, std::string(line));
}

void Console::error(std::string_view line) const {
  write_line(stderr, "streamkit: " + std::string(line));
}

}  // namespace streamkit::cli
