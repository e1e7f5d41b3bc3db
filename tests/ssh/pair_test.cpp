// A client and a server Transport against each other: every algorithm, every way of cutting the
// stream.
#include "support/transport_pair.hpp"

#include <streamkit/crypto/cipher.hpp>
#include <streamkit/crypto/kex_method.hpp>

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::client_config;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

Bytes message(std::size_t size, unsigned seed = 0) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = std::byte(i * 7 + seed);
  out[0] = std::byte{94};
  return out;
}

void expect_echo(TransportPair& pair) {
  for (const std::size_t size : {1u, 2u, 15u, 16u, 17u, 511u, 512u, 513u, 4096u, 32777u}) {
    const Bytes sent = message(size, static_cast<unsigned>(size));
    const std::size_t cut = std::min<std::size_t>(size, 9);
    ASSERT_TRUE(pair.client.transport.send(ByteView(sent).first(cut), ByteView(sent).subspan(cut),
                                           pair.now));
    ASSERT_TRUE(pair.server.transport.send(sent, {}, pair.now));
    pair.drive();
    ASSERT_FALSE(pair.server.payloads.empty());
    ASSERT_FALSE(pair.client.payloads.empty());
    EXPECT_EQ(pair.server.payloads.back(), sent);
    EXPECT_EQ(pair.client.payloads.back(), sent);
  }
}

TEST(TransportPair, connects_authenticates_and_carries_payloads) {
  TransportPair pair;
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  const std::vector<std::string> client = {"host_key", "extensions", "authenticated"};
  const std::vector<std::string> server = {"extensions", "key_verified", "authenticated"};
  EXPECT_EQ(pair.client.log, client);
  EXPECT_EQ(pair.server.log, server);
  EXPECT_EQ(pair.server.authenticated->user, "ada");
  EXPECT_EQ(pair.server.authenticated->method, "publickey");
  EXPECT_TRUE(pair.server.authenticated->key == test_key(crypto::KeyType::ed25519).public_key());
  EXPECT_TRUE(pair.client.transport.info().strict_kex);
  EXPECT_EQ(pair.client.transport.info().cipher_out, "aes128-gcm@openssh.com");
  EXPECT_EQ(to_bytes(pair.client.transport.session_id()),
            to_bytes(pair.server.transport.session_id()));
  expect_echo(pair);
}

TEST(TransportPair, is_authenticated_after_three_flights_of_each_side) {
  TransportPair pair;
  int client = 0, server = 0;
  pair.wire = [&](bool from_client, Bytes&) { ++(from_client ? client : server); };
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  EXPECT_EQ(client, 3);  // KEXINIT; the method's message; NEWKEYS, the service and the signature
  EXPECT_EQ(server, 3);  // KEXINIT; the method's reply, NEWKEYS and EXT_INFO; both answers
}

TEST(TransportPair, agrees_on_another_key_exchange_than_the_one_the_client_likes_best) {
  Config client = client_config(), server = server_config();
  client.algorithms.kex = {"curve25519-sha256", "ecdh-sha2-nistp384"};
  server.algorithms.kex = {"ecdh-sha2-nistp384"};
  TransportPair pair(std::move(client), std::move(server));
  pair.drive();
  ASSERT_TRUE(pair.is_open());
  EXPECT_EQ(pair.server.transport.info().kex, "ecdh-sha2-nistp384");
  expect_echo(pair);
}

TEST(TransportPair, works_with_every_key_exchange_and_host_key) {
  const crypto::KeyType types[] = {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                   crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                   crypto::KeyType::rsa};
  for (const std::string_view kex : crypto::kex_names())
    for (const crypto::KeyType type : types)
      for (const std::string_view algorithm : crypto::signature_algorithms(type)) {
        SCOPED_TRACE(std::string(kex) + " " + std::string(algorithm));
        Config client = client_config(), server = server_config();
        client.algorithms.kex = {std::string(kex)};
        client.algorithms.host_keys = {std::string(algorithm)};
        server.host_keys.clear();
        for (const crypto::KeyType each : types) server.host_keys.push_back(test_key(each));
        TransportPair pair(std::move(client), std::move(server));
        pair.drive();
        ASSERT_TRUE(pair.is_open());
        EXPECT_EQ(pair.client.transport.info().kex, kex);
        EXPECT_EQ(pair.server.transport.info().host_key, algorithm);
        EXPECT_TRUE(*pair.client.host_key == test_key(type).public_key());
        ASSERT_TRUE(pair.client.transport.start_rekey(pair.now));
        pair.drive();
        EXPECT_EQ(pair.client.transport.info().exchanges, 2u);
      }
}

