// Identities whose private key somebody else has: asked about first, signed for by whoever has it.
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

using Texts = std::vector<std::string>;

const crypto::PrivateKey& key_of(crypto::KeyType type = crypto::KeyType::ed25519) {
  return test_key(type);
}
Config elsewhere(std::vector<crypto::KeyType> types = {crypto::KeyType::ed25519}) {
  Config config = client_config();
  config.identities.clear();
  for (const crypto::KeyType type : types)
    config.identities.emplace_back(key_of(type).public_key());
  return config;
}
std::optional<Bytes> sign(const SignatureNeeded& needed) {
  for (const crypto::KeyType type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::ecdsa_p384,
        crypto::KeyType::ecdsa_p521, crypto::KeyType::rsa})
    if (key_of(type).public_key() == needed.key)
      return key_of(type).sign(needed.algorithm, needed.data).value();
  return std::nullopt;
}

TEST(HeldElsewhere, a_key_of_each_type_comes_in_by_a_signature_from_outside) {
  for (const crypto::KeyType type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::ecdsa_p384,
        crypto::KeyType::ecdsa_p521, crypto::KeyType::rsa}) {
    TransportPair pair(elsewhere({type}));
    pair.client.signature_answer = sign;
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    EXPECT_EQ(pair.server.log,
              (Texts{"extensions", "key_offered", "key_verified", "authenticated"}));
    EXPECT_TRUE(pair.client.authenticated->key == key_of(type).public_key());
    EXPECT_TRUE(pair.server.authenticated->key == key_of(type).public_key());
  }
}

TEST(HeldElsewhere, nobody_is_asked_to_sign_for_a_key_that_the_server_does_not_want) {
  TransportPair pair(elsewhere({crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256}));
  std::vector<crypto::PublicKey> asked;
  pair.server.offer_answer = [](const KeyOffered& e) {
    return e.key.type() == crypto::KeyType::ecdsa_p256;
  };
  pair.client.signature_answer = [&](const SignatureNeeded& e) {
    asked.push_back(e.key);
    return sign(e);
  };
  pair.drive();
  EXPECT_TRUE(pair.is_open());
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0] == key_of(crypto::KeyType::ecdsa_p256).public_key());
}

TEST(HeldElsewhere, the_next_identity_is_tried_when_there_is_no_signature) {
  TransportPair pair(elsewhere({crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256}));
  pair.client.signature_answer = [](const SignatureNeeded& e) {
    return e.key.type() == crypto::KeyType::ed25519 ? std::nullopt : sign(e);
  };
  pair.drive();
  EXPECT_TRUE(pair.is_open());
  EXPECT_EQ(pair.client.log, (Texts{"host_key", "extensions", "signature", "failed publickey",
                                    "signature", "authenticated"}));
  TransportPair none(elsewhere());
  none.drive();
  EXPECT_TRUE(none.client.disconnected->error.is(Errc::auth_denied));
  EXPECT_FALSE(none.server.has("key_verified"));
}

TEST(HeldElsewhere, a_wrong_signature_never_leaves) {
  const Bytes other = key_of(crypto::KeyType::ed25519).sign("ssh-ed25519", as_bytes("x")).value();
  for (const Bytes& wrong :
       {other, Bytes(), Bytes(300000),
        key_of(crypto::KeyType::rsa).sign("rsa-sha2-512", as_bytes("x")).value()}) {
    TransportPair pair(elsewhere());
    std::optional<SignatureNeeded> needed;
    pair.client.signature_answer = [&](const SignatureNeeded& e) {
      needed = e;
      return wrong;
    };
    pair.drive();
    EXPECT_FALSE(pair.client.asked);
    EXPECT_TRUE(pair.client.asked.error().is(Errc::bad_key));
    EXPECT_FALSE(pair.server.has("key_verified"));
    EXPECT_FALSE(pair.client.transport.wants_input());
    ASSERT_TRUE(needed);
    ASSERT_TRUE(pair.client.transport.provide_signature(*sign(*needed)));  // open still
    EXPECT_FALSE(pair.client.transport.provide_signature(*sign(*needed)));
    pair.drive();
    EXPECT_TRUE(pair.is_open());
  }
}

