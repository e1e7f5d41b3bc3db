// Key exchange under a hostile peer: order, strictness, guesses, host keys, public values,
// extensions.
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::RawPeer;
using testing::test_key;

Bytes number(std::uint8_t n) {
  return Bytes{std::byte{n}};
}

/// No byte of authentication has left the engine.
void expect_no_auth(const RawPeer& peer) {
  EXPECT_FALSE(peer.received(kMsgUserauthRequest));
  for (const Bytes& sent : peer.inbox)
    EXPECT_EQ(as_text(sent).find("pass phrase"), std::string_view::npos);
  EXPECT_FALSE(peer.engine.has("authenticated"));
  EXPECT_TRUE(peer.engine.payloads.empty());
}
/// A raw server, against a client that has a password to lose.
RawPeer server_of_a_password() {
  Config client = testing::client_config();
  client.password = "pass phrase";
  return RawPeer(Role::server, testing::server_config(), std::move(client));
}
void expect_end(const RawPeer& peer, std::uint32_t reason) {
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), reason);
}

TEST(Kex, a3_success_that_nobody_waits_for_is_fatal_at_every_stage) {
  for (const State at : {State::first_kexinit, State::exchange, State::new_keys, State::auth}) {
    RawPeer peer = server_of_a_password();
    peer.reach(at);
    peer.send(kMsgUserauthSuccess);
    expect_end(peer, 2);
    expect_no_auth(peer);
  }
}

TEST(Kex, a3_a_service_accept_that_was_not_asked_for_is_fatal) {
  RawPeer twice = server_of_a_password();
  twice.reach(State::auth);
  twice.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  EXPECT_EQ(twice.count(kMsgUserauthRequest), 1u);
  twice.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  expect_end(twice, 2);
  RawPeer wrong = server_of_a_password();
  wrong.reach(State::auth);
  wrong.send(write_text_message(kMsgServiceAccept, kServiceConnection));
  expect_end(wrong, 2);
  expect_no_auth(wrong);
  RawPeer clear = server_of_a_password();
  clear.reach(State::new_keys);
  clear.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  expect_end(clear, 2);
}

/// A raw server that has its reply ready, with a change to it.
void expect_reply_refused(const std::function<void(KexReply&)>& change, std::uint32_t reason) {
  RawPeer peer = server_of_a_password();
  peer.reach(State::exchange);
  KexReply reply = *read_kex_reply(peer.method_message);
  change(reply);
  peer.send(write_kex_reply(reply));
  expect_end(peer, reason);
  EXPECT_FALSE(
      peer.engine.has("host_key"));  // nobody is even asked about a key that was not proven
  expect_no_auth(peer);
  EXPECT_FALSE(peer.received(kMsgNewKeys));
}

TEST(Kex, a4_a_host_key_is_believed_only_with_its_signature) {
  Bytes signature = to_bytes(as_bytes(""));
  expect_reply_refused([&](KexReply& r) { r.signature = signature; }, 3);
  expect_reply_refused(
      [&](KexReply& r) {
        signature = to_bytes(r.signature);
        signature.back() ^= std::byte{1};
        r.signature = signature;
      },
      3);
  // Another key, with the first one's signature; another type than agreed on; no key at all.
  const crypto::PrivateKey other = crypto::PrivateKey::generate().value();
  expect_reply_refused([&](KexReply& r) { r.host_key = other.public_key().blob(); }, 3);
  expect_reply_refused(
      [](KexReply& r) { r.host_key = test_key(crypto::KeyType::rsa).public_key().blob(); }, 3);
  expect_reply_refused([](KexReply& r) { r.host_key = {}; }, 3);
}

TEST(Kex, a4_new_keys_in_place_of_the_reply_are_refused) {
  RawPeer peer = server_of_a_password();
  peer.reach(State::exchange);
  peer.send(kMsgNewKeys);
  expect_end(peer, 2);
  expect_no_auth(peer);
}

