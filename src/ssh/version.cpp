// The identification line: what a line must look like to be one, and what may come before it.
#include "version.hpp"

#include <algorithm>

namespace streamkit::ssh {
namespace {

constexpr std::string_view kPrefix = "SSH-";

Error bad(const char* what) {
  return Error(Errc::protocol, what);
}

/// Whether `input` can still become a line that begins with "SSH-".
bool may_be_ident(std::string_view input) {
  const std::size_t n = std::min(input.size(), kPrefix.size());
  return input.substr(0, n) == kPrefix.substr(0, n);
}

Result<std::string> check_ident(std::string_view line) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (!std::all_of(line.begin(), line.end(), printable))
    return bad("the identification line has bytes that are not printable ASCII");
  for (const std::string_view version : {"SSH-2.0-", "SSH-1.99-"})
    if (line.starts_with(version) && line.size() > version.size()) return std::string(line);
  return Error(Errc::version_mismatch, "the other side does not speak SSH version 2.0");
}

}  // namespace

Result<std::string> make_ident(std::string_view software) {
  const auto good = [](char c) { return c > ' ' && c <= '~' && c != '-'; };
  const std::string line = "SSH-2.0-" + std::string(software);
  if (software.empty() || line.size() + 2 > kMaxIdent ||
      !std::all_of(software.begin(), software.end(), good))
    return Error(
        Errc::usage,
        "Config::software must be printable ASCII without space and minus, at most 245 bytes");
  return line;
}

Result<void> IdentReader::skip(std::size_t size) {
  lines_ += 1;
  bytes_ += size;
  if (lines_ > kMaxLinesBeforeIdent || bytes_ > kMaxBytesBeforeIdent)
    return bad("the server sends too much text before its identification line");
  return {};
}

Result<IdentReader::Step> IdentReader::read(ByteView input) {
  Step step;
  while (true) {
    const std::string_view rest = as_text(input).substr(step.consumed);
    if (rest.empty()) return step;
    const bool ident = may_be_ident(rest);
    if (!ident && role_ == Role::server) return bad("what came is not an SSH identification line");
    const std::size_t most = ident ? kMaxIdent : kMaxLineBeforeIdent;
    const std::size_t end = rest.substr(0, most).find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() >= most) return bad("the identification line is too long");
      return step;
    }
    std::string_view line = rest.substr(0, end);
    if (line.find('\0') != std::string_view::npos) return bad("a NUL in the identification line");
    step.consumed += end + 1;
    // A short line like "SSH" is text of the server's, not the start of an identification.
    if (!line.starts_with(kPrefix)) {
      if (role_ == Role::server) return bad("what came is not an SSH identification line");
      if (auto skipped = skip(end + 1); !skipped) return skipped.error();
      continue;
    }
    if (line.ends_with('\r')) line.remove_suffix(1);
    Result<std::string> checked = check_ident(line);
    if (!checked) return checked.error();
    step.ident = std::move(*checked);
    return step;
  }
}

}  // namespace streamkit::ssh
