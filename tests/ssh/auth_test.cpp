// Authentication (RFC 4252), both halves, against a peer that keeps to no rules.
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

Bytes service_request(std::string_view name = kServiceAuth) {
  return write_text_message(kMsgServiceRequest, name);
}

/// A raw client that may send requests now.
std::unique_ptr<RawPeer> at_requests(Config options = server_config()) {
  auto peer = std::make_unique<RawPeer>(Role::client, client_config(), std::move(options));
  peer->reach(State::auth);
  peer->send(service_request());
  EXPECT_TRUE(peer->received(kMsgServiceAccept));
  return peer;
}
/// A raw server that has the client's first request.
std::unique_ptr<RawPeer> at_first_request(Config options = client_config()) {
  auto peer = std::make_unique<RawPeer>(Role::server, server_config(), std::move(options));
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceAccept, kServiceAuth));
  EXPECT_EQ(peer->count(kMsgUserauthRequest), 1u);
  return peer;
}
Config with_password() {
  Config config = server_config();
  config.offer_password = true;
  return config;
}
void expect_end(const RawPeer& peer, std::uint32_t reason) {
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), reason);
  EXPECT_FALSE(peer.engine.has("authenticated"));
  EXPECT_TRUE(peer.engine.payloads.empty());
}

// ---- the server

TEST(AuthServer, a1_messages_of_a_server_are_refused) {
  for (const std::uint8_t n : {kMsgServiceAccept, kMsgUserauthFailure, kMsgUserauthSuccess,
                               kMsgUserauthBanner, kMsgUserauthPkOk})
    for (const bool asked : {false, true}) {
      RawPeer peer = RawPeer::client();
      peer.reach(State::auth);
      if (asked) peer.send(service_request());
      peer.send(n);
      expect_end(peer, 2);
    }
}

TEST(AuthServer, a2_channel_messages_before_success_are_fatal) {
  Bytes open, exec, global;
  wire::Writer(open).u8(90).string("session").u32(0).u32(1 << 20).u32(32768);
  wire::Writer(exec).u8(98).u32(0).string("exec").boolean(true).string("id");
  wire::Writer(global).u8(80).string("tcpip-forward").boolean(true).string("").u32(0);
  for (const Bytes& message : {open, exec, global})
    for (int stage = 0; stage < 5; ++stage) {
      RawPeer peer = RawPeer::client();
      peer.reach(State::auth);
      if (stage > 0) peer.send(service_request());
      if (stage > 1) peer.send(peer.query(test_key(crypto::KeyType::ed25519).public_key()));
      if (stage > 2) peer.send(write_none_request("ada"));
      if (stage > 3) peer.exchange();
      peer.send(message);
      expect_end(peer, 2);
    }
}

TEST(AuthServer, a2_a_channel_message_behind_a_question_waits_for_the_answer) {
  auto peer = at_requests();
  peer->engine.key_answer = nullptr;
  peer->send(peer->publickey_request());
  EXPECT_FALSE(peer->engine.transport.wants_input());
  Bytes open;
  wire::Writer(open).u8(90).string("session").u32(0).u32(1 << 20).u32(32768);
  peer->send(open);
  EXPECT_TRUE(peer->engine.payloads.empty());
  peer->engine.transport.reject_auth();
  peer->settle();
  expect_end(*peer, 2);
}

TEST(AuthServer, a10_wrong_services_and_requests_out_of_place) {
  RawPeer wrong = RawPeer::client();
  wrong.reach(State::auth);
  wrong.send(service_request("ssh-foo"));
  expect_end(wrong, 7);
  RawPeer connection = RawPeer::client();
  connection.reach(State::auth);
  connection.send(service_request(kServiceConnection));
  expect_end(connection, 7);
  RawPeer early = RawPeer::client();
  early.reach(State::auth);
  early.send(early.publickey_request());
  expect_end(early, 2);
  auto foo = at_requests();
  foo->send(foo->publickey_request([](UserauthRequest& r) { r.service = "ssh-foo"; }));
  expect_end(*foo, 7);
  auto twice = at_requests();
  twice->send(service_request());
  expect_end(*twice, 2);
  for (const State at : {State::exchange, State::new_keys}) {
    RawPeer clear = RawPeer::client();
    clear.reach(at);
    clear.send(service_request());
    expect_end(clear, 2);
  }
}

TEST(AuthServer, a10_requests_after_success_are_dropped_sixteen_times) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  peer.inbox.clear();
  for (int i = 0; i < 16; ++i) peer.send(peer.publickey_request());
  EXPECT_TRUE(peer.is_live());
  EXPECT_TRUE(peer.inbox.empty());
  peer.send(peer.publickey_request());
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 2u);
}

