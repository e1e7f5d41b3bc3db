// Escaping, UTF-8, base64 and patterns: the output is safe whatever the input, and base64 is one to
// one.
#include <streamkit/base/text.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(std::as_bytes(std::span(data, size)));

  const std::string safe = escape(text, 256);
  require(safe.size() <= 256 + 3);
  require(is_valid_utf8(safe));
  for (const char c : safe) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);

  const Result<Bytes> decoded = base64_decode(text);
  if (decoded) require(base64_encode(*decoded) == text);
  const Result<Bytes> back = base64_decode(base64_encode(as_bytes(text)));
  require(back && as_text(*back) == text);

  const std::size_t half = text.size() / 2;
  if (text.size() <= 256) matches_pattern(text.substr(0, half), text.substr(half));
  require(matches_pattern("*", text));
  return 0;
}
