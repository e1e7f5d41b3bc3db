// Certificates and key revocation lists of ssh-keygen between our Peer and OpenSSH's `ssh` and
// `sshd`, in all four directions.
#include "other_server.hpp"

namespace streamkit::testing {
namespace {

using crypto::KeyType;
class Certificates : public ::testing::TestWithParam<KeyType> {};
INSTANTIATE_TEST_SUITE_P(OpenSsh, Certificates,
                         ::testing::Values(KeyType::ed25519, KeyType::ecdsa_p256,
                                           KeyType::ecdsa_p384, KeyType::ecdsa_p521, KeyType::rsa),
                         key_type_name);

// ---------------------------------------------------------------- their client, our server

Words ssh_words(const OurServer& server, const std::string& known_hosts, const Words& more) {
  Words words = {"ssh",
                 "-F",
                 "none",
                 "-v",
                 "-T",
                 "-p",
                 std::to_string(server.port()),
                 "-l",
                 kUser,
                 "-i",
                 server.user_key_file()};
  for (const std::string& option :
       {"UserKnownHostsFile=" + known_hosts, std::string("GlobalKnownHostsFile=/dev/null"),
        std::string("IdentitiesOnly=yes"), std::string("IdentityAgent=none"),
        std::string("BatchMode=yes"), std::string("StrictHostKeyChecking=yes")}) {
    words.push_back("-o");
    words.push_back(option);
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A server of ours that lets in users by this authority only.
OurServer::Setup by_authority(const Authority& authority, KeyType type = KeyType::ed25519,
                              const std::string& revoked = {}) {
  return {
      .host_key = type, .user_key = type, .change = [&authority, revoked](PeerOptions& options) {
        options.trust.authorized_keys.clear();
        options.trust.user_ca_file = authority.keys_file();
        options.trust.revoked_keys_file = revoked;
      }};
}
/// What `ssh` exits with, when its user has a certificate made with these words.
std::optional<int> exit_of(OurServer& server, Authority& authority, const Words& certificate,
                           const Words& more, std::string* said = nullptr) {
  const std::string file = authority.sign("user", server.user_key().public_key(), certificate);
  Words words = {"-o", "CertificateFile=" + file};
  words.insert(words.end(), more.begin(), more.end());
  Program ssh(ssh_words(server, server.known_hosts_file(), words));
  (void)ssh.talk("hello");
  const std::optional<int> code = ssh.wait();
  if (said) *said = ssh.errors();
  return code;
}

TEST_P(Certificates, of_a_user_let_their_client_in) {
  SK_NEEDS("ssh", "openssh-client");
  Authority authority(GetParam());
  OurServer server(by_authority(authority, GetParam()));
  const std::string file = authority.sign("user", server.user_key().public_key(), {"-n", kUser});
  Program ssh(ssh_words(server, server.known_hosts_file(),
                        {"-o", "CertificateFile=" + file, "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(1 << 20), "");
  EXPECT_EQ(ssh.wait(), 0) << ssh.errors();
  EXPECT_NE(ssh.errors().find("Server accepts key: " + file), std::string::npos) << ssh.errors();
}

TEST(OpenSshClientCertificate, for_another_name_or_revoked_or_of_another_authority_is_refused) {
  SK_NEEDS("ssh", "openssh-client");
  const Words echo = {"127.0.0.1", "echo"};
  Authority authority, other;
  OurServer server(by_authority(authority));
  EXPECT_EQ(exit_of(server, authority, {"-n", "another"}, echo), 255);
  EXPECT_EQ(exit_of(server, other, {"-n", kUser}, echo), 255);
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser, "-V", "20000101:20010101"}, echo), 255);
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser}, echo), 0);
  OurServer strict(by_authority(authority, KeyType::ed25519, authority.revoke()));
  EXPECT_EQ(exit_of(strict, authority, {"-n", kUser}, echo), 255);
  EXPECT_NE(strict.log().text().find("is revoked"), std::string::npos);
}

TEST(OpenSshClientCertificate, obeys_its_options) {
  SK_NEEDS("ssh", "openssh-client");
  Authority authority;
  OurServer server(by_authority(authority));
  server.peer().on_forward(
      [](const ForwardRequest& request) { return Result<std::uint32_t>(request.port); });
  const Words echo = {"127.0.0.1", "echo"}, say = {"127.0.0.1", "say"};
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser, "-O", "source-address=127.0.0.0/8"}, echo), 0);
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser, "-O", "source-address=10.0.0.0/8"}, echo),
            255);
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser, "-O", "force-command=echo"}, echo), 0);
  EXPECT_NE(exit_of(server, authority, {"-n", kUser, "-O", "force-command=echo"}, say), 0);
  const Words forward = {"-o",  "ExitOnForwardFailure=yes", "-R", "9999:127.0.0.1:9", "127.0.0.1",
                         "echo"};
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser}, forward), 0);
  std::string said;
  EXPECT_EQ(exit_of(server, authority, {"-n", kUser, "-O", "no-port-forwarding"}, forward, &said),
            255);
  EXPECT_NE(said.find("forwarding failed"), std::string::npos) << said;
}

