// Certificates in the key exchange and in authentication: what is offered, what is shown, what is
// signed.
#include "support/certificates.hpp"
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using crypto::Certificate;
using crypto::KeyType;
using testing::certificate_blob;
using testing::CertificateFields;
using testing::certify;
using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

const std::pair<KeyType, std::string> kKinds[] = {
    {KeyType::ed25519, "ssh-ed25519-cert-v01@openssh.com"},
    {KeyType::ecdsa_p256, "ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {KeyType::ecdsa_p384, "ecdsa-sha2-nistp384-cert-v01@openssh.com"},
    {KeyType::ecdsa_p521, "ecdsa-sha2-nistp521-cert-v01@openssh.com"},
    {KeyType::rsa, "rsa-sha2-512-cert-v01@openssh.com"},
    {KeyType::rsa, "rsa-sha2-256-cert-v01@openssh.com"}};

const crypto::PrivateKey& authority() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  return key;
}
Certificate host_certificate(KeyType type = KeyType::ed25519) {
  return certify(test_key(type).public_key(), authority(), {.type = 2, .principals = {"host"}});
}
Config certified_server(KeyType type = KeyType::ed25519) {
  Config config = server_config();
  config.host_keys = {test_key(type)};
  config.host_certificates = {host_certificate(type)};
  return config;
}
Config judging_client() {
  Config config = client_config();
  config.judges_authorities = true;
  return config;
}
Config certified_client(KeyType type = KeyType::ed25519) {
  Config config = client_config();
  config.identities = {Identity(test_key(type))};
  config.identities[0].certificate =
      certify(test_key(type).public_key(), authority(), {.principals = {"ada"}});
  return config;
}

// ---- host certificates

TEST(HostCertificate, of_every_kind_is_shown_hashed_and_kept_through_rekeys) {
  for (const auto& [type, name] : kKinds) {
    SCOPED_TRACE(name);
    Config client = judging_client();
    client.algorithms.host_keys = {name};
    TransportPair pair(std::move(client), certified_server(type));
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    EXPECT_EQ(pair.client.transport.info().host_key, name);
    ASSERT_TRUE(pair.client.host_certificate);
    EXPECT_EQ(*pair.client.host_certificate, host_certificate(type));
    EXPECT_EQ(*pair.client.host_key, test_key(type).public_key());
    ASSERT_TRUE(pair.client.transport.start_rekey(pair.now));
    pair.drive();
    EXPECT_EQ(pair.client.transport.info().exchanges, 2u);
    EXPECT_TRUE(pair.is_open());
  }
}

TEST(HostCertificate,
     comes_first_with_a_client_that_judges_authorities_and_not_at_all_with_one_that_does_not) {
  TransportPair judging(judging_client(), certified_server());
  judging.drive();
  EXPECT_EQ(judging.client.transport.info().host_key, kKinds[0].second);
  TransportPair plain(client_config(), certified_server());
  plain.drive();
  EXPECT_EQ(plain.client.transport.info().host_key, "ssh-ed25519");
  EXPECT_FALSE(plain.client.host_certificate);
  TransportPair without(judging_client(), server_config());
  without.drive();
  EXPECT_EQ(without.client.transport.info().host_key, "ssh-ed25519");
  EXPECT_FALSE(without.client.host_certificate);
}

TEST(HostCertificate, names_are_offered_by_a_server_only_for_what_is_certified) {
  Config server = certified_server();
  server.host_keys.push_back(test_key(KeyType::rsa));
  const std::vector<std::string> expected = {kKinds[0].second, "ssh-ed25519", "rsa-sha2-512",
                                             "rsa-sha2-256"};
  EXPECT_EQ(make_proposal(Role::server, server).value().host_keys, expected);
  EXPECT_EQ(make_proposal(Role::client, client_config()).value().host_keys.front(), "ssh-ed25519");
  EXPECT_EQ(make_proposal(Role::client, judging_client()).value().host_keys.front(),
            kKinds[0].second);
  server.algorithms.host_keys = {"rsa-sha2-256-cert-v01@openssh.com"};
  EXPECT_FALSE(make_proposal(Role::server, server));
}