TEST(Kex, a4_nothing_of_authentication_leaves_before_the_host_key_is_accepted) {
  RawPeer peer = RawPeer::server();
  peer.engine.host_key_answer = nullptr;
  peer.reach(State::new_keys);
  EXPECT_TRUE(peer.engine.has("host_key"));
  EXPECT_FALSE(peer.engine.transport.wants_input());
  EXPECT_FALSE(peer.received(kMsgNewKeys));
  EXPECT_FALSE(peer.received(kMsgServiceRequest));
  peer.engine.transport.accept_host_key();
  peer.settle();
  EXPECT_TRUE(peer.received(kMsgNewKeys));
  EXPECT_FALSE(peer.received(kMsgServiceRequest));  // the server's keys are not on yet
  peer.send_new_keys();
  EXPECT_TRUE(peer.received(kMsgServiceRequest));
}

TEST(Kex, a_rejected_host_key_ends_with_reason_9) {
  RawPeer peer = RawPeer::server();
  peer.engine.host_key_answer = [](const auto&) { return false; };
  peer.reach(State::new_keys);
  expect_end(peer, 9);
  expect_no_auth(peer);
}

TEST(Kex, accepting_without_a_question_does_nothing) {
  RawPeer peer = RawPeer::server();
  peer.send_ident();
  peer.engine.transport.accept_host_key();
  peer.engine.transport.accept_auth();
  peer.engine.transport.reject_auth();
  peer.settle();
  EXPECT_TRUE(peer.is_live());
  EXPECT_FALSE(peer.received(kMsgNewKeys));
}

TEST(Kex, a12_a_host_signature_of_another_algorithm_is_refused) {
  for (const bool named : {true, false}) {  // as it is, and under the name that was agreed on
    Config options = testing::server_config();
    options.host_keys = {test_key(crypto::KeyType::rsa)};
    RawPeer peer(Role::server, std::move(options), testing::client_config());
    peer.proposal.host_keys = {"rsa-sha2-256"};
    peer.reach(State::exchange);
    const KexReply good = *read_kex_reply(peer.method_message);
    Bytes other = test_key(crypto::KeyType::rsa).sign("rsa-sha2-512", peer.kex()->hash()).value();
    if (named) std::copy_n(as_bytes("256").begin(), 3, other.begin() + 4 + 9);
    KexReply reply = good;
    reply.signature = other;
    peer.send(write_kex_reply(reply));
    expect_end(peer, 3);
    EXPECT_FALSE(peer.engine.has("host_key"));
    expect_no_auth(peer);
  }
}

TEST(Kex, a5_new_keys_come_once_and_only_after_the_exchange) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer early = RawPeer::of(raw);
    early.reach(State::first_kexinit);
    early.send(kMsgNewKeys);
    expect_end(early, 2);
    RawPeer before = RawPeer::of(raw);
    before.reach(State::exchange);
    before.send(kMsgNewKeys);
    expect_end(before, 2);
    RawPeer twice = RawPeer::of(raw);
    twice.reach(State::auth);
    twice.send(kMsgNewKeys);
    expect_end(twice, 2);
    RawPeer filled = RawPeer::of(raw);
    filled.reach(State::new_keys);
    filled.send(kMsgNewKeys, "x");
    expect_end(filled, 2);
  }
}

TEST(Kex, a6_strict_kex_refuses_anything_before_the_first_kexinit) {
  for (const Role raw : {Role::client, Role::server})
    for (const std::uint8_t n : {kMsgIgnore, kMsgUnimplemented, kMsgDebug, kMsgPing})
      for (const bool strict : {true, false}) {
        RawPeer peer = RawPeer::of(raw);
        peer.proposal.strict = strict;
        peer.send_ident();
        peer.send(n);
        EXPECT_TRUE(peer.is_live());  // who is strict is not known yet
        peer.send_kexinit();
        EXPECT_EQ(peer.is_live(), !strict) << int(n);
      }
}

TEST(Kex, a6_strict_kex_refuses_anything_extra_during_the_exchange) {
  for (const Role raw : {Role::client, Role::server})
    for (const std::uint8_t n :
         {kMsgIgnore, kMsgUnimplemented, kMsgDebug, kMsgPing, std::uint8_t{200}})
      for (const State at : {State::exchange, State::new_keys})
        for (const bool strict : {true, false}) {
          RawPeer peer = RawPeer::of(raw);
          peer.proposal.strict = strict;
          peer.reach(at);
          peer.send(n);
          EXPECT_EQ(peer.is_live(), !strict) << int(n);
        }
}