/// A server of ours with a certificate for its key, made with these words.
OurServer::Setup certified_host(Authority& authority, const Words& more,
                                KeyType type = KeyType::ed25519) {
  return {.host_key = type, .change = [&authority, more](PeerOptions& options) {
            Words words = {"-h"};
            words.insert(words.end(), more.begin(), more.end());
            options.identity_certificate_files = {
                authority.sign("host", options.identity->public_key(), words)};
          }};
}

TEST_P(Certificates, of_our_host_are_believed_by_their_client) {
  SK_NEEDS("ssh", "openssh-client");
  Authority authority(GetParam());
  OurServer server(certified_host(authority, {"-n", "127.0.0.1"}, GetParam()));
  const std::string known =
      authority.write("known_hosts", "@cert-authority 127.0.0.1 " + authority.line());
  Program ssh(ssh_words(server, known, {"-o", "RekeyLimit=1M", "127.0.0.1", "echo"}));
  EXPECT_EQ(ssh.echo_problem(4 << 20), "");
  EXPECT_EQ(ssh.wait(), 0) << ssh.errors();
  EXPECT_NE(ssh.errors().find("Server host certificate: "), std::string::npos) << ssh.errors();
  EXPECT_GE(count_of(ssh.errors(), "SSH2_MSG_NEWKEYS received"), 2u);
}

TEST(OpenSshClientCertificate, of_our_host_for_another_name_or_revoked_is_refused) {
  SK_NEEDS("ssh", "openssh-client");
  Authority authority;
  const std::string known =
      authority.write("known_hosts", "@cert-authority 127.0.0.1 " + authority.line());
  const auto code = [&](const std::string& name, const Words& options) {
    OurServer server(certified_host(authority, {"-n", name}));
    Words words = options;
    words.insert(words.end(), {"127.0.0.1", "echo"});
    Program ssh(ssh_words(server, known, words));
    (void)ssh.talk();
    return ssh.wait();
  };
  EXPECT_EQ(code("127.0.0.1", {}), 0);
  EXPECT_EQ(code("example.org", {}), 255);
  EXPECT_EQ(code("127.0.0.1", {"-o", "RevokedHostKeys=" + authority.revoke()}), 255);
}

// ---------------------------------------------------------------- our client, their server

/// What our client gets from an sshd that takes users by an authority only.
Result<PeerInfo> connect_with(Authority& authority, KeyType type, const Words& certificate,
                              const std::string& more = {}) {
  const crypto::PrivateKey user = new_key(type);
  RunningServer sshd(
      other_server("OpenSsh"),
      {.user_key = user, .login = Login::certificate, .authority = authority.line(), .more = more});
  if (!sshd.is_up()) return Error(Errc::usage, "no sshd: " + sshd.errors());
  OurClient::Setup setup = sshd.client();
  setup.change = [&](PeerOptions& options) {
    options.identity_certificate_files = {authority.sign("user", user.public_key(), certificate)};
  };
  OurClient client(setup);
  Result<PeerInfo> info = client.connect();
  if (!info) return info;
  Result<Channel> channel = client.open("cat");
  if (!channel) return channel.error();
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
  return info;
}

