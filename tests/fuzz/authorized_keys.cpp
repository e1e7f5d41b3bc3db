// authorized_keys: any text at all. Every key that is let in has to be written in the text, on the
// line that is named, and restricted as that line says.
#include <streamkit/base/text.hpp>
#include <streamkit/peer/trust.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;

namespace {

std::string_view line_of(std::string_view text, std::size_t number) {
  for (; number > 1; --number) text.remove_prefix(text.find('\n') + 1);
  return text.substr(0, text.find('\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(std::as_bytes(std::span(data, size))));
  const AuthorizedKeys keys = AuthorizedKeys::parse(text);
  require(keys.problems().size() <= kMaxTrustProblems + 1);
  for (const std::string& problem : keys.problems()) require(escape(problem) == problem);
  for (const AuthorizedKeys::Entry& entry : keys.entries()) {
    require(!entry.key.is_empty());
    require((entry.is_authority ? keys.find_authority(entry.key) : keys.find(entry.key)) == &entry);
    const std::string_view line = line_of(text, entry.line);
    const std::string key = entry.key.text();
    require(line.find(key.substr(0, key.find(' '))) != std::string_view::npos);
    require(line.find(key.substr(key.find(' ') + 1)) != std::string_view::npos);
    require(entry.comment.size() < line.size());
    // A line that holds a quote before its key restricts the names or the principals.
    const std::string_view before = line.substr(0, line.find(key.substr(key.find(' ') + 1)));
    require((entry.names.empty() && entry.principals.empty()) ==
            (before.find('"') == std::string_view::npos));
    for (const std::string& name : entry.names) require(!name.empty() && name != "!");
    if (entry.names.empty()) require(AuthorizedKeys::allows_name(entry, "anyone"));
  }
  return 0;
}