TEST(TransportPair, works_with_every_cipher_and_mac) {
  for (const std::string_view cipher : crypto::cipher_names()) {
    const bool aead = crypto::find_cipher(cipher)->aead;
    const std::vector<std::string_view> macs =
        aead ? std::vector<std::string_view>{""} : crypto::mac_names();
    for (const std::string_view mac : macs) {
      SCOPED_TRACE(std::string(cipher) + " " + std::string(mac));
      Config client = client_config();
      client.algorithms.ciphers = {std::string(cipher)};
      if (!mac.empty()) client.algorithms.macs = {std::string(mac)};
      TransportPair pair(std::move(client), server_config());
      pair.drive();
      ASSERT_TRUE(pair.is_open());
      EXPECT_EQ(pair.server.transport.info().cipher_in, cipher);
      EXPECT_EQ(pair.server.transport.info().mac_out, mac);
      expect_echo(pair);
      ASSERT_TRUE(pair.server.transport.start_rekey(pair.now));
      pair.drive();
      expect_echo(pair);
    }
  }
}

TEST(TransportPair, each_side_computes_aes_gcm_by_the_library_it_was_told) {
  using crypto::AesGcm;
  for (const char* cipher : {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com"})
    for (const AesGcm ours : {AesGcm::automatic, AesGcm::libcrypto, AesGcm::ipsec_mb})
      for (const AesGcm theirs : {AesGcm::libcrypto, AesGcm::ipsec_mb}) {
        if (!is_available(ours) || !is_available(theirs)) continue;
        Config client = client_config(), server = server_config();
        client.algorithms.ciphers = {cipher};
        client.algorithms.aes_gcm = ours;
        server.algorithms.aes_gcm = theirs;
        TransportPair pair(std::move(client), std::move(server));
        pair.drive();
        ASSERT_TRUE(pair.is_open());
        expect_echo(pair);
        ASSERT_TRUE(pair.client.transport.start_rekey(pair.now));
        pair.drive();
        expect_echo(pair);
        const ConnectionInfo& info = pair.client.transport.info();
        EXPECT_EQ(info.cipher_in_by, crypto::implementation_of(ours));
        EXPECT_EQ(info.cipher_out_by, crypto::implementation_of(ours));
        EXPECT_EQ(pair.server.transport.info().cipher_out_by, crypto::implementation_of(theirs));
      }
}

TEST(TransportPair, works_with_every_type_of_user_key) {
  for (const auto type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::ecdsa_p384,
        crypto::KeyType::ecdsa_p521, crypto::KeyType::rsa}) {
    Config client = client_config();
    client.identities = {Identity(test_key(type))};
    TransportPair pair(std::move(client), server_config());
    pair.drive();
    ASSERT_TRUE(pair.is_open());
    EXPECT_TRUE(pair.server.authenticated->key == test_key(type).public_key());
  }
}

TEST(TransportPair, works_one_byte_at_a_time) {
  for (const char* cipher :
       {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"}) {
    Config client = client_config();
    client.algorithms.ciphers = {cipher};
    client.algorithms.macs = {"hmac-sha2-256"};
    TransportPair pair(std::move(client), server_config());
    pair.chunk = 1;
    pair.drive();
    ASSERT_TRUE(pair.is_open()) << cipher;
    expect_echo(pair);
  }
}

TEST(TransportPair, gives_the_same_events_however_the_stream_is_cut) {
  std::vector<std::string> first;
  for (const std::size_t chunk : {1u, 2u, 3u, 7u, 64u, 1000u, 100000u}) {
    TransportPair pair;
    pair.chunk = chunk;
    pair.drive();
    if (first.empty()) first = pair.client.log;
    EXPECT_EQ(pair.client.log, first) << chunk;
    EXPECT_TRUE(pair.is_open());
  }
}

TEST(TransportPair, tells_authenticated_before_it_gives_the_first_payload) {
  TransportPair pair;
  pair.server.payloads.clear();
  // The server says something in the same breath as SUCCESS.
  pair.server.key_answer = [](const auto&) { return true; };
  bool early = false;
  pair.client.on_payload = [&](ByteView) { early = early || !pair.client.has("authenticated"); };
  pair.wire = [&](bool from_client, Bytes&) {
    if (!from_client && pair.server.transport.is_authenticated() && pair.client.payloads.empty())
      (void)pair.server.transport.send(message(10), {}, pair.now);
  };
  pair.drive();
  EXPECT_FALSE(early);
  EXPECT_TRUE(pair.is_open());
}

TEST(TransportPair, gives_up_a_handshake_that_does_not_finish_in_time) {
  TransportPair pair;
  pair.wire = [](bool, Bytes& bytes) { bytes.clear(); };
  pair.drive();
  pair.advance(std::chrono::seconds(29));
  EXPECT_FALSE(pair.server.disconnected);
  pair.advance(std::chrono::seconds(2));
  ASSERT_TRUE(pair.server.disconnected);
  EXPECT_TRUE(pair.server.disconnected->error.is(Errc::timeout));
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::timeout));
}