TEST(Kex, a6_strict_kex_refuses_a_second_kexinit) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer peer = RawPeer::of(raw);
    peer.reach(State::exchange);
    peer.send(ByteView(peer.kexinit));
    expect_end(peer, 2);
  }
}

TEST(Kex, a6_sequence_numbers_start_again_at_every_exchange_when_strict) {
  for (const bool strict : {true, false})
    for (const Role raw : {Role::client, Role::server}) {
      RawPeer peer = RawPeer::of(raw);
      peer.proposal.strict = strict;
      peer.reach(State::open);
      std::uint32_t before = peer.sealer().sequence();
      for (int i = 0; i < 3; ++i) {
        peer.exchange();
        ASSERT_TRUE(peer.is_live());
        if (strict) {
          EXPECT_EQ(peer.sealer().sequence(), 0u);
        } else {
          EXPECT_GT(peer.sealer().sequence(), before);
        }
        before = peer.sealer().sequence();
        peer.send(kMsgPing, std::string("\0\0\0\1x", 5));
        EXPECT_EQ(peer.count(kMsgPong), static_cast<std::size_t>(i + 1));
      }
      EXPECT_EQ(peer.is_strict(), strict);
    }
}

/// A server that was cut by Terrapin: one packet more before NEWKEYS, one less behind it.
void cut_in(RawPeer& peer) {
  peer.reach(State::new_keys);
  PacketSealer plain;
  testing::FixedRandom random;
  ByteQueue inserted;
  ASSERT_TRUE(plain.seal(number(kMsgIgnore), {}, random, inserted));
  peer.send_bytes(std::as_const(inserted).data());
}

TEST(Kex, a6_an_inserted_packet_is_refused_when_strict) {
  Config options = testing::client_config();
  options.algorithms.ciphers = {"chacha20-poly1305@openssh.com"};
  RawPeer peer(Role::server, testing::server_config(), std::move(options));
  cut_in(peer);
  expect_end(peer, 2);
}

TEST(Kex, a6_an_inserted_and_a_dropped_packet_break_gcm_even_without_strictness) {
  RawPeer peer = RawPeer::server();
  peer.proposal.strict = false;
  cut_in(peer);
  ASSERT_TRUE(peer.is_live());
  peer.send_new_keys();
  ASSERT_TRUE(peer.is_live());
  (void)peer.sealed(write_ext_info({}));  // dropped on the way
  peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  expect_end(peer, 5);
  expect_no_auth(peer);
}

/// The whole attack on a client whose server lacks strict key exchange; then the server goes on, as
/// long as the client lives, and at most `most` packets.
void cut_and_go_on(RawPeer& peer, int most) {
  peer.proposal.strict = false;
  cut_in(peer);
  ASSERT_TRUE(peer.is_live());
  peer.send_new_keys();
  (void)peer.sealed(write_ext_info({}));  // dropped on the way
  for (int i = 0; i < most && peer.is_live(); ++i)
    peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
}

TEST(Kex, a8_a_cut_goes_unseen_under_chacha20_which_is_why_it_needs_strictness) {
  Config options = testing::client_config(), raw = testing::server_config();
  options.algorithms.ciphers = {"chacha20-poly1305@openssh.com"};
  options.algorithms.allow_non_strict = raw.algorithms.allow_non_strict = true;
  RawPeer peer(Role::server, std::move(raw), std::move(options));
  cut_and_go_on(peer, 1);
  EXPECT_TRUE(peer.is_live());
  EXPECT_FALSE(peer.engine.has("extensions"));
  EXPECT_TRUE(peer.received(kMsgUserauthRequest));
}