TEST(HostCertificate, that_does_not_fit_is_a_mistake_of_ours) {
  testing::FixedRandom random(1);
  const auto made = [&](Role role, Config config) {
    config.random = &random;
    return Transport::make(role, std::move(config), TimePoint{}).has_value();
  };
  EXPECT_TRUE(made(Role::server, certified_server()));
  Config stranger = certified_server();
  stranger.host_certificates = {host_certificate(KeyType::rsa)};
  EXPECT_FALSE(made(Role::server, stranger));
  Config twice = certified_server();
  twice.host_certificates.push_back(host_certificate());
  EXPECT_FALSE(made(Role::server, twice));
  Config user = certified_server();
  user.host_certificates = {certify(test_key(KeyType::ed25519).public_key(), authority())};
  EXPECT_FALSE(made(Role::server, user));
  EXPECT_TRUE(made(Role::client, certified_client()));
  Config other = certified_client();
  other.identities[0].private_key = test_key(KeyType::ecdsa_p256);
  EXPECT_FALSE(made(Role::client, other));
  Config host = certified_client();
  host.identities[0].certificate = host_certificate();
  EXPECT_FALSE(made(Role::client, host));
}

/// A raw server shows `blob` where `name` was agreed on, and is left before its signature is looked
/// at.
void expect_refused_host(const std::string& name, const Bytes& blob, std::string_view words) {
  SCOPED_TRACE(words);
  Config client = judging_client();
  client.algorithms.host_keys = {name};
  RawPeer peer(Role::server, certified_server(), std::move(client));
  peer.reach(State::exchange);
  KexReply reply = read_kex_reply(peer.method_message).value();
  reply.host_key = blob;
  peer.send(write_kex_reply(reply));
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 3u);
  EXPECT_FALSE(peer.engine.has("host_key"));
  ASSERT_TRUE(peer.engine.disconnected);
  EXPECT_NE(peer.engine.disconnected->error.message().find(words), std::string::npos)
      << peer.engine.disconnected->error.message();
}

TEST(HostCertificate, a12_and_plain_key_do_not_stand_for_each_other) {
  const crypto::PublicKey& key = test_key(KeyType::ed25519).public_key();
  const std::string name = kKinds[0].second;
  expect_refused_host(name, to_bytes(key.blob()), "must end in -cert-v01@openssh.com");
  expect_refused_host("ssh-ed25519", to_bytes(host_certificate().blob()),
                      "a type that is not supported");
  expect_refused_host(name, to_bytes(host_certificate(KeyType::ecdsa_p256).blob()),
                      "not of the type");
  expect_refused_host(name, certificate_blob(key, authority(), {.type = 3}),
                      "neither a user nor a host");
}

TEST(HostCertificate, a12_name_with_a_plain_key_is_refused_though_everything_is_signed_well) {
  RawPeer peer(Role::server, certified_server(), judging_client());
  peer.config.host_certificates.clear();  // agreed on already
  peer.reach(State::new_keys);
  EXPECT_EQ(peer.reason(), 3u);
  EXPECT_FALSE(peer.engine.has("host_key"));
}

TEST(HostCertificate, a19_another_one_of_the_same_key_in_a_later_exchange_is_reason_9) {
  RawPeer peer(Role::server, certified_server(), judging_client());
  peer.reach(State::open);
  const Certificate other = certify(test_key(KeyType::ed25519).public_key(), authority(),
                                    {.type = 2, .serial = 8, .principals = {"host"}});
  peer.config.host_certificates = {other};
  peer.exchange();
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 9u);
}

TEST(HostCertificate, is_what_a_host_bound_request_names) {
  RawPeer peer(Role::client, judging_client(), certified_server());
  peer.reach(State::auth);
  peer.send(write_text_message(kMsgServiceRequest, kServiceAuth));
  ASSERT_EQ(peer.host_key, to_bytes(host_certificate().blob()));
  const Bytes plain = to_bytes(test_key(KeyType::ed25519).public_key().blob());
  peer.send(peer.publickey_request(
      [&](UserauthRequest& r) { r.method = kMethodHostBound, r.host_key = plain; }));
  EXPECT_FALSE(peer.engine.authenticated);
  EXPECT_EQ(peer.count(kMsgUserauthFailure), 1u);
  peer.send(peer.publickey_request([](UserauthRequest& r) { r.method = kMethodHostBound; }));
  EXPECT_TRUE(peer.engine.authenticated);
}