TEST(TransportPair, ends_when_the_stream_ends) {
  TransportPair pair;
  pair.drive();
  ASSERT_TRUE(pair.server.transport.send(message(100), {}, pair.now));
  const Bytes last = to_bytes(pair.server.transport.output());
  const MutableByteView room = pair.client.transport.prepare();
  std::copy(last.begin(), last.end(), room.begin());
  ASSERT_TRUE(pair.client.transport.handle_input(last.size(), pair.now));
  pair.client.transport.handle_eof();
  pair.client.drain(pair.now);
  EXPECT_EQ(pair.client.payloads.size(), 1u);  // what came before is not lost
  ASSERT_TRUE(pair.client.disconnected);
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::connection_lost));
  EXPECT_TRUE(pair.client.transport.is_closed());
}

TEST(TransportPair, tells_the_other_side_why_it_ends_and_errors_are_final) {
  TransportPair pair;
  pair.drive();
  pair.server.transport.disconnect(DisconnectReason::by_application,
                                   "closing for the night\x1b[2J");
  pair.drive();
  ASSERT_TRUE(pair.client.disconnected);
  EXPECT_TRUE(pair.client.disconnected->by_peer);
  EXPECT_EQ(pair.client.disconnected->reason, DisconnectReason::by_application);
  EXPECT_NE(pair.client.disconnected->error.message().find("closing for the night\\x1b[2J"),
            std::string::npos);
  const auto again = pair.client.transport.send(message(10), {}, pair.now);
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(Errc::disconnected));
  EXPECT_FALSE(pair.client.transport.next_timeout());
  EXPECT_FALSE(pair.client.transport.wants_input());
  EXPECT_EQ(pair.client.transport.sendable_bytes(), 0u);
}

TEST(TransportPair, c16_cuts_and_escapes_what_the_peer_says_at_the_end) {
  TransportPair pair;
  pair.drive();
  pair.server.transport.disconnect(DisconnectReason::by_application, std::string(100000, 'x'));
  pair.drive();
  ASSERT_TRUE(pair.client.disconnected);
  EXPECT_LT(pair.client.disconnected->error.message().size(), 1200u);
}

TEST(TransportPair, refuses_sends_that_do_not_fit) {
  TransportPair pair;
  EXPECT_FALSE(pair.client.transport.send(message(10), {}, pair.now));
  EXPECT_EQ(pair.client.transport.sendable_bytes(), 0u);
  pair.drive();
  Bytes low(10);
  low[0] = std::byte{79};
  EXPECT_TRUE(pair.client.transport.send(low, {}, pair.now).error().is(Errc::usage));
  low[0] = std::byte{128};
  EXPECT_TRUE(pair.client.transport.send(low, {}, pair.now).error().is(Errc::usage));
  EXPECT_TRUE(pair.client.transport.send({}, {}, pair.now).error().is(Errc::usage));
  const std::size_t most = pair.client.transport.sendable_bytes();
  EXPECT_GT(most, 34000u);
  EXPECT_TRUE(pair.client.transport.send(message(most), {}, pair.now));
  EXPECT_TRUE(pair.client.transport.send(message(most + 1), {}, pair.now).error().is(Errc::usage));
  pair.client.transport.set_max_send_packet(std::size_t{1} << 30);
  EXPECT_GT(pair.client.transport.sendable_bytes(), 200000u);
  EXPECT_TRUE(pair.client.transport.send(message(200000), {}, pair.now));
  pair.drive();
  EXPECT_EQ(pair.server.payloads.back().size(), 200000u);
  EXPECT_TRUE(pair.is_open());
}

TEST(TransportPair, stops_data_at_the_high_water_mark_and_goes_on_below_it) {
  Config client = client_config();
  client.limits.output_high_water = 10000;
  TransportPair pair(std::move(client), server_config());
  pair.drive();
  int sent = 0;
  while (pair.client.transport.sendable_bytes() > 0) {
    ASSERT_TRUE(pair.client.transport.send(message(1000), {}, pair.now));
    ASSERT_LT(++sent, 100);
  }
  EXPECT_GE(pair.client.transport.output().size(), 10000u);
  EXPECT_TRUE(pair.client.transport.wants_input());  // two busy sides must not wait for each other
  pair.drive();
  EXPECT_GT(pair.client.transport.sendable_bytes(), 0u);
  EXPECT_EQ(pair.server.payloads.size(), static_cast<std::size_t>(sent));
}