TEST(HeldElsewhere, identities_may_be_added_with_the_host_key) {
  Config client = client_config();
  const crypto::PublicKey own = client.identities[0].public_key();
  TransportPair pair(std::move(client));
  pair.client.more_identities = {Identity(own), Identity(),
                                 Identity(key_of(crypto::KeyType::ecdsa_p256).public_key())};
  std::vector<std::string> seen;
  pair.server.key_answer = [&](const KeyVerified& e) {
    seen.emplace_back(crypto::key_type_name(e.key.type()));
    return !(e.key == own);
  };
  pair.client.signature_answer = sign;
  pair.drive();
  EXPECT_TRUE(pair.is_open());
  EXPECT_EQ(seen, (Texts{"ssh-ed25519", "ecdsa-sha2-nistp256"}));
}

TEST(HeldElsewhere, the_host_key_comes_with_what_it_signed) {
  TransportPair pair;
  std::optional<HostKeyReceived> shown;
  pair.client.on_host_key = [&](const HostKeyReceived& e) { shown = e; };
  pair.drive();
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->session_id, to_bytes(pair.client.transport.session_id()));
  EXPECT_TRUE(shown->key.verify("ssh-ed25519", shown->session_id, shown->signature));
}

// ---- servers that keep to no rules

std::unique_ptr<RawPeer> at_query() {
  auto peer = std::make_unique<RawPeer>(Role::server, server_config(), elsewhere());
  peer->engine.signature_answer = sign;
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceAccept, kServiceAuth));
  EXPECT_EQ(peer->count(kMsgUserauthRequest), 1u);
  EXPECT_FALSE(read_userauth_request(*peer->last(kMsgUserauthRequest))->has_signature);
  return peer;
}

TEST(AuthClient, a3_signs_for_the_key_and_algorithm_that_it_asked_about_only) {
  const Bytes right = to_bytes(key_of().public_key().blob());
  const Bytes wrong = to_bytes(key_of(crypto::KeyType::rsa).public_key().blob());
  Bytes behind = write_pk_ok("ssh-ed25519", right);
  behind.push_back(std::byte{0});
  for (const Bytes& answer : {write_pk_ok("ssh-ed25519", wrong), write_pk_ok("rsa-sha2-512", right),
                              write_pk_ok("", right), write_pk_ok("ssh-ed25519", {}), behind,
                              Bytes{std::byte{kMsgUserauthPkOk}}}) {
    auto peer = at_query();
    peer->send(answer);
    EXPECT_FALSE(peer->is_live());
    EXPECT_EQ(peer->reason(), 2u);
    EXPECT_FALSE(peer->engine.has("signature"));
  }
  auto peer = at_query();
  peer->send(write_pk_ok("ssh-ed25519", right));
  EXPECT_TRUE(read_userauth_request(*peer->last(kMsgUserauthRequest))->has_signature);
  peer->send(write_pk_ok("ssh-ed25519", right));  // answered already
  EXPECT_EQ(peer->reason(), 2u);
}

TEST(AuthClient, a3_a_query_is_no_request_to_be_let_in) {
  auto peer = at_query();
  peer->send(kMsgUserauthSuccess);
  EXPECT_FALSE(peer->engine.has("authenticated"));
  EXPECT_EQ(peer->reason(), 2u);
}

TEST(AuthClient, a3_believes_no_answer_to_a_query_before_the_service_is_accepted) {
  RawPeer peer(Role::server, server_config(), elsewhere());
  peer.reach(State::auth);
  peer.send(write_ext_info({{std::string(kExtServerSigAlgs), "ssh-ed25519"}}));
  ASSERT_EQ(peer.count(kMsgUserauthRequest), 1u);
  peer.send(write_pk_ok("ssh-ed25519", key_of().public_key().blob()));
  EXPECT_EQ(peer.reason(), 2u);
  EXPECT_FALSE(peer.engine.has("signature"));
}

}  // namespace
}  // namespace streamkit::ssh
