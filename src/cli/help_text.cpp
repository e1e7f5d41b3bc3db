// HelpText: CLI11's formatter indents further lines of a text but does not break lines; this does.
#include "help_text.hpp"

#include <sstream>

namespace streamkit::cli {
namespace {

std::string wrapped(const std::string& text, std::size_t width) {
  std::istringstream words(text);
  std::string all;
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      all += line + '\n';
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  return all + line;
}

}  // namespace

std::string HelpText::make_subcommand(const CLI::App* sub) const {
  const std::string description = sub->get_description();
  std::ostringstream out;
  CLI::detail::format_help(out, sub->get_display_name(true),
                           description.substr(0, description.find('\n')), kColumn);
  return out.str();
}

std::string HelpText::make_option_desc(const CLI::Option* option) const {
  return wrapped(CLI::Formatter::make_option_desc(option), kWidth);
}

}  // namespace streamkit::cli