// ---- user certificates

TEST(UserCertificate, of_every_kind_is_offered_first_and_authenticates) {
  for (const auto& [type, name] : kKinds) {
    SCOPED_TRACE(name);
    TransportPair pair(certified_client(type), server_config());
    std::vector<bool> asked;
    pair.server.key_answer = [&](const KeyVerified& e) {
      asked.push_back(e.certificate.has_value());
      return true;
    };
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    EXPECT_EQ(asked, std::vector<bool>{true});
    const Certificate sent = *certified_client(type).identities[0].certificate;
    EXPECT_TRUE(sent.fits(pair.server.authenticated->key));
    for (const auto* end : {&pair.client, &pair.server}) {
      ASSERT_TRUE(end->authenticated->certificate);
      EXPECT_EQ(end->authenticated->certificate->key_id(), sent.key_id());
      EXPECT_TRUE(end->authenticated->certificate->fits(test_key(type).public_key()));
    }
  }
}

TEST(UserCertificate, that_is_refused_is_followed_by_its_key_and_that_by_the_next_identity) {
  Config client = certified_client();
  client.identities.emplace_back(test_key(KeyType::ecdsa_p256));
  client.identities[1].certificate =
      certify(test_key(KeyType::ecdsa_p256).public_key(), authority());
  client.identities.emplace_back(test_key(KeyType::ecdsa_p384));
  TransportPair pair(std::move(client), server_config());
  std::vector<std::pair<KeyType, bool>> asked;
  pair.server.key_answer = [&](const KeyVerified& e) {
    asked.emplace_back(e.key.type(), e.certificate.has_value());
    return asked.size() == 5;
  };
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  const std::vector<std::pair<KeyType, bool>> expected = {{KeyType::ed25519, true},
                                                          {KeyType::ed25519, false},
                                                          {KeyType::ecdsa_p256, true},
                                                          {KeyType::ecdsa_p256, false},
                                                          {KeyType::ecdsa_p384, false}};
  EXPECT_EQ(asked, expected);
  EXPECT_FALSE(pair.client.authenticated->certificate);
  EXPECT_FALSE(pair.server.authenticated->certificate);
}

std::unique_ptr<RawPeer> at_requests() {
  auto peer = std::make_unique<RawPeer>(Role::client, client_config(), server_config());
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceRequest, kServiceAuth));
  return peer;
}

TEST(UserCertificate, a12_name_blob_and_signature_have_to_agree) {
  const crypto::PublicKey& own = test_key(KeyType::ed25519).public_key();
  const std::string name = kKinds[0].second;
  const Bytes good = certificate_blob(own, authority());
  const Bytes p256 = certificate_blob(test_key(KeyType::ecdsa_p256).public_key(), authority());
  const Bytes nested = certificate_blob(own, authority(), {.authority = good});
  Bytes flipped = good, longer = good;
  flipped.back() ^= std::byte{1};
  longer.push_back(std::byte{0});
  const std::pair<std::string, Bytes> requests[] = {{name, to_bytes(own.blob())},
                                                    {"ssh-ed25519", good},
                                                    {kKinds[1].second, good},
                                                    {name, p256},
                                                    {name, flipped},
                                                    {name, longer},
                                                    {name, nested},
                                                    {"ssh-rsa-cert-v01@openssh.com", good},
                                                    {"-cert-v01@openssh.com", good}};
  for (const auto& [algorithm, blob] : requests) {
    SCOPED_TRACE(algorithm);
    auto peer = at_requests();
    peer->send(peer->publickey_request(
        [&](UserauthRequest& r) { r.algorithm = algorithm, r.key = blob; }));
    EXPECT_TRUE(peer->is_live());
    EXPECT_TRUE(peer->received(kMsgUserauthFailure));
    EXPECT_FALSE(peer->engine.has("key_verified"));
  }
  auto peer = at_requests();
  peer->send(
      peer->publickey_request([&](UserauthRequest& r) { r.algorithm = name, r.key = good; }));
  EXPECT_TRUE(peer->engine.authenticated);
}