TEST(Kex, a8_a_cut_leaves_nothing_but_noise_under_ctr_with_any_mac) {
  for (const char* mac : {"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
                          "hmac-sha2-256", "hmac-sha2-512"}) {
    Config options = testing::client_config();
    options.algorithms.ciphers = {"aes128-ctr"};
    options.algorithms.macs = {mac};
    RawPeer peer(Role::server, testing::server_config(), std::move(options));
    cut_and_go_on(peer, 10'000);  // a length that is noise is read to its limit
    EXPECT_FALSE(peer.is_live()) << mac;
    expect_no_auth(peer);
  }
}

TEST(Kex, a6_whoever_inserts_a_packet_and_drops_ext_info_between_two_of_us_is_noticed) {
  for (const char* cipher : {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"}) {
    Config client = testing::client_config(), server = testing::server_config();
    client.algorithms.ciphers = server.algorithms.ciphers = {cipher};
    testing::TransportPair pair(std::move(client), std::move(server));
    int from_server = 0;
    pair.wire = [&](bool from_client, Bytes& bytes) {
      if (from_client || ++from_server != 2) return;  // the reply and all behind it
      PacketSealer plain;
      testing::FixedRandom random;
      ByteQueue inserted;
      ASSERT_TRUE(plain.seal(number(kMsgIgnore), {}, random, inserted));
      bytes.insert(bytes.begin(), std::as_const(inserted).data().begin(),
                   std::as_const(inserted).data().end());
    };
    pair.drive();
    ASSERT_GE(from_server, 2);
    ASSERT_TRUE(pair.client.disconnected);
    EXPECT_TRUE(pair.client.disconnected->error.is(Errc::protocol));
    EXPECT_FALSE(pair.server.has("authenticated"));
  }
}

TEST(Kex, a7_only_marks_in_common_is_no_common_algorithm) {
  RawPeer peer = RawPeer::client();
  peer.proposal.kex = {};
  peer.send_ident();
  peer.send_kexinit();
  expect_end(peer, 3);
}

TEST(Kex, a7_strictness_offered_in_a_later_exchange_has_no_effect) {
  RawPeer peer = RawPeer::client();
  peer.proposal.strict = false;
  peer.reach(State::open);
  peer.proposal.kex.emplace_back(kStrictClient);
  peer.exchange();
  ASSERT_TRUE(peer.is_live());
  EXPECT_FALSE(peer.engine.transport.info().strict_kex);
  EXPECT_GT(peer.sealer().sequence(), 4u);
  peer.send(kMsgPing, std::string("\0\0\0\0", 4));
  EXPECT_TRUE(peer.received(kMsgPong));
}

TEST(Kex, a9_ext_info_stands_where_it_may_stand_and_nowhere_else) {
  const Bytes info = write_ext_info({{"x@y", "1"}});
  RawPeer good = RawPeer::client();
  good.reach(State::auth);
  good.send(info);
  EXPECT_TRUE(good.is_live());
  EXPECT_EQ(good.engine.extensions.size(), 1u);
  good.send(info);
  expect_end(good, 2);

  RawPeer late = RawPeer::client();
  late.reach(State::auth);
  late.send(kMsgIgnore);
  late.send(info);
  expect_end(late, 2);
  RawPeer clear = RawPeer::client();
  clear.reach(State::new_keys);
  clear.send(info);
  expect_end(clear, 2);
  RawPeer open = RawPeer::client();
  open.reach(State::open);
  open.send(info);
  expect_end(open, 2);
}

TEST(Kex, a9_a_server_may_send_ext_info_again_right_before_success) {
  const Bytes info = write_ext_info({{"x@y", "1"}});
  RawPeer peer = RawPeer::server();
  peer.reach(State::auth);
  peer.send(info);
  peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  peer.send(info);
  EXPECT_TRUE(peer.is_live());
  peer.send(kMsgUserauthSuccess);
  EXPECT_TRUE(peer.engine.transport.is_authenticated());

  RawPeer other = RawPeer::server();
  other.reach(State::auth);
  other.send(write_text_message(kMsgServiceAccept, kServiceAuth));
  other.send(info);
  other.send(write_userauth_failure({"publickey"}, false));
  expect_end(other, 2);
}

TEST(Kex, a9_ext_info_is_bounded) {
  const auto refused = [](const Bytes& info) {
    RawPeer peer = RawPeer::client();
    peer.reach(State::auth);
    peer.send(info);
    return !peer.is_live() && peer.reason() == 2;
  };
  Extensions many(kMaxExtensions, {"n", "v"});
  EXPECT_FALSE(refused(write_ext_info(many)));
  many.emplace_back("n", "v");
  EXPECT_TRUE(refused(write_ext_info(many)));
  EXPECT_FALSE(refused(write_ext_info({{"n", std::string(kMaxExtensionValue, 'v')}})));
  EXPECT_TRUE(refused(write_ext_info({{"n", std::string(kMaxExtensionValue + 1, 'v')}})));
  EXPECT_TRUE(refused(write_ext_info({{"server-sig-algs", std::string("a\0b", 3)}})));
  EXPECT_FALSE(refused(write_ext_info({{"delay-compression", std::string("a\0b", 3)}})));
  EXPECT_TRUE(refused(write_ext_info({{"", "v"}})));
  Bytes lie = write_ext_info({{"n", "v"}});
  wire::store_u32(lie.data() + 1, 0xffffffff);
  EXPECT_TRUE(refused(lie));
  wire::store_u32(lie.data() + 1, 2);
  EXPECT_TRUE(refused(lie));
}

TEST(Kex, ext_info_goes_only_to_a_peer_that_asked) {
  for (const Role raw : {Role::client, Role::server})
    for (const bool asked : {true, false}) {
      RawPeer peer = RawPeer::of(raw);
      peer.proposal.ext_info = asked;
      peer.reach(State::auth);
      EXPECT_EQ(peer.received(kMsgExtInfo), asked);
    }
  Config options = testing::server_config();
  options.extensions = {{"peer@example.org", "hello"}};
  RawPeer peer(Role::client, testing::client_config(), std::move(options));
  peer.reach(State::auth);
  const Extensions sent = *read_ext_info(*peer.last(kMsgExtInfo));
  ASSERT_EQ(sent.size(), 4u);
  EXPECT_EQ(sent[0].first, "server-sig-algs");
  EXPECT_NE(sent[0].second.find("rsa-sha2-512"), std::string::npos);
  EXPECT_EQ(sent[3], (std::pair<std::string, std::string>{"peer@example.org", "hello"}));
}

TEST(Kex, a19_another_host_key_in_a_later_exchange_is_reason_9) {
  RawPeer peer = RawPeer::server();
  peer.reach(State::open);
  peer.config.host_keys = {crypto::PrivateKey::generate().value()};
  peer.send_kexinit();
  peer.send_method();
  expect_end(peer, 9);
}

TEST(Kex, a19_the_session_id_stays_through_exchanges_with_other_hashes) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer peer = RawPeer::of(raw);
    peer.proposal.kex = {"curve25519-sha256"};
    peer.reach(State::open);
    const Bytes id = to_bytes(peer.engine.transport.session_id());
    EXPECT_EQ(id, peer.session_id);
    for (const char* kex : {"ecdh-sha2-nistp521", "ecdh-sha2-nistp384", "curve25519-sha256"}) {
      peer.proposal.kex = {kex};
      peer.exchange();
      ASSERT_TRUE(peer.is_live());
      EXPECT_EQ(peer.engine.transport.info().kex, kex);
      EXPECT_EQ(to_bytes(peer.engine.transport.session_id()), id);
      peer.send(kMsgPing, std::string("\0\0\0\0", 4));
    }
    EXPECT_EQ(peer.count(kMsgPong), 3u);
  }
}