TEST(AuthServer, a11_the_identity_is_the_key_that_signed_and_no_other) {
  const crypto::PublicKey admin = test_key(crypto::KeyType::ecdsa_p256).public_key();
  auto peer = at_requests();
  std::vector<std::string> verified;
  peer->engine.key_answer = [&](const KeyVerified& e) {
    verified.push_back(e.key.fingerprint());
    return true;
  };
  peer->send(peer->query(test_key(crypto::KeyType::ed25519).public_key()));
  peer->send(peer->query(admin));
  EXPECT_EQ(peer->count(kMsgUserauthPkOk), 2u);
  EXPECT_TRUE(verified.empty());
  peer->send(peer->publickey_request());
  ASSERT_TRUE(peer->engine.authenticated);
  const crypto::PublicKey own = test_key(crypto::KeyType::ed25519).public_key();
  EXPECT_EQ(verified, std::vector<std::string>{own.fingerprint()});
  EXPECT_TRUE(peer->engine.authenticated->key == own);
}

TEST(AuthServer, a11_another_keys_signature_proves_nothing) {
  auto peer = at_requests();
  const Bytes admin = to_bytes(test_key(crypto::KeyType::ecdsa_p256).public_key().blob());
  peer->send(peer->publickey_request([&](UserauthRequest& r) {
    r.key = admin;
    r.algorithm = "ecdsa-sha2-nistp256";
  }));
  EXPECT_TRUE(peer->received(kMsgUserauthFailure));
  EXPECT_FALSE(peer->engine.has("key_verified"));
}

TEST(AuthServer, a12_algorithm_key_and_signature_must_agree) {
  const Bytes rsa = to_bytes(test_key(crypto::KeyType::rsa).public_key().blob());
  const Bytes p384 = to_bytes(test_key(crypto::KeyType::ecdsa_p384).public_key().blob());
  const std::function<void(UserauthRequest&)> changes[] = {
      [&](UserauthRequest& r) { r.key = rsa; },
      [&](UserauthRequest& r) { r.algorithm = "ssh-rsa", r.key = rsa; },
      [&](UserauthRequest& r) { r.algorithm = "rsa-sha2-512"; },
      [&](UserauthRequest& r) { r.algorithm = "ecdsa-sha2-nistp256", r.key = p384; },
      [&](UserauthRequest& r) { r.algorithm = "ssh-ed25519-cert-v01@openssh.com"; },
      [&](UserauthRequest& r) { r.algorithm = ""; },
      [&](UserauthRequest& r) { r.key = {}; },
  };
  for (const auto& change : changes) {
    auto peer = at_requests();
    peer->send(peer->publickey_request(change));
    EXPECT_TRUE(peer->is_live());
    EXPECT_TRUE(peer->received(kMsgUserauthFailure));
    EXPECT_FALSE(peer->engine.has("key_verified"));
  }
}

TEST(AuthServer, a12_an_sha1_signature_is_no_signature) {
  Config client = client_config();
  client.identities = {Identity(test_key(crypto::KeyType::rsa))};
  RawPeer peer(Role::client, std::move(client), server_config());
  peer.reach(State::auth);
  peer.send(service_request());
  // rsa-sha2-512 in the request, rsa-sha2-256 in the signature.
  UserauthRequest request;
  request.user = "ada";
  request.service = kServiceConnection;
  request.method = kMethodPublicKey;
  request.algorithm = "rsa-sha2-512";
  request.key = peer.config.identities[0].public_key().blob();
  const Bytes signature = peer.config.identities[0].private_key
                              .sign("rsa-sha2-256", signed_request(peer.session_id, request))
                              .value();
  request.signature = signature;
  peer.send(write_publickey_request(request));
  EXPECT_TRUE(peer.received(kMsgUserauthFailure));
  EXPECT_FALSE(peer.engine.has("key_verified"));
}

TEST(AuthServer, a12_a_signature_names_the_algorithm_of_the_request) {
  for (const char* name : {"ssh-rsa", "ssh-ed25519", "rsa-sha2-256", ""}) {
    Config client = client_config();
    client.identities = {Identity(test_key(crypto::KeyType::rsa))};
    RawPeer peer(Role::client, std::move(client), server_config());
    peer.reach(State::auth);
    peer.send(service_request());
    const Bytes good = peer.publickey_request();  // of rsa-sha2-512
    const UserauthRequest request = *read_userauth_request(good);
    wire::Reader in(request.signature);
    (void)in.text();
    UserauthRequest renamed = request;
    Bytes signature;
    wire::Writer(signature).string(name).string(in.string());
    renamed.signature = signature;
    peer.send(write_publickey_request(renamed));
    EXPECT_TRUE(peer.received(kMsgUserauthFailure)) << name;
    EXPECT_FALSE(peer.engine.has("key_verified"));
    peer.send(good);
    EXPECT_TRUE(peer.engine.has("authenticated"));
  }
}

