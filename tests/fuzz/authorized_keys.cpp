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
    // A line that holds a quote before its key restricts something.
    const std::string_view before = line.substr(0, line.find(key.substr(key.find(' ') + 1)));
    const bool restricts = !entry.names.empty() || !entry.principals.empty() ||
                           !entry.sources.empty() || ~entry.expires != 0 || entry.max_links != 0 ||
                           !entry.permit_open.empty() || !entry.permit_listen.empty() ||
                           !entry.command.empty() || !entry.services.empty() ||
                           entry.max_channels != 0;
    require(restricts == (before.find('"') != std::string_view::npos));
    for (const auto* list : {&entry.names, &entry.principals, &entry.sources, &entry.services})
      require(list->size() <= kMaxKeyPatterns);
    require(entry.permit_open.size() <= kMaxKeyPatterns);
    require(entry.permit_listen.size() <= kMaxKeyPatterns);
    if (!entry.port_forwarding) {
      require(!AuthorizedKeys::allows_open(entry, "a", 1));
      require(!AuthorizedKeys::allows_listen(entry, "a", 1));
    }
    if (!entry.sources.empty()) require(!AuthorizedKeys::allows_source(entry, ""));
    for (const std::string& name : entry.names) require(!name.empty() && name != "!");
    if (entry.names.empty()) require(AuthorizedKeys::allows_name(entry, "anyone"));
  }
  return 0;
}
