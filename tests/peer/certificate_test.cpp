// Peers and certificates: whose word counts, for whom, and what a certificate may do.
#include "support/certificates.hpp"
#include "support/peer_pair.hpp"

#include <streamkit/io/file.hpp>

namespace streamkit::testing {
namespace {

using crypto::Certificate;

void write(const std::string& path, std::string_view text) { SK_ASSERT_OK(io::replace_file(path, as_bytes(text), 0600)); }

/// A server "s" that believes an authority about users, a client "c" that believes it about hosts, and
/// certificates for both. Neither knows the other's key.
struct World {
  World() {
    server.name = "s", client.name = "c";
    server.identity = server_key, client.identity = client_key;
    server.trust.user_ca_file = folder.file("user_ca");
    client.trust.known_hosts_file = folder.file("known_hosts");
    server.identity_certificate_files = {folder.file("host-cert.pub")};
    client.identity_certificate_files = {folder.file("user-cert.pub")};
    server.log = [log = log](std::string_view, std::string_view line) { log.put(std::string(line)); };
    client.reconnect.on = false;
    write(folder.file("user_ca"), authority.public_key().text() + "\n");
    write(folder.file("known_hosts"), "@cert-authority 127.0.0.1 " + authority.public_key().text() + "\n");
    certify_user({});
    certify_host({});
  }
  void certify_user(CertificateFields fields, std::optional<crypto::PrivateKey> by = {}) {
    if (fields.principals == CertificateFields().principals) fields.principals = {"c"};
    write(folder.file("user-cert.pub"), certify(client_key.public_key(), by ? *by : authority, fields).text() + "\n");
  }
  void certify_host(CertificateFields fields, std::optional<crypto::PrivateKey> by = {}) {
    fields.type = 2;
    if (fields.principals == CertificateFields().principals) fields.principals = {"127.0.0.1"};
    write(folder.file("host-cert.pub"), certify(server_key.public_key(), by ? *by : authority, fields).text() + "\n");
  }
  Result<PeerInfo> connect() {
    made_server.emplace(Peer::make(server).value());
    endpoint = made_server->bind(Endpoint("tcp://127.0.0.1:0")).value();
    made_client.emplace(Peer::make(client).value());
    return made_client->connect(endpoint, kPatience);
  }
  /// The server's word for why it refused.
  std::string refusal() {
    while (const auto line = log.next())
      if (line->starts_with("refused ")) return *line;
    return {};
  }
  Awaited<std::string> log;
  TemporaryFolder folder;
  crypto::PrivateKey authority = new_key(), server_key = new_key(), client_key = new_key();
  PeerOptions server, client;
  std::optional<Peer> made_server, made_client;
  Endpoint endpoint{"inproc://none"};
};

TEST(PeerCertificate, brings_two_peers_together_that_know_an_authority_and_not_each_other) {
  World w;
  const Result<PeerInfo> info = w.connect();
  SK_ASSERT_OK(info);
  ASSERT_TRUE(info->certificate);
  EXPECT_EQ(info->certificate->type(), crypto::CertificateType::host);
  EXPECT_EQ(info->key, w.server_key.public_key());
  const std::optional<PeerInfo> seen = w.made_server->next_peer();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->name, "c");
  ASSERT_TRUE(seen->certificate);
  EXPECT_EQ(seen->certificate->principals(), std::vector<std::string>{"c"});
  EXPECT_EQ(seen->certificate->signature_key(), w.authority.public_key());
}

// ---------------------------------------------------------------- users

struct UserCase {
  const char* name;
  CertificateFields fields;
  const char* why;  ///< in the server's log
};
const UserCase kUserCases[] = {
    {"another_principal", {.principals = {"bob"}}, "is for bob and not for 'c'"},
    {"no_principals", {.principals = {}}, "names no principals"},
    {"expired", {.valid_before = 1'600'000'000}, "was valid until 2020-09-13"},
    {"not_yet_valid", {.valid_after = 4'000'000'000}, "is valid from 2096"},
    {"unknown_critical_option", {.principals = {"c"}, .critical_options = {{"bogus", "1"}}}, "'bogus'"},
    {"verify_required", {.principals = {"c"}, .critical_options = {{"verify-required", ""}}}, "verify-required"},
    {"another_source", {.principals = {"c"}, .critical_options = {{"source-address", "10.0.0.0/8,::1"}}}, "is good from 10.0.0.0/8,::1 only"},
    {"malformed_source", {.principals = {"c"}, .critical_options = {{"source-address", "127.0.0.1,x"}}}, "only, and came from 127.0.0.1"},
};
class UserCertificate : public ::testing::TestWithParam<UserCase> {};

TEST_P(UserCertificate, a20_is_refused_and_the_log_says_which_and_why) {
  World w;
  w.certify_user(GetParam().fields);
  const Result<PeerInfo> info = w.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
  const std::string why = w.refusal();
  EXPECT_NE(why.find("the user certificate 'made by the test' (serial 7, signed by " + w.authority.public_key().fingerprint()), std::string::npos) << why;
  EXPECT_NE(why.find(GetParam().why), std::string::npos) << why;
}
INSTANTIATE_TEST_SUITE_P(Peer, UserCertificate, ::testing::ValuesIn(kUserCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(PeerCertificate, that_is_of_no_use_is_explained_to_who_shows_it) {
  World w;
  w.certify_user({.principals = {"bob"}});
  const Result<PeerInfo> info = w.connect();
  ASSERT_FALSE(info);
  EXPECT_NE(info.error().message().find("is for bob and not for 'c'"), std::string::npos) << info.error().message();
}

TEST(PeerCertificate, a20_of_another_authority_is_refused) {
  World w;
  w.certify_user({}, new_key());
  EXPECT_FALSE(w.connect());
  EXPECT_NE(w.refusal().find("an authority that is not trusted here"), std::string::npos);
}

TEST(PeerCertificate, from_the_right_address_is_taken) {
  World w;
  w.certify_user({.critical_options = {{"source-address", "10.0.0.0/8,127.0.0.0/8"}}});
  SK_EXPECT_OK(w.connect());
}

TEST(PeerCertificate, that_is_refused_leaves_a_key_that_is_authorized_its_right_and_no_more) {
  World w;
  w.certify_user({.valid_before = 1'600'000'000});
  w.server.trust.authorized_keys = {w.client_key.public_key()};
  SK_ASSERT_OK(w.connect());
  EXPECT_FALSE(w.made_server->next_peer()->certificate);
}

TEST(PeerCertificate, a20_with_the_authority_as_a_plain_line_of_authorized_keys_is_refused) {
  World w;
  w.server.trust.user_ca_file.clear();
  w.server.trust.authorized_keys_file = w.folder.file("authorized_keys");
  write(w.server.trust.authorized_keys_file, w.authority.public_key().text() + "\n");
  EXPECT_FALSE(w.connect());
}

TEST(PeerCertificate, a20_an_authority_s_own_key_does_not_come_in) {
  World w;
  w.server.trust.user_ca_file.clear();
  w.server.trust.authorized_keys_file = w.folder.file("authorized_keys");
  write(w.server.trust.authorized_keys_file, "cert-authority " + w.authority.public_key().text() + "\n");
  w.client.identity = w.authority;
  w.client.identity_certificate_files.clear();
  EXPECT_FALSE(w.connect());
}

TEST(PeerCertificate, a20_by_an_authorized_authority_needs_its_principals_and_names) {
  const auto connects = [](const std::string& options, std::vector<std::string> principals) {
    World w;
    w.server.trust.user_ca_file.clear();
    w.server.trust.authorized_keys_file = w.folder.file("authorized_keys");
    write(w.server.trust.authorized_keys_file, options + " " + w.authority.public_key().text() + "\n");
    w.certify_user({.principals = std::move(principals)});
    return w.connect().has_value();
  };
  EXPECT_TRUE(connects("cert-authority", {"c"}));
  EXPECT_TRUE(connects("cert-authority,principals=\"admins,ops\"", {"c", "ops"}));
  EXPECT_FALSE(connects("cert-authority,principals=\"admins,ops\"", {"c"}));
  EXPECT_FALSE(connects("cert-authority,principals=\"admins\"", {"admins"})) << "the name has to be a principal in any case";
  EXPECT_TRUE(connects("cert-authority,name=\"c*\"", {"c"}));
  EXPECT_FALSE(connects("cert-authority,name=\"d*\"", {"c"}));
}

TEST(PeerCertificate, binds_a_name_that_travels_percent_encoded) {
  World w;
  w.client.name = "a peer: 100%";
  w.certify_user({.principals = {"a peer: 100%"}});
  SK_ASSERT_OK(w.connect());
  EXPECT_EQ(w.made_server->next_peer()->name, "a peer: 100%");
  World encoded;
  encoded.client.name = "a peer";
  encoded.certify_user({.principals = {"a%20peer"}});
  EXPECT_FALSE(encoded.connect());
}

TEST(PeerCertificate, a20_with_a_forced_command_opens_that_service_and_no_other) {
  World w;
  w.certify_user({.critical_options = {{"force-command", "allowed"}}});
  SK_ASSERT_OK(w.connect());
  const auto serve = [](Incoming incoming) { (void)incoming.accept(); };
  w.made_server->on_open("*", serve);
  SK_EXPECT_OK(w.made_client->open("s", "allowed", {}, kPatience));
  const Result<Channel> other = w.made_client->open("s", "other", {}, kPatience);
  ASSERT_FALSE(other);
  EXPECT_TRUE(other.error().is(Errc::refused)) << other.error().message();
  EXPECT_NE(other.error().message().find("is for the service 'allowed' only"), std::string::npos) << other.error().message();
}

TEST(PeerCertificate, lets_the_application_decide_by_its_principals) {
  World w;
  w.certify_user({.principals = {"c", "auditor"}});
  w.server.authorize = [](const OpenRequest& request) -> Result<void> {
    const auto& has = request.from.certificate->principals();
    if (std::find(has.begin(), has.end(), request.service) == has.end()) return Errc::refused;
    return {};
  };
  SK_ASSERT_OK(w.connect());
  w.made_server->on_open("*", [](Incoming incoming) { (void)incoming.accept(); });
  SK_EXPECT_OK(w.made_client->open("s", "auditor", {}, kPatience));
  EXPECT_FALSE(w.made_client->open("s", "admin", {}, kPatience));
}

// ---------------------------------------------------------------- hosts

TEST(PeerCertificate, a20_of_a_host_that_does_not_hold_is_refused_with_the_reason) {
  const std::pair<CertificateFields, const char*> cases[] = {
      {{.principals = {"example.org"}}, "is for example.org and not for '127.0.0.1'"},
      {{.valid_before = 1'600'000'000}, "was valid until 2020"},
      {{.principals = {"127.0.0.1"}, .critical_options = {{"force-command", "x"}}}, "not known here"},
      {{.principals = {}}, "names no principals"}};
  for (const auto& [fields, why] : cases) {
    World w;
    w.certify_host(fields);
    w.client.trust.host_keys = Trust::HostKeys::tofu;  // which is no way around an authority
    const Result<PeerInfo> info = w.connect();
    ASSERT_FALSE(info) << why;
    EXPECT_TRUE(info.error().is(Errc::host_key_mismatch));
    EXPECT_NE(info.error().message().find(why), std::string::npos) << info.error().message();
    EXPECT_NE(info.error().message().find("@cert-authority"), std::string::npos) << info.error().message();
  }
}

TEST(PeerCertificate, missing_at_a_host_that_an_authority_speaks_for_is_no_first_contact) {
  for (const bool by_another : {false, true}) {
    World w;
    if (by_another) w.certify_host({}, new_key());
    if (!by_another) w.server.identity_certificate_files.clear();
    w.client.trust.host_keys = Trust::HostKeys::tofu;
    const Result<PeerInfo> info = w.connect();
    ASSERT_FALSE(info);
    EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
  }
}

TEST(PeerCertificate, of_a_host_that_does_not_hold_leaves_a_known_key_known) {
  World w;
  w.certify_host({.valid_before = 1'600'000'000});
  w.client.trust.known_host_keys = {w.server_key.public_key().fingerprint()};
  const Result<PeerInfo> info = w.connect();
  SK_ASSERT_OK(info);
  EXPECT_FALSE(info->certificate);
}

TEST(PeerCertificate, a20_of_a_revoked_host_authority_or_key_is_refused_whatever_else_is_known) {
  for (const bool authority : {true, false}) {
    World w;
    const crypto::PublicKey& revoked = authority ? w.authority.public_key() : w.server_key.public_key();
    write(w.client.trust.known_hosts_file, "@cert-authority * " + w.authority.public_key().text() + "\n@revoked * " + revoked.text() + "\n");
    w.client.trust.known_host_keys = {w.server_key.public_key().fingerprint()};
    const Result<PeerInfo> info = w.connect();
    ASSERT_FALSE(info);
    EXPECT_TRUE(info.error().is(Errc::host_key_mismatch)) << info.error().message();
    EXPECT_NE(info.error().message().find("@revoked"), std::string::npos) << info.error().message();
  }
}

// ---------------------------------------------------------------- revoked keys

TEST(PeerCertificate, a20_and_key_that_are_revoked_are_refused_on_both_sides) {
  for (const bool at_server : {true, false})
    for (const bool authority : {true, false}) {
      World w;
      const crypto::PublicKey& own = at_server ? w.client_key.public_key() : w.server_key.public_key();
      write(w.folder.file("revoked"), (authority ? w.authority.public_key() : own).text() + "\n");
      (at_server ? w.server : w.client).trust.revoked_keys_file = w.folder.file("revoked");
      w.server.trust.authorized_keys = {w.client_key.public_key()};
      w.client.trust.host_key = [](const Endpoint&, const crypto::PublicKey&) { return true; };
      const Result<PeerInfo> info = w.connect();
      if (at_server && authority) {  // the key itself is good, and authorized
        SK_ASSERT_OK(info);
        EXPECT_FALSE(w.made_server->next_peer()->certificate);
        continue;
      }
      ASSERT_FALSE(info);
      EXPECT_TRUE(info.error().is(at_server ? Errc::auth_denied : Errc::host_key_mismatch)) << info.error().message();
    }
}

TEST(PeerCertificate, a20_and_key_are_refused_while_the_list_of_revoked_keys_cannot_be_read) {
  for (const bool at_server : {true, false})
    for (const bool is_there : {true, false}) {
      World w;
      if (is_there) write(w.folder.file("revoked"), "this is no key\n");
      (at_server ? w.server : w.client).trust.revoked_keys_file = w.folder.file("revoked");
      w.server.trust.public_key = [](const std::string&, const crypto::PublicKey&) { return true; };
      w.client.trust.host_keys = Trust::HostKeys::any_insecure;
      const Result<PeerInfo> info = w.connect();
      ASSERT_FALSE(info);
      const std::string why = at_server ? w.refusal() : info.error().message();
      EXPECT_NE(why.find("every key is refused"), std::string::npos) << why;
      write(w.folder.file("revoked"), "# nothing yet\n");
      SK_EXPECT_OK(w.connect());
    }
}

// ---------------------------------------------------------------- our own files

TEST(PeerCertificate, beside_the_identity_file_is_shown_by_itself) {
  World w;
  w.client.identity.reset();
  w.client.identity_certificate_files.clear();
  w.client.identity_file = w.folder.file("id");
  w.client_key = load_or_create_identity(w.client.identity_file).value();
  write(w.folder.file("id-cert.pub"), certify(w.client_key.public_key(), w.authority, {.principals = {"c"}}).text());
  SK_ASSERT_OK(w.connect());
  EXPECT_TRUE(w.made_server->next_peer()->certificate);
}

TEST(PeerCertificate, that_does_not_fit_our_key_or_is_one_too_many_stops_a_peer_from_being_made) {
  World w;
  PeerOptions options = w.client;
  const auto problem = [&] {
    const Result<Peer> made = Peer::make(options);
    return made ? std::string() : made.error().message();
  };
  EXPECT_EQ(problem(), "");
  options.identity_certificate_files = {w.folder.file("user-cert.pub"), w.folder.file("user-cert.pub")};
  EXPECT_NE(problem().find("another certificate of that type"), std::string::npos) << problem();
  options.identity_certificate_files = {w.folder.file("host-cert.pub")};
  EXPECT_NE(problem().find("is for the key " + w.server_key.public_key().fingerprint()), std::string::npos) << problem();
  options.identity_certificate_files = {w.folder.file("user_ca")};
  EXPECT_NE(problem().find("user_ca"), std::string::npos) << problem();
  options.identity_certificate_files = {w.folder.file("none")};
  EXPECT_NE(problem().find("none"), std::string::npos) << problem();
}

TEST(PeerCertificate, that_was_renewed_is_shown_by_the_next_link) {
  World w;
  w.certify_user({.valid_before = 1'600'000'000});
  EXPECT_FALSE(w.connect());
  w.certify_user({});
  SK_EXPECT_OK(w.made_client->connect(w.endpoint, kPatience));
  SK_ASSERT_OK(w.made_client->disconnect(w.endpoint));
  write(w.folder.file("user-cert.pub"), "gone bad");
  EXPECT_FALSE(w.made_client->connect(w.endpoint, kPatience));
}

}  // namespace
}  // namespace streamkit::testing
