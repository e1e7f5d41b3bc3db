// ssh-audit, which logs in to nobody but reads what a server or a client offers, against our Peer
// and against OpenSSH as it comes: what it objects to in us, it objects to in everybody.
#include "other_server.hpp"

#include <set>
#include <sstream>

namespace streamkit::testing {
namespace {

/// The objections in a report: "algorithm: [fail] words" and the same with [warn].
std::set<std::string> objections(const std::string& report) {
  std::set<std::string> found;
  std::istringstream lines(report);
  std::string algorithm;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("(")) algorithm = line.substr(0, line.find("  "));
    algorithm = algorithm.substr(0, algorithm.find(" --"));
    for (const char* mark : {"[fail]", "[warn]"})
      if (const std::size_t at = line.find(mark); at != std::string::npos)
        found.insert(algorithm + ": " + line.substr(at));
  }
  return found;
}

void expect_no_more(const std::string& ours, const std::string& theirs) {
  ASSERT_NE(ours.find("(kex) curve25519-sha256"), std::string::npos) << ours;
  ASSERT_NE(theirs.find("(kex) curve25519-sha256"), std::string::npos) << theirs;
  const std::set<std::string> known = objections(theirs);
  EXPECT_FALSE(known.empty()) << "nothing was understood of:\n" << theirs;
  for (const std::string& one : objections(ours)) EXPECT_TRUE(known.contains(one)) << one;
}

std::string all_of(Program& audit) {
  std::string said = audit.talk();
  (void)audit.wait();
  return said + audit.errors();
}

std::string audit_server(std::uint16_t port) {
  Program audit({"ssh-audit", "-n", "-p", std::to_string(port), "127.0.0.1"});
  return all_of(audit);
}

TEST(SshAudit, finds_no_failure_in_what_our_server_offers_and_no_warning_that_sshd_lacks) {
  SK_NEEDS("ssh-audit", "ssh-audit");
  SK_NEEDS_SSHD(sshd);
  const OurServer ours;
  const std::string report = audit_server(ours.port());
  EXPECT_EQ(report.find("[fail]"), std::string::npos) << report;
  expect_no_more(report, audit_server(sshd.client().port));
}

TEST(SshAudit, objects_to_nothing_in_our_client_that_ssh_does_not_offer) {
  SK_NEEDS("ssh-audit", "ssh-audit");
  SK_NEEDS("ssh", "openssh-client");
  const auto audit_client = [](auto&& come) {
    const std::uint16_t port = free_port();
    Program audit({"ssh-audit", "-n", "-c", "-p", std::to_string(port)});
    const auto client = come(port);
    return all_of(audit);
  };
  const std::string ours = audit_client([](std::uint16_t port) {
    PeerOptions options;
    options.reconnect.from_start = true;
    auto client = std::make_unique<Peer>(Peer::make(options).value());
    client->async_connect(Endpoint("tcp://127.0.0.1:" + std::to_string(port)), {},
                          [](Result<PeerInfo>) {});
    return client;
  });
  const std::string theirs = audit_client([](std::uint16_t port) {
    return std::make_unique<Program>(std::vector<std::string>{
        "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectionAttempts=100", "-p",
        std::to_string(port), "127.0.0.1"});
  });
  expect_no_more(ours, theirs);
}

}  // namespace
}  // namespace streamkit::testing
