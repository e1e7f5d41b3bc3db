// What the readers of known_hosts, authorized_keys and lists of keys share: lines, fields,
// patterns, and how problems are reported. Private to those files.
#pragma once

#include <streamkit/base/text.hpp>
#include <streamkit/peer/trust.hpp>

#include <algorithm>

namespace streamkit::trust_file {

inline constexpr std::string_view kBlanks = " \t";

inline std::string_view trim(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Cuts the first `length` bytes off `rest`, and the blanks behind them.
inline std::string_view take(std::string_view& rest, std::size_t length) noexcept {
  const std::string_view field = rest.substr(0, length);
  rest.remove_prefix(field.size());
  rest = trim(rest);
  return field;
}

inline std::string_view take_field(std::string_view& rest) noexcept {
  return take(rest, rest.find_first_of(kBlanks));
}

/// Calls use(number, line) for every line that says something, trimmed.
template <class Use>
void for_each_line(std::string_view text, Use&& use) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim(line);
    if (!line.empty() && line.front() != '#') use(number, line);
  }
}

inline bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

inline void report(std::vector<std::string>& problems, std::size_t line, std::string_view why) {
  if (problems.size() > kMaxTrustProblems) return;
  if (problems.size() == kMaxTrustProblems) {
    problems.emplace_back("further lines have problems too");
    return;
  }
  problems.push_back("line " + std::to_string(line) + ": " + escape(why, 256));
}

/// Whether a list of patterns takes `text`: one has to match, and none that begins with '!'.
class PatternList {
 public:
  explicit PatternList(std::string_view text) noexcept : text_(text) {}
  void meet(std::string_view pattern) noexcept {
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!matches_pattern(pattern, text_)) return;
    (negated ? refused_ : taken_) = true;
  }
  bool takes() const noexcept { return taken_ && !refused_; }
  bool refuses() const noexcept { return refused_; }

 private:
  std::string_view text_;
  bool taken_ = false, refused_ = false;
};

template <class Use>
void for_each_pattern(std::string_view list, Use&& use) {
  while (true) {
    const auto comma = list.find(',');
    use(list.substr(0, comma));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// The type and the base64 text at the head of `rest`, as a key whose type is the declared one.
inline Result<crypto::PublicKey> take_key(std::string_view& rest) {
  const std::string_view type = take_field(rest);
  const std::string_view blob = take_field(rest);
  if (blob.empty()) return Error(Errc::bad_key, "the key is missing or incomplete");
  return crypto::PublicKey::from_text(std::string(type) + ' ' + std::string(blob));
}

}  // namespace streamkit::trust_file