Bytes bytes_of(std::initializer_list<int> values, std::size_t size) {
  Bytes out;
  for (const int v : values) out.push_back(std::byte(v));
  out.resize(size);
  return out;
}

TEST(Kex, b1_bad_public_values_end_with_reason_3_as_init_and_as_reply) {
  Bytes order8(32);  // a point of small order on Curve25519
  const unsigned char small[32] = {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
                                   0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
                                   0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};
  for (std::size_t i = 0; i < 32; ++i) order8[i] = std::byte(small[i]);
  const std::vector<std::pair<std::string, Bytes>> cases = {
      {"curve25519-sha256", {}},
      {"curve25519-sha256", Bytes(31, std::byte{9})},
      {"curve25519-sha256", Bytes(33, std::byte{9})},
      {"curve25519-sha256", Bytes(32)},
      {"curve25519-sha256", bytes_of({1}, 32)},
      {"curve25519-sha256", order8},
      {"ecdh-sha2-nistp256", {}},
      {"ecdh-sha2-nistp256", bytes_of({0}, 1)},
      {"ecdh-sha2-nistp256", bytes_of({4}, 65)},
      {"ecdh-sha2-nistp256", bytes_of({2, 1}, 33)},
      {"ecdh-sha2-nistp256", bytes_of({4}, 64)},
      {"ecdh-sha2-nistp384", bytes_of({4}, 65)},
  };
  for (const auto& [kex, blob] : cases)
    for (const Role raw : {Role::client, Role::server}) {
      RawPeer peer = RawPeer::of(raw);
      peer.proposal.kex = {kex};
      peer.reach(State::exchange);
      if (raw == Role::client) {
        peer.send(write_kex_init(blob));
      } else {
        KexReply reply = *read_kex_reply(peer.method_message);
        reply.blob = blob;
        peer.send(write_kex_reply(reply));
      }
      SCOPED_TRACE(kex + " " + std::to_string(blob.size()));
      expect_end(peer, 3);
    }
}