TEST(AuthServer, a13_a_signature_over_anything_else_is_refused) {
  const auto refused = [](const std::function<Bytes(RawPeer&)>& make) {
    auto peer = at_requests();
    peer->send(make(*peer));
    return !peer->engine.has("key_verified") && !peer->engine.has("authenticated");
  };
  const auto signed_over =
      [](RawPeer& peer, const std::function<void(UserauthRequest&, Bytes & session)>& change) {
        UserauthRequest request;
        request.user = "ada";
        request.service = kServiceConnection;
        request.method = kMethodPublicKey;
        request.algorithm = "ssh-ed25519";
        request.key = peer.config.identities[0].public_key().blob();
        UserauthRequest other = request;
        Bytes session = peer.session_id;
        change(other, session);
        const Bytes signature =
            peer.config.identities[0].private_key.sign("ssh-ed25519", signed_request(session, other)).value();
        request.signature = signature;
        return write_publickey_request(request);
      };
  EXPECT_FALSE(
      refused([&](RawPeer& p) { return signed_over(p, [](UserauthRequest&, Bytes&) {}); }));
  EXPECT_TRUE(refused([&](RawPeer& p) {
    return signed_over(p, [](UserauthRequest& r, Bytes&) { r.user = "bob"; });
  }));
  EXPECT_TRUE(refused([&](RawPeer& p) {
    return signed_over(p, [](UserauthRequest& r, Bytes&) { r.service = "x"; });
  }));
  EXPECT_TRUE(refused([&](RawPeer& p) {
    return signed_over(p, [](UserauthRequest&, Bytes& s) { s[0] ^= std::byte{1}; });
  }));
  EXPECT_TRUE(refused(
      [&](RawPeer& p) { return signed_over(p, [](UserauthRequest&, Bytes& s) { s.clear(); }); }));
  EXPECT_TRUE(refused([&](RawPeer& p) {
    Bytes request = p.publickey_request();
    request.push_back(std::byte{0});
    return request;
  }));
  EXPECT_TRUE(refused([&](RawPeer& p) {
    Bytes request = p.publickey_request();
    request.pop_back();
    return request;
  }));
}

TEST(AuthServer, a13_a_host_bound_request_must_name_our_host_key) {
  for (const bool right : {true, false}) {
    auto peer = at_requests();
    const Bytes other = to_bytes(test_key(crypto::KeyType::ecdsa_p256).public_key().blob());
    peer->send(peer->publickey_request([&](UserauthRequest& r) {
      r.method = kMethodHostBound;
      if (!right) r.host_key = other;
    }));
    EXPECT_EQ(peer->engine.has("authenticated"), right);
    EXPECT_EQ(peer->received(kMsgUserauthFailure), !right);
  }
}

TEST(AuthServer, a13_the_host_key_is_that_of_the_first_exchange) {
  Config options = server_config();
  options.host_keys.push_back(test_key(crypto::KeyType::ecdsa_p256));
  RawPeer peer(Role::client, client_config(), std::move(options));
  peer.proposal.host_keys = {"ssh-ed25519"};
  peer.reach(State::auth);
  peer.proposal.host_keys = {"ecdsa-sha2-nistp256"};
  peer.exchange();
  peer.send(service_request());
  peer.send(peer.publickey_request([](UserauthRequest& r) { r.method = kMethodHostBound; }));
  EXPECT_TRUE(peer.engine.transport.is_authenticated());
}

TEST(AuthServer, a14_six_failures_end_the_connection) {
  auto peer = at_requests(with_password());
  for (int i = 0; i < 5; ++i) peer->send(write_password_request("ada", "wrong"));
  EXPECT_TRUE(peer->is_live());
  EXPECT_EQ(peer->count(kMsgUserauthFailure), 5u);
  peer->send(write_password_request("ada", "wrong"));
  expect_end(*peer, 14);
}

TEST(AuthServer, a14_sixty_four_requests_of_any_kind_end_the_connection) {
  for (const bool accepted : {true, false}) {
    Config options = server_config();
    auto peer = at_requests(std::move(options));
    peer->engine.offer_answer = [&](const auto&) { return accepted; };
    const Bytes query = peer->query(test_key(crypto::KeyType::ed25519).public_key());
    for (int i = 0; i < 64; ++i) peer->send(query);
    EXPECT_TRUE(peer->is_live());
    EXPECT_EQ(peer->count(accepted ? kMsgUserauthPkOk : kMsgUserauthFailure), 64u);
    peer->send(query);
    expect_end(*peer, 14);
  }
}