TEST(UserCertificate, a12_signature_bears_the_plain_name) {
  const crypto::PrivateKey& key = test_key(KeyType::ed25519);
  const Bytes blob = certificate_blob(key.public_key(), authority());
  auto peer = at_requests();
  UserauthRequest request;
  request.user = "ada";
  request.service = kServiceConnection;
  request.method = kMethodPublicKey;
  request.algorithm = kKinds[0].second;
  request.key = blob;
  const Bytes good = key.sign("ssh-ed25519", signed_request(peer->session_id, request)).value();
  wire::Reader in(good);
  in.string();
  Bytes renamed;
  wire::Writer(renamed).string(kKinds[0].second).string(in.string());
  request.signature = renamed;
  peer->send(write_publickey_request(request));
  EXPECT_TRUE(peer->received(kMsgUserauthFailure));
  request.signature = good;
  peer->send(write_publickey_request(request));
  EXPECT_TRUE(peer->engine.authenticated);
}

TEST(UserCertificate, that_is_asked_about_is_answered_with_its_own_blob_and_name) {
  auto peer = at_requests();
  std::optional<Certificate> asked;
  peer->engine.offer_answer = [&](const KeyOffered& e) {
    asked = e.certificate;
    return true;
  };
  const Certificate certificate = certify(test_key(KeyType::ed25519).public_key(), authority());
  Bytes query;
  wire::Writer(query)
      .u8(kMsgUserauthRequest)
      .string("ada")
      .string(kServiceConnection)
      .string(kMethodPublicKey)
      .boolean(false)
      .string(kKinds[0].second)
      .string(certificate.blob());
  peer->send(query);
  ASSERT_TRUE(asked);
  EXPECT_EQ(*asked, certificate);
  ASSERT_TRUE(peer->received(kMsgUserauthPkOk));
  EXPECT_EQ(*peer->last(kMsgUserauthPkOk), write_pk_ok(kKinds[0].second, certificate.blob()));
}

TEST(UserCertificate, a11_of_an_earlier_request_does_not_stay_with_a_later_one) {
  auto peer = at_requests();
  peer->engine.key_answer = [](const KeyVerified& e) { return !e.certificate; };
  const Bytes blob = certificate_blob(test_key(KeyType::ed25519).public_key(), authority());
  peer->send(peer->publickey_request(
      [&](UserauthRequest& r) { r.algorithm = kKinds[0].second, r.key = blob; }));
  EXPECT_FALSE(peer->engine.authenticated);
  peer->send(peer->publickey_request());
  ASSERT_TRUE(peer->engine.authenticated);
  EXPECT_FALSE(peer->engine.authenticated->certificate);
}

TEST(UserCertificate, a11_that_was_refused_does_not_come_in_by_another_method) {
  for (const Bytes& other :
       {write_interactive_request("ada"), write_password_request("ada", "x")}) {
    Config server = server_config();
    server.offer_password = server.offer_interactive = true;
    RawPeer peer(Role::client, client_config(), std::move(server));
    peer.reach(State::auth);
    peer.send(write_text_message(kMsgServiceRequest, kServiceAuth));
    peer.engine.key_answer = [](const KeyVerified&) { return false; };
    peer.engine.password_answer = [](const auto&) { return true; };
    peer.engine.interactive_answer = [](const auto&) { return testing::PairEnd::Reply(true); };
    const Bytes blob = certificate_blob(test_key(KeyType::ed25519).public_key(), authority());
    peer.send(peer.publickey_request(
        [&](UserauthRequest& r) { r.algorithm = kKinds[0].second, r.key = blob; }));
    ASSERT_TRUE(peer.engine.has("key_verified"));
    peer.send(other);
    ASSERT_TRUE(peer.engine.authenticated);
    EXPECT_FALSE(peer.engine.authenticated->certificate);
    EXPECT_TRUE(peer.engine.authenticated->key.is_empty());
  }
}

}  // namespace
}  // namespace streamkit::ssh
