// ssh-audit, which logs in to nobody but reads what a server offers, against our Peer.
#include "our_server.hpp"

namespace streamkit::testing {
namespace {

TEST(SshAudit, finds_no_failure_in_what_we_offer) {
  SK_NEEDS("ssh-audit", "ssh-audit");
  const OurServer server;
  Program audit({"ssh-audit", "-n", "-p", std::to_string(server.port()), "127.0.0.1"});
  const std::string report = audit.talk();
  EXPECT_NE(report.find("(kex) curve25519-sha256"), std::string::npos) << report << audit.errors();
  EXPECT_EQ(report.find("[fail]"), std::string::npos) << report;
}

}  // namespace
}  // namespace streamkit::testing