TEST(AuthServer, a14_bytes_and_packets_before_authentication_are_bounded) {
  RawPeer packets = RawPeer::client();
  packets.reach(State::auth);
  int sent = 0;
  while (packets.is_live() && sent < 1000) packets.send(kMsgIgnore), ++sent;
  EXPECT_LE(sent, 256);
  EXPECT_EQ(packets.reason(), 2u);
  RawPeer bytes = RawPeer::client();
  bytes.reach(State::auth);
  sent = 0;
  while (bytes.is_live() && sent < 1000) bytes.send(kMsgIgnore, std::string(30000, 'x')), ++sent;
  EXPECT_LE(sent, 9);
  EXPECT_GE(sent, 8);
}

TEST(AuthServer, a14_a_slow_client_runs_into_the_timer) {
  auto peer = at_requests();
  for (int i = 0; i < 29; ++i) {
    peer->now += std::chrono::seconds(1);
    ASSERT_TRUE(peer->engine.transport.handle_timeout(peer->now));
    peer->send(kMsgIgnore);
  }
  peer->now += std::chrono::seconds(2);
  EXPECT_FALSE(peer->engine.transport.handle_timeout(peer->now));
  peer->settle();
  EXPECT_FALSE(peer->is_live());
  EXPECT_FALSE(peer->engine.transport.next_timeout());
}

TEST(AuthServer, a14_a_byte_a_second_does_not_buy_time_in_any_state) {
  for (const Role raw : {Role::client, Role::server})
    for (const State at : {State::first_kexinit, State::exchange, State::new_keys, State::auth}) {
      RawPeer peer = RawPeer::of(raw);
      peer.reach(at);
      const Bytes packet = peer.sealed(Bytes(1000, std::byte{kMsgIgnore}));
      int seconds = 0;
      for (; peer.is_live() && seconds < 100; ++seconds) {
        peer.send_bytes(ByteView(packet).subspan(static_cast<std::size_t>(seconds), 1));
        peer.now += std::chrono::seconds(1);
        (void)peer.engine.transport.handle_timeout(peer.now);
        peer.settle();
      }
      EXPECT_EQ(seconds, 30);
      EXPECT_EQ(peer.engine.log.back(), "disconnected");
      EXPECT_FALSE(peer.engine.transport.next_timeout());
      EXPECT_FALSE(peer.engine.has("authenticated"));
    }
}

TEST(AuthServer, a14_c18_key_exchanges_before_authentication_are_few) {
  auto peer = at_requests();
  for (int i = 2; i <= 4; ++i) {
    peer->exchange();
    ASSERT_TRUE(peer->is_live()) << i;
  }
  peer->send_kexinit();
  expect_end(*peer, 2);
}

TEST(AuthServer, a15_what_was_answered_for_one_user_does_not_serve_another) {
  auto peer = at_requests(with_password());
  std::vector<std::string> asked;
  peer->engine.offer_answer = [&](const KeyOffered& e) {
    return asked.push_back("offer " + e.user), true;
  };
  peer->engine.key_answer = [&](const KeyVerified& e) {
    return asked.push_back("key " + e.user), e.user == "ada";
  };
  peer->engine.password_answer = [&](const PasswordOffered& e) {
    return asked.push_back("password " + e.user),
           e.user == "ada" && as_text(e.password.view()) == "right";
  };
  peer->send(peer->query(test_key(crypto::KeyType::ed25519).public_key(), "ada"));
  peer->send(peer->publickey_request([](UserauthRequest& r) { r.user = "bob"; }));
  peer->send(write_password_request("bob", "right"));
  peer->send(write_none_request("ada"));
  EXPECT_FALSE(peer->engine.has("authenticated"));
  EXPECT_EQ(asked, (std::vector<std::string>{"offer ada", "key bob", "password bob"}));
  peer->send(write_password_request("ada", "right"));
  ASSERT_TRUE(peer->engine.has("authenticated"));
  EXPECT_EQ(peer->engine.authenticated->user, "ada");
  EXPECT_TRUE(peer->engine.authenticated->key.is_empty());  // what the query named proved nothing
}

TEST(AuthServer, a15_nothing_of_one_user_is_left_for_another) {
  auto peer = at_requests(with_password());
  peer->send(peer->query(test_key(crypto::KeyType::ed25519).public_key(), "ada"));
  EXPECT_TRUE(peer->received(kMsgUserauthPkOk));
  peer->send(write_none_request("bob"));
  peer->send(write_none_request("ada"));
  EXPECT_EQ(peer->count(kMsgUserauthFailure), 2u);
  EXPECT_FALSE(peer->engine.has("authenticated"));
}

