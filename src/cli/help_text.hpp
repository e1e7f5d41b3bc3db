// HelpText: how --help looks: at most 80 columns, commands with one line each.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Formatter.hpp>
#include <string>

namespace streamkit::cli {

class HelpText final : public CLI::Formatter {
 public:
  HelpText() { column_width(kColumn); }

  /// The first line of the description only: the rest is for the command's own help.
  std::string make_subcommand(const CLI::App* sub) const override;
  std::string make_option_desc(const CLI::Option* option) const override;

 private:
  static constexpr std::size_t kColumn = 26;
  static constexpr std::size_t kWidth = 80 - kColumn;
};

}  // namespace streamkit::cli