TEST(Kex, b3_the_hybrid_is_agreed_on_only_where_it_is_and_every_bad_blob_ends_alike) {
  const auto& names = crypto::kex_names();
  const bool here = std::find(names.begin(), names.end(), "mlkem768x25519-sha256") != names.end();
  for (const Role raw : {Role::client, Role::server})
    for (const std::size_t size : {0u, 1u, 32u, 1119u, 1120u, 1121u, 1215u, 1216u, 1217u}) {
      RawPeer peer = RawPeer::of(raw);
      if (!here) {
        peer.proposal.kex = {"mlkem768x25519-sha256"};
        peer.send_ident();
        peer.send_kexinit();
      } else {
        peer.proposal.kex = {"mlkem768x25519-sha256"};
        peer.reach(State::exchange);
        const Bytes blob(
            size, std::byte{0xff});  // of a right length: coefficients over the modulus, or garbage
        if (raw == Role::client) {
          peer.send(write_kex_init(blob));
        } else {
          KexReply reply = *read_kex_reply(peer.method_message);
          reply.blob = blob;
          peer.send(write_kex_reply(reply));
        }
      }
      SCOPED_TRACE(size);
      expect_end(peer, 3);
      EXPECT_FALSE(peer.engine.has("host_key"));
    }
}

TEST(Kex, b11_whoever_touches_a_kexinit_on_the_way_breaks_the_signature) {
  testing::TransportPair pair;
  bool done = false;
  pair.wire = [&](bool from_client, Bytes& bytes) {
    const std::string_view text = as_text(bytes);
    const std::size_t at = text.find("aes128-gcm@openssh.com");
    if (!from_client || done || at == std::string_view::npos) return;
    bytes[at] = std::byte{'x'};
    done = true;
  };
  pair.drive();
  ASSERT_TRUE(done);
  ASSERT_TRUE(pair.client.disconnected);
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::key_exchange));
  EXPECT_EQ(pair.client.disconnected->reason, DisconnectReason::key_exchange_failed);
  EXPECT_FALSE(pair.client.has("host_key"));
}

TEST(Kex, c4_a_second_kexinit_is_refused_in_every_exchange) {
  for (const Role raw : {Role::client, Role::server})
    for (const bool strict : {true, false})
      for (const State at :
           {State::exchange, State::new_keys, State::rekey_exchange, State::rekey_new_keys}) {
        RawPeer peer = RawPeer::of(raw);
        peer.proposal.strict = strict;
        peer.reach(at);
        ASSERT_TRUE(peer.is_live());
        peer.send(ByteView(peer.kexinit));
        expect_end(peer, 2);
      }
}

TEST(Kex, c28_exactly_one_packet_of_a_wrong_guess_is_skipped) {
  for (const Role raw : {Role::client, Role::server})
    for (const int guess : {30, 31, 34, 49}) {
      RawPeer peer = RawPeer::of(raw);
      peer.reach(State::guess);
      peer.send(static_cast<std::uint8_t>(guess), "whatever it is");
      ASSERT_TRUE(peer.is_live());
      peer.send_method();
      peer.send_new_keys();
      EXPECT_TRUE(peer.is_live());
      EXPECT_EQ(peer.engine.transport.info().exchanges, 1u);
      EXPECT_EQ(peer.engine.transport.info().kex,
                raw == Role::client ? "ecdh-sha2-nistp256" : "curve25519-sha256");
    }
}

TEST(Kex, c28_a_second_guess_or_one_that_is_no_method_message_is_refused) {
  RawPeer second = RawPeer::client();
  second.reach(State::guess);
  second.send(std::uint8_t{30}, "junk");
  second.send(std::uint8_t{30}, "junk");
  EXPECT_FALSE(second.is_live());
  for (const std::uint8_t n : {std::uint8_t{5}, std::uint8_t{50}, kMsgNewKeys}) {
    RawPeer other = RawPeer::client();
    other.reach(State::guess);
    other.send(n);
    expect_end(other, 2);
  }
}