TEST(AuthServer, a16_unknown_users_and_keys_get_the_same_bytes) {
  const auto answers = [](std::string_view user) {
    auto peer = at_requests();
    const auto known = [](std::string_view who) { return who == "ada"; };
    peer->engine.offer_answer = [&](const KeyOffered& e) { return known(e.user) && false; };
    peer->engine.key_answer = [&](const KeyVerified& e) { return known(e.user) && false; };
    peer->inbox.clear();
    peer->send(peer->query(test_key(crypto::KeyType::ed25519).public_key(), user));
    peer->send(peer->publickey_request([&](UserauthRequest& r) { r.user = user; }));
    peer->send(peer->publickey_request([&](UserauthRequest& r) { r.user = user, r.key = {}; }));
    Bytes truncated = peer->publickey_request([&](UserauthRequest& r) { r.user = user; });
    truncated.resize(truncated.size() - 10);
    peer->send(truncated);
    EXPECT_FALSE(peer->is_live());
    return peer->inbox;
  };
  EXPECT_EQ(answers("ada"), answers("bob"));
}

/// A request that is refused, sent to a server with the delay that nobody changed: nothing comes for
/// that long, then one answer. The answer.
Bytes refusal_after_the_floor(const std::function<Bytes(RawPeer&)>& request) {
  constexpr Duration kFloor = std::chrono::milliseconds(200);
  Config options = with_password();
  options.limits.auth_failure_delay = Limits().auth_failure_delay;
  auto peer = at_requests(std::move(options));
  peer->engine.offer_answer = [](const KeyOffered&) { return false; };
  peer->engine.key_answer = [](const KeyVerified& e) { return e.user == "ada"; };
  peer->inbox.clear();
  peer->send(request(*peer));
  EXPECT_TRUE(peer->inbox.empty());
  EXPECT_FALSE(peer->engine.transport.wants_input());
  EXPECT_EQ(*peer->engine.transport.next_timeout(), peer->now + kFloor);
  for (const Duration wait : {kFloor - Duration(1), Duration(1)}) {
    EXPECT_TRUE(peer->inbox.empty());
    peer->now += wait;
    EXPECT_TRUE(peer->engine.transport.handle_timeout(peer->now));
    peer->settle();
  }
  EXPECT_EQ(peer->inbox.size(), 1u);
  const Bytes answer = peer->inbox.empty() ? Bytes() : peer->inbox[0];
  peer->send(peer->publickey_request());  // success does not wait
  EXPECT_TRUE(peer->engine.has("authenticated"));
  return answer;
}

TEST(AuthServer, a16_refusals_for_every_reason_are_the_same_bytes_after_the_same_floor) {
  const auto& key = test_key(crypto::KeyType::ed25519).public_key();
  using Change = std::function<void(UserauthRequest&)>;
  const auto signed_with = [](Change change) {
    return [change](RawPeer& peer) { return peer.publickey_request(change); };
  };
  const Bytes bad_signature = to_bytes(as_bytes("no signature"));
  const std::vector<std::pair<const char*, std::function<Bytes(RawPeer&)>>> reasons = {
      {"unknown key", [&](RawPeer& p) { return p.query(key, "ada"); }},
      {"unknown user and key", [&](RawPeer& p) { return p.query(key, "bob"); }},
      {"unknown user", signed_with([](UserauthRequest& r) { r.user = "bob"; })},
      {"malformed key", signed_with([](UserauthRequest& r) { r.key = {}; })},
      {"bad signature", signed_with([&](UserauthRequest& r) { r.signature = bad_signature; })},
      {"other algorithm", signed_with([](UserauthRequest& r) { r.algorithm = "rsa-sha2-256"; })},
      {"wrong password", [](RawPeer&) { return write_password_request("ada", "wrong"); }},
      {"password of nobody", [](RawPeer&) { return write_password_request("bob", "wrong"); }},
      {"method that is not offered", [](RawPeer&) { return write_interactive_request("ada"); }},
  };
  const Bytes first = refusal_after_the_floor(reasons[0].second);
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(first[0], std::byte(kMsgUserauthFailure));
  for (const auto& [reason, request] : reasons) {
    SCOPED_TRACE(reason);
    EXPECT_EQ(refusal_after_the_floor(request), first);
  }
}

TEST(AuthServer, a16_the_last_refusal_waits_too_and_the_probe_for_methods_does_not) {
  Config options = with_password();
  options.limits.auth_failure_delay = std::chrono::milliseconds(300);
  options.limits.max_auth_failures = 1;
  auto peer = at_requests(std::move(options));
  peer->send(write_none_request("ada"));
  EXPECT_EQ(peer->count(kMsgUserauthFailure), 1u);
  peer->send(write_password_request("ada", "wrong"));
  EXPECT_TRUE(peer->is_live());
  peer->now += std::chrono::milliseconds(300);
  (void)peer->engine.transport.handle_timeout(peer->now);
  peer->settle();
  expect_end(*peer, 14);
}

