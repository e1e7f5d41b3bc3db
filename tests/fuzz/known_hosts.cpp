// known_hosts: any text at all. What it trusts has to be written in it, and a revocation always
// wins.
#include <streamkit/base/text.hpp>
#include <streamkit/peer/trust.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;
using Verdict = KnownHosts::Verdict;

namespace {

constexpr const char* kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFUbmNUeAFUdpHJBKmHss0RjWsKv2HY5wEKFQuyUowZt";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::PublicKey key = crypto::PublicKey::from_text(kKey).value();
  const std::string text(as_text(std::as_bytes(std::span(data, size))));
  const KnownHosts hosts = KnownHosts::parse(text);
  require(hosts.problems().size() <= kMaxTrustProblems + 1);
  for (const std::string& problem : hosts.problems()) require(escape(problem) == problem);

  for (const char* host : {"h", "example.org", "::1"}) {
    const auto answer = hosts.check(host, 22, key);
    require((answer.verdict == Verdict::unknown) == (answer.line == 0));
    require(answer.verdict == Verdict::changed || answer.expected.empty());
    if (answer.verdict == Verdict::known) require(contains(text, key.text().substr(12)));
    const std::string more = text + "\n" + KnownHosts::line(host, 22, key);
    const Verdict now = KnownHosts::parse(more).check(host, 22, key).verdict;
    require(now == (answer.verdict == Verdict::revoked ? Verdict::revoked : Verdict::known));
    const KnownHosts without =
        KnownHosts::parse(more + "\n@revoked " + KnownHosts::line(host, 22, key));
    require(without.check(host, 22, key).verdict == Verdict::revoked);
  }
  // Whatever the first bytes are as a host, the line for it names that host and no other.
  const std::string host = text.substr(0, 40);
  const std::string line = KnownHosts::line(host, 2222, key);
  if (line.empty()) return 0;
  const KnownHosts alone = KnownHosts::parse(line);
  require(alone.problems().empty());
  require(alone.check(host, 2222, key).verdict == Verdict::known);
  require(alone.check(host + "x", 2222, key).verdict == Verdict::unknown);
  require(alone.check("other.example", 2222, key).verdict == Verdict::unknown);
  return 0;
}
