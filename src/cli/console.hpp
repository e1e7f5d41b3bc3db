// Console: what the program says, and where. Data goes to stdout (the URL, or JSON events, one a
// line), everything for people to stderr. Any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace streamkit::cli {

struct Voice {
  bool json = false;   ///< events on stdout, and only errors on stderr
  bool quiet = false;  ///< only errors on stderr
  bool verbose = false;
};

class Console {
 public:
  explicit Console(Voice voice) : voice_(voice) {}

  /// A line of data, unless JSON is wanted.
  void data(std::string_view line) const;
  /// An event, when JSON is wanted.
  void event(std::string_view name, const nlohmann::ordered_json& fields) const;
  /// For people: the first word tells what it is about.
  void note(std::string_view line) const;
  /// The same with -v only.
  void detail(std::string_view line) const;
  /// Always, with the program's name before it.
  void error(std::string_view line) const;

 private:
  Voice voice_;
};

}  // namespace streamkit::cli