TEST(AuthServer, takes_passwords_only_when_told_to) {
  for (const bool offered : {true, false}) {
    auto peer = at_requests(offered ? with_password() : server_config());
    std::string seen;
    peer->engine.password_answer = [&](const PasswordOffered& e) {
      seen = as_text(e.password.view());
      return e.user == "ada" && seen == "correct horse";
    };
    peer->send(write_none_request("ada"));
    const UserauthFailure failure = *read_userauth_failure(*peer->last(kMsgUserauthFailure));
    EXPECT_EQ(failure.methods.size(), offered ? 2u : 1u);
    EXPECT_FALSE(failure.partial);
    peer->send(write_password_request("ada", "correct horse"));
    EXPECT_EQ(peer->engine.has("authenticated"), offered);
    EXPECT_EQ(seen.empty(), !offered);
    if (!offered) continue;
    EXPECT_EQ(peer->engine.authenticated->method, "password");
    EXPECT_TRUE(peer->engine.authenticated->key.is_empty());
  }
}

/// What the last refusal offers to go on with, and whether it was half a success.
std::string offered(RawPeer& peer) {
  const Bytes payload = *peer.last(kMsgUserauthFailure);
  const UserauthFailure failure = *read_userauth_failure(payload);
  std::string out = failure.partial ? "partial" : "failure";
  for (const std::string_view method : failure.methods) out += " " + std::string(method);
  return out;
}
/// Wants a key and then the password "correct horse".
std::unique_ptr<RawPeer> at_two_methods() {
  Config config = with_password();
  config.authentication_methods = {"publickey", "password"};
  auto peer = at_requests(std::move(config));
  peer->engine.password_answer = [](const PasswordOffered& e) {
    return as_text(e.password.view()) == "correct horse";
  };
  return peer;
}

TEST(AuthServer, a15_wants_every_method_and_each_in_its_turn) {
  auto peer = at_two_methods();
  peer->send(write_none_request("ada"));
  EXPECT_EQ(offered(*peer), "failure publickey");
  peer->send(write_password_request("ada", "correct horse"));  // before its turn
  EXPECT_EQ(offered(*peer), "failure publickey");
  EXPECT_FALSE(peer->engine.has("password"));
  peer->send(peer->publickey_request());
  EXPECT_EQ(offered(*peer), "partial password");
  peer->send(peer->publickey_request());  // a second time
  EXPECT_EQ(offered(*peer), "failure password");
  peer->send(write_password_request("ada", "wrong"));
  EXPECT_EQ(offered(*peer), "failure password");
  EXPECT_FALSE(peer->engine.has("authenticated"));
  peer->send(write_password_request("ada", "correct horse"));
  ASSERT_TRUE(peer->engine.has("authenticated"));
  EXPECT_EQ(peer->engine.authenticated->method, "password");
  EXPECT_FALSE(peer->engine.authenticated->key.is_empty());
}

TEST(AuthServer, a15_forgets_what_was_passed_when_the_user_changes) {
  auto peer = at_two_methods();
  peer->send(peer->publickey_request());
  EXPECT_EQ(offered(*peer), "partial password");
  peer->send(write_password_request("bob", "correct horse"));
  EXPECT_EQ(offered(*peer), "failure publickey");
  peer->send(write_password_request("ada", "correct horse"));
  EXPECT_EQ(offered(*peer), "failure publickey");
  EXPECT_FALSE(peer->engine.has("password"));
  EXPECT_FALSE(peer->engine.has("authenticated"));
}

TEST(AuthServer, wants_no_method_that_it_does_not_offer_and_none_twice) {
  testing::FixedRandom random(1);
  for (const std::vector<std::string>& methods :
       {std::vector<std::string>{"password"}, {"publickey", "publickey"}, {"hostbased"}}) {
    Config config = server_config();
    config.random = &random;
    config.authentication_methods = methods;
    const Result<Transport> made = Transport::make(Role::server, config, {});
    EXPECT_TRUE(!made && made.error().is(Errc::usage));
  }
}

TEST(AuthServer, a21_a_password_is_at_most_a_kibibyte_and_is_never_changed) {
  auto peer = at_requests(with_password());
  peer->send(write_password_request("ada", std::string(1025, 'p')));
  EXPECT_FALSE(peer->engine.has("password"));
  Bytes change;
  wire::Writer(change)
      .u8(kMsgUserauthRequest)
      .string("ada")
      .string(kServiceConnection)
      .string("password")
      .boolean(true)
      .string("old")
      .string("new");
  peer->send(change);
  EXPECT_FALSE(peer->engine.has("password"));
  EXPECT_EQ(peer->count(kMsgUserauthFailure), 2u);
  peer->send(write_password_request("ada", std::string(1024, 'p')));
  EXPECT_TRUE(peer->engine.has("password"));
}