TEST(Kex, c28_a_right_guess_counts) {
  Config options = testing::server_config();
  options.algorithms.kex = {"curve25519-sha256"};
  RawPeer right(Role::client, testing::client_config(), std::move(options));
  right.proposal.follows = true;
  right.proposal.kex = {"curve25519-sha256"};
  right.proposal.host_keys = {"ssh-ed25519"};
  right.reach(State::auth);
  EXPECT_TRUE(right.is_live());
  EXPECT_EQ(right.engine.transport.info().exchanges, 1u);
}

TEST(Kex, c28_wrong_guesses_in_a_thousand_later_exchanges_change_nothing) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  peer.make_wrong_guess();
  for (int i = 0; i < 1000; ++i) {
    peer.inbox.clear();
    peer.send_kexinit();
    peer.send(std::uint8_t{30}, "guess");
    peer.send_method();
    peer.send_new_keys();
    ASSERT_TRUE(peer.is_live()) << i;
  }
  EXPECT_EQ(peer.engine.transport.info().exchanges, 1001u);
}

TEST(Kex, noise_between_packets_is_ignored_after_the_first_exchange) {
  for (const Role raw : {Role::client, Role::server}) {
    RawPeer peer = RawPeer::of(raw);
    peer.noise = {char(kMsgIgnore), char(kMsgDebug), char(kMsgIgnore)};
    peer.reach(State::open);
    ASSERT_TRUE(peer.is_live());
    for (int i = 0; i < 3; ++i) peer.exchange();
    EXPECT_TRUE(peer.is_live());
    EXPECT_EQ(peer.engine.transport.info().exchanges, 4u);
    EXPECT_TRUE(peer.engine.transport.is_authenticated());
  }
}

TEST(Kex, disconnect_is_heard_in_every_state) {
  for (const State at : {State::first_kexinit, State::exchange, State::new_keys, State::auth,
                         State::open, State::rekey_exchange, State::rekey_new_keys})
    for (const Role raw : {Role::client, Role::server}) {
      RawPeer peer = RawPeer::of(raw);
      peer.reach(at);
      peer.inbox.clear();
      peer.send(write_disconnect(DisconnectReason::by_application, "bye"));
      ASSERT_TRUE(peer.engine.disconnected);
      EXPECT_TRUE(peer.engine.disconnected->by_peer);
      EXPECT_TRUE(peer.inbox.empty());  // nothing is answered
    }
}

TEST(Kex, c19_messages_of_compression_are_refused) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  peer.send(number(8));
  expect_end(peer, 2);
}

TEST(Kex, every_error_has_its_reason) {
  const std::pair<Errc, DisconnectReason> map[] = {
      {Errc::protocol, DisconnectReason::protocol_error},
      {Errc::limit, DisconnectReason::protocol_error},
      {Errc::negotiation, DisconnectReason::key_exchange_failed},
      {Errc::key_exchange, DisconnectReason::key_exchange_failed},
      {Errc::crypto, DisconnectReason::key_exchange_failed},
      {Errc::mac, DisconnectReason::mac_error},
      {Errc::no_such_service, DisconnectReason::service_not_available},
      {Errc::version_mismatch, DisconnectReason::version_not_supported},
      {Errc::host_key_unknown, DisconnectReason::host_key_not_verifiable},
      {Errc::host_key_mismatch, DisconnectReason::host_key_not_verifiable},
      {Errc::auth_denied, DisconnectReason::no_more_auth_methods},
      {Errc::bad_key, DisconnectReason::key_exchange_failed},
      {Errc::connection_lost, DisconnectReason::connection_lost},
      {Errc::cancelled, DisconnectReason::auth_cancelled},
      {Errc::timeout, DisconnectReason::by_application},
  };
  for (const auto& [errc, reason] : map) EXPECT_EQ(disconnect_reason(Error(errc)), reason);
  EXPECT_EQ(disconnect_reason(Error(Code::aborted)), DisconnectReason::by_application);
}

}  // namespace
}  // namespace streamkit::ssh