TEST(TransportPair, stops_data_at_a_smaller_batch_but_goes_on_reading_as_before) {
  Config client = client_config();
  client.limits.output_high_water = 10000;
  TransportPair pair(std::move(client), server_config());
  pair.drive();
  pair.client.transport.set_send_batch(2000);
  while (pair.client.transport.sendable_bytes() > 0)
    ASSERT_TRUE(pair.client.transport.send(message(1000), {}, pair.now));
  EXPECT_GE(pair.client.transport.output().size(), 2000u);
  EXPECT_LT(pair.client.transport.output().size(), 4000u);
  pair.client.transport.set_send_batch(1 << 20);  // more than the high water mark is not to be had
  while (pair.client.transport.sendable_bytes() > 0)
    ASSERT_TRUE(pair.client.transport.send(message(1000), {}, pair.now));
  EXPECT_LT(pair.client.transport.output().size(), 12000u);
  pair.client.transport.set_send_batch(2000);
  EXPECT_TRUE(pair.client.transport.wants_input());  // two busy sides must not wait for each other
}

TEST(TransportPair, two_sides_that_have_much_to_say_at_once_go_on_reading) {
  Config client = client_config(), server = server_config();
  client.limits.output_high_water = server.limits.output_high_water = 10000;
  TransportPair pair(std::move(client), std::move(server));
  pair.drive();
  for (testing::PairEnd* end : {&pair.client, &pair.server}) {  // what data's bound does not stop
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(end->transport.send(message(1000), {}, pair.now));
    EXPECT_GT(end->transport.output().size(), 100'000u);
    EXPECT_TRUE(end->transport.wants_input());
  }
  pair.drive();
  EXPECT_EQ(pair.client.payloads.size(), 100u);
  EXPECT_EQ(pair.server.payloads.size(), 100u);
}

TEST(TransportPair, stops_reading_when_what_it_says_to_payloads_is_not_taken) {
  Config client = client_config();
  client.limits.output_high_water = 10000;
  client.limits.max_queued_during_kex = 1;  // which bounds what is said of one's own accord
  TransportPair pair(std::move(client), server_config());
  pair.drive();
  pair.client.on_payload = [&](ByteView) {
    EXPECT_TRUE(pair.client.transport.send(message(1000), {}, pair.now));
  };
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(pair.server.transport.send(message(10), {}, pair.now));
  int packets = 0;
  ByteView left = pair.server.transport.output();
  for (; pair.client.transport.wants_input(); ++packets) {
    const std::size_t size = left.size() / static_cast<std::size_t>(40 - packets);
    pair.client.feed(left.first(size), pair.now);
    left = left.subspan(size);
    ASSERT_LT(packets, 30);
  }
  EXPECT_GE(pair.client.transport.output().size(), 20'000u);
  EXPECT_LT(pair.client.transport.output().size(), 22'000u);
  pair.client.transport.consume_output(pair.client.transport.output().size());
  EXPECT_TRUE(pair.client.transport.wants_input());
}

TEST(TransportPair, checks_its_configuration_when_it_is_made) {
  testing::FixedRandom random;
  const auto refused = [&](Role role, const std::function<void(Config&)>& change) {
    Config config = role == Role::client ? client_config() : server_config();
    config.random = &random;
    change(config);
    auto made = Transport::make(role, std::move(config), {});
    return !made && made.error().is(Errc::usage);
  };
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.random = nullptr; }));
  EXPECT_TRUE(
      refused(Role::client, [](Config& c) { c.algorithms.kex = {"diffie-hellman-group1-sha1"}; }));
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.algorithms.ciphers = {"none"}; }));
  EXPECT_EQ(
      refused(Role::client, [](Config& c) { c.algorithms.aes_gcm = crypto::AesGcm::ipsec_mb; }),
      !crypto::is_available(crypto::AesGcm::ipsec_mb));
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.algorithms.macs = {"hmac-md5"}; }));
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.algorithms.host_keys = {"ssh-rsa"}; }));
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.identities.emplace_back(); }));
  EXPECT_TRUE(refused(Role::client, [](Config& c) { c.user = std::string(256, 'u'); }));
  EXPECT_TRUE(refused(Role::server, [](Config& c) { c.host_keys.clear(); }));
  EXPECT_TRUE(refused(Role::server, [](Config& c) { c.host_keys.push_back(c.host_keys[0]); }));
  EXPECT_TRUE(refused(Role::server, [](Config& c) { c.algorithms.host_keys = {"rsa-sha2-512"}; }));
  EXPECT_FALSE(refused(Role::server, [](Config&) {}));
}

TEST(TransportPair, c27_the_same_input_gives_the_same_output) {
  const auto run = [](std::string_view input) {
    testing::PairEnd end(Role::server, server_config(), TimePoint{}, 9);
    end.feed(as_bytes(input), TimePoint{});
    return std::make_pair(to_bytes(end.transport.output()), end.log);
  };
  for (const std::string_view input : {"SSH-2.0-a\r\n", "SSH-1.0-a\r\n", "junk\r\n"})
    EXPECT_EQ(run(input), run(input));
}

}  // namespace
}  // namespace streamkit::ssh