TEST(AuthServer, methods_that_nobody_has_are_refused_and_counted) {
  auto peer = at_requests();
  peer->send(write_none_request("ada"));  // the probe costs nothing
  for (int i = 0; i < 6; ++i) {
    Bytes request;
    wire::Writer(request)
        .u8(kMsgUserauthRequest)
        .string("ada")
        .string(kServiceConnection)
        .string("keyboard-interactive")
        .string("")
        .string("");
    peer->send(request);
  }
  expect_end(*peer, 14);
}

TEST(AuthServer, malformed_requests_and_endless_names_are_violations) {
  for (const auto& text :
       {std::string("\0\0\0\xff", 4), std::string(), std::string("\0\0\0\1a", 5)}) {
    auto peer = at_requests();
    peer->send(kMsgUserauthRequest, text);
    expect_end(*peer, 2);
  }
  auto peer = at_requests();
  peer->send(write_none_request(std::string(256, 'u')));
  expect_end(*peer, 2);
  auto control = at_requests();
  control->send(control->query(test_key(crypto::KeyType::ed25519).public_key(), "a\x1b[2J"));
  EXPECT_TRUE(control->received(kMsgUserauthFailure));
  EXPECT_FALSE(control->engine.has("key_offered"));
}

TEST(AuthServer, shows_its_banner_once_before_the_first_answer) {
  Config options = server_config();
  options.banner = "welcome";
  auto peer = at_requests(std::move(options));
  peer->inbox.clear();
  peer->send(write_none_request("ada"));
  peer->send(write_none_request("ada"));
  ASSERT_EQ(peer->inbox.size(), 3u);
  EXPECT_EQ(*read_banner(peer->inbox[0]), "welcome");
  EXPECT_EQ(peer->inbox[1][0], std::byte{kMsgUserauthFailure});
  EXPECT_EQ(peer->inbox[2][0], std::byte{kMsgUserauthFailure});
}

// ---- the client

TEST(AuthClient, tries_its_keys_in_order_and_then_the_password) {
  Config client = client_config();
  client.identities = {Identity(test_key(crypto::KeyType::ecdsa_p256)), Identity(test_key(crypto::KeyType::rsa))};
  client.password = "correct horse";
  TransportPair pair(std::move(client), with_password());
  pair.server.key_answer = [](const auto&) { return false; };
  pair.server.password_answer = [](const PasswordOffered& e) {
    return as_text(e.password.view()) == "correct horse";
  };
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  EXPECT_EQ(pair.client.log, (std::vector<std::string>{"host_key", "extensions", "failed publickey",
                                                       "failed publickey", "authenticated"}));
  EXPECT_EQ(pair.client.authenticated->method, "password");
  EXPECT_EQ(pair.server.log, (std::vector<std::string>{"extensions", "key_verified", "key_verified",
                                                       "password", "authenticated"}));
}

TEST(AuthClient, asks_what_there_is_when_it_has_only_a_password) {
  Config client = client_config();
  client.identities.clear();
  client.password = "pw";
  TransportPair pair(std::move(client), with_password());
  pair.server.password_answer = [](const auto&) { return true; };
  pair.drive();
  EXPECT_TRUE(pair.is_open());
}

TEST(AuthClient, sends_no_password_to_a_server_that_does_not_take_one) {
  Config client = client_config();
  client.identities.clear();
  client.password = "pw";
  TransportPair pair(std::move(client), server_config());
  pair.drive();
  EXPECT_FALSE(pair.is_open());
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::auth_denied));
  EXPECT_FALSE(pair.server.has("password"));
}

TEST(AuthClient, gives_up_with_reason_14_when_nothing_is_left) {
  TransportPair pair;
  pair.server.key_answer = [](const auto&) { return false; };
  pair.drive();
  ASSERT_TRUE(pair.client.disconnected);
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::auth_denied));
  EXPECT_TRUE(pair.client.has("failed publickey"));
  EXPECT_FALSE(pair.client.disconnected->by_peer);
  EXPECT_TRUE(pair.server.disconnected->by_peer);
  EXPECT_EQ(pair.server.disconnected->reason, DisconnectReason::no_more_auth_methods);
}

TEST(AuthClient, binds_its_signature_to_the_host_key_when_the_server_can) {
  for (const bool can : {true, false}) {
    RawPeer peer = RawPeer::server();
    peer.reach(State::auth);
    if (can) peer.send(write_ext_info({{std::string(kExtHostBound), "0"}}));
    peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
    const UserauthRequest request = *read_userauth_request(*peer.last(kMsgUserauthRequest));
    EXPECT_EQ(request.method, can ? kMethodHostBound : kMethodPublicKey);
    EXPECT_TRUE(request.has_signature);
    EXPECT_TRUE(client_config().identities[0].public_key().verify(
        "ssh-ed25519", signed_request(peer.session_id, request), request.signature));
  }
}