TEST_P(Certificates, of_our_user_let_us_into_their_server) {
  SK_NEEDS("sshd", "openssh-server");
  Authority authority(GetParam());
  SK_EXPECT_OK(connect_with(authority, GetParam(), {"-n", machine_user()}));
}

TEST(OpenSshServerCertificate, for_another_name_or_revoked_is_refused_and_we_say_so) {
  SK_NEEDS("sshd", "openssh-server");
  Authority authority;
  const Result<PeerInfo> another = connect_with(authority, KeyType::ed25519, {"-n", "another"});
  ASSERT_FALSE(another);
  EXPECT_NE(another.error().message().find("is for another and not for"), std::string::npos)
      << another.error().message();
  const Result<PeerInfo> revoked = connect_with(authority, KeyType::ed25519, {"-n", machine_user()},
                                                "RevokedKeys " + authority.revoke() + "\n");
  ASSERT_FALSE(revoked);
  EXPECT_TRUE(revoked.error().is(Errc::auth_denied)) << revoked.error().message();
}

/// What our client gets from an sshd whose host key is certified with these words.
Result<PeerInfo> connect_to(Authority& authority, KeyType type, const Words& certificate,
                            const std::string& revoked = {}) {
  const crypto::PrivateKey host = new_key(type);
  Words words = {"-h"};
  words.insert(words.end(), certificate.begin(), certificate.end());
  RunningServer sshd(
      other_server("OpenSsh"),
      {.host_key = host,
       .more = "HostCertificate " + authority.sign("host", host.public_key(), words) + "\n"});
  if (!sshd.is_up()) return Error(Errc::usage, "no sshd: " + sshd.errors());
  OurClient::Setup setup = sshd.client();
  setup.rekey_after_bytes = 64 << 10;
  setup.change = [&](PeerOptions& options) {
    options.trust.known_host_keys.clear();
    options.trust.known_hosts_file =
        authority.write("known_hosts", "@cert-authority 127.0.0.1 " + authority.line());
    options.trust.revoked_keys_file = revoked;
  };
  OurClient client(setup);
  Result<PeerInfo> info = client.connect();
  if (!info) return info;
  Result<Channel> channel = client.open("cat");
  if (!channel) return channel.error();
  EXPECT_EQ(echo_problem(*channel, 1 << 20), "");
  return info;
}

TEST_P(Certificates, of_their_host_are_believed_by_us) {
  SK_NEEDS("sshd", "openssh-server");
  Authority authority(GetParam());
  const Result<PeerInfo> info = connect_to(authority, GetParam(), {"-n", "127.0.0.1"});
  SK_ASSERT_OK(info);
  ASSERT_TRUE(info->certificate);
  EXPECT_EQ(info->certificate->key_id(), "host");
}

TEST(OpenSshServerCertificate, of_their_host_for_another_name_or_revoked_is_refused) {
  SK_NEEDS("sshd", "openssh-server");
  Authority authority;
  const Result<PeerInfo> another = connect_to(authority, KeyType::ed25519, {"-n", "example.org"});
  ASSERT_FALSE(another);
  EXPECT_NE(another.error().message().find("is for example.org"), std::string::npos)
      << another.error().message();
  const Result<PeerInfo> revoked =
      connect_to(authority, KeyType::ed25519, {"-n", "127.0.0.1"}, authority.revoke());
  ASSERT_FALSE(revoked);
  EXPECT_NE(revoked.error().message().find("is revoked"), std::string::npos)
      << revoked.error().message();
}

}  // namespace
}  // namespace streamkit::testing
