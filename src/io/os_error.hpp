// Errors of the operating system as sentences: what failed, why, and what to do about it.
#pragma once

#include <streamkit/base/error.hpp>

#include <cctype>
#include <string>
#include <string_view>

namespace streamkit::io {

inline std::error_code os_code(int number) noexcept {
  return {number, std::generic_category()};
}

/// "address already in use": strerror's words, fit for the middle of a sentence.
inline std::string os_words(int number) {
  std::string words = os_code(number).message();
  if (words.size() > 1 && std::islower(static_cast<unsigned char>(words[1])))
    words[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(words[0])));
  return words;
}

/// "<what>: <the system's words>; <advice>"
inline Error os_error(int number, std::string_view what, std::string_view advice = {}) {
  std::string sentence(what);
  sentence += ": " + os_words(number);
  if (!advice.empty()) sentence.append("; ").append(advice);
  return Error(os_code(number), std::move(sentence));
}

}  // namespace streamkit::io