TEST(AuthClient, chooses_the_rsa_algorithm_that_the_server_names) {
  const std::pair<const char*, const char*> cases[] = {
      {"ssh-ed25519,rsa-sha2-512,rsa-sha2-256", "rsa-sha2-512"},
      {"rsa-sha2-256", "rsa-sha2-256"},
      {"ssh-rsa", "rsa-sha2-256"},
      {"", "rsa-sha2-256"}};
  for (const auto& [names, wanted] : cases) {
    Config client = client_config();
    client.identities = {Identity(test_key(crypto::KeyType::rsa))};
    RawPeer peer(Role::server, server_config(), std::move(client));
    peer.reach(State::auth);
    if (*names) peer.send(write_ext_info({{std::string(kExtServerSigAlgs), names}}));
    peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
    EXPECT_EQ(read_userauth_request(*peer.last(kMsgUserauthRequest))->algorithm, wanted) << names;
  }
}

TEST(AuthClient, offers_a_key_before_the_service_is_accepted_once_it_knows_what_the_server_verifies) {
  for (const bool named : {true, false}) {
    RawPeer peer = RawPeer::server();
    peer.reach(State::auth);
    peer.send(write_ext_info(
        {{std::string(kExtServerSigAlgs), named ? "ssh-ed25519" : "ecdsa-sha2-nistp256"}}));
    EXPECT_EQ(peer.count(kMsgUserauthRequest), named ? 1u : 0u);
    peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
    EXPECT_EQ(peer.count(kMsgUserauthRequest), 1u);
    peer.send(kMsgUserauthSuccess);
    EXPECT_TRUE(peer.engine.has("authenticated"));
  }
}

TEST(AuthClient, a3_believes_no_answer_before_the_service_is_accepted) {
  for (const bool success : {true, false}) {
    RawPeer peer = RawPeer::server();
    peer.reach(State::auth);
    peer.send(write_ext_info({{std::string(kExtServerSigAlgs), "ssh-ed25519"}}));
    ASSERT_EQ(peer.count(kMsgUserauthRequest), 1u);
    if (success) {
      peer.send(kMsgUserauthSuccess);
    } else {
      peer.send(write_userauth_failure({"password"}, false));
    }
    expect_end(peer, 2);
  }
}

TEST(AuthClient, a3_believes_only_answers_to_what_it_asked) {
  RawPeer failure = RawPeer::server();
  failure.reach(State::auth);
  failure.send(write_userauth_failure({"password"}, false));
  expect_end(failure, 2);
  auto pk_ok = at_first_request();
  pk_ok->send(write_pk_ok("ssh-ed25519", client_config().identities[0].public_key().blob()));
  expect_end(*pk_ok, 2);
  auto filled = at_first_request();
  filled->send(kMsgUserauthSuccess, "x");
  expect_end(*filled, 2);
}

TEST(AuthClient, a21_a_request_to_change_the_password_is_shown_and_counts_as_refused) {
  Config client = client_config();
  client.password = "pw";
  auto peer = at_first_request(std::move(client));
  peer->send(write_userauth_failure({"password"}, false));
  Bytes change = write_banner("too old");
  change[0] = std::byte{60};
  peer->send(change);
  EXPECT_EQ(peer->engine.banner, "too old");
  EXPECT_TRUE(peer->engine.has("failed password"));
  EXPECT_FALSE(peer->is_live());
  EXPECT_EQ(peer->reason(), 14u);
}

TEST(AuthClient, banners_are_bounded_in_number_and_size) {
  auto many = at_first_request();
  for (int i = 0; i < 8; ++i) many->send(write_banner("b"));
  EXPECT_TRUE(many->is_live());
  EXPECT_EQ(many->engine.banner, "bbbbbbbb");
  many->send(write_banner("b"));
  expect_end(*many, 2);
  auto large = at_first_request();
  large->send(write_banner(std::string(33000, 'b')));
  EXPECT_TRUE(large->is_live());
  large->send(write_banner(std::string(33000, 'b')));
  expect_end(*large, 2);
}

TEST(AuthClient, a_partial_success_is_not_success) {
  auto peer = at_first_request();
  peer->send(write_userauth_failure({"password"}, true));
  EXPECT_FALSE(peer->engine.has("authenticated"));
  EXPECT_EQ(peer->reason(), 14u);
}

TEST(AuthClient, carries_on_where_the_server_says_something_is_left) {
  Config client = client_config();
  client.password = "pw";
  auto peer = at_first_request(std::move(client));
  peer->send(write_userauth_failure({"password"}, true));
  const UserauthRequest request = *read_userauth_request(*peer->last(kMsgUserauthRequest));
  EXPECT_EQ(request.method, "password");
  EXPECT_EQ(request.password, "pw");
  peer->send(kMsgUserauthSuccess);
  EXPECT_EQ(peer->engine.authenticated->method, "password");
}

}  // namespace
}  // namespace streamkit::ssh
