// Whole connections in which one call into libcrypto fails: whichever it is, the connection ends
// with an error and nothing was sent in clear or taken for good that was not.
#include "support/faulty_libcrypto.hpp"
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace streamkit::ssh {
namespace {

namespace libcrypto = testing::libcrypto;
using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

constexpr std::string_view kPassword = "the password that nobody may see";

/// A message of the connection protocol whose words would be found on the wire.
Bytes message() {
  Bytes out{std::byte{94}};
  append(out, as_bytes("the message that nobody may see"));
  return out;
}

/// One connection: authentication, a message each way, a key exchange, and again a message each
/// way.
struct Session {
  Config client = client_config(), server = server_config();
  bool is_whole = false;
  int first_end = 0;                   // calls that were made when the client had been made
  int again_begin = 0, again_end = 0;  // and around its second KEXINIT

  /// Of calls that make a key before it is needed, which is tried again.
  bool is_forgiven(int call) const {
    return call <= first_end || (call > again_begin && call <= again_end);
  }
  void run() {
    is_whole = false;
    try {
      TransportPair pair(client, server);
      go(pair);
    } catch (const std::exception&) {  // it could not even be made
    }
  }

 private:
  void go(TransportPair& pair) {
    pair.wire = [](bool, Bytes& bytes) {
      EXPECT_EQ(as_text(bytes).find("nobody may see"), std::string_view::npos);
    };
    pair.server.password_answer = [](const PasswordOffered& e) {
      return as_text(e.password.view()) == kPassword;
    };
    pair.drive();
    exchange_messages(pair);
    again_begin = libcrypto::calls();
    (void)pair.client.transport.start_rekey(pair.now);
    again_end = libcrypto::calls();
    pair.drive();
    exchange_messages(pair);
    for (testing::PairEnd* end : {&pair.client, &pair.server})
      for (const Bytes& payload : end->payloads) EXPECT_EQ(payload, message());
    is_whole = pair.is_open() && pair.client.payloads.size() == 2 &&
               pair.server.payloads.size() == 2 && pair.client.transport.info().exchanges == 2 &&
               pair.server.transport.info().exchanges == 2;
  }
  static void exchange_messages(TransportPair& pair) {
    for (testing::PairEnd* end : {&pair.client, &pair.server})
      if (end->transport.is_authenticated()) (void)end->transport.send(message(), {}, pair.now);
    pair.drive();
  }
};

void fail_each_call(Session session) {
  libcrypto::fail_call(0);
  session.run();
  ASSERT_TRUE(session.is_whole);  // and what is fetched once, is
  libcrypto::fail_call(0);
  (void)testing::PairEnd(Role::client, session.client, TimePoint(), 1);
  session.first_end = libcrypto::calls();
  libcrypto::fail_call(0);
  session.run();
  const Session good = session;
  const int total = libcrypto::calls();
  ASSERT_GT(total, 100) << "the calls do not pass through this test";
  for (int n = 1; n <= total; ++n) {
    libcrypto::fail_call(n);
    session.run();
    libcrypto::fail_call(0);
    if (!good.is_forgiven(n)) {
      EXPECT_FALSE(session.is_whole) << "call " << n << " of " << total << " failed unseen";
    }
  }
}

TEST(FailingLibcrypto, b7_a_connection_by_keys_ends_with_whichever_call_fails) {
  for (const char* cipher :
       {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"}) {
    SCOPED_TRACE(cipher);
    Session session;
    session.client.algorithms.ciphers = {cipher};
    session.client.algorithms.aes_gcm = session.server.algorithms.aes_gcm =
        crypto::AesGcm::libcrypto;
    fail_each_call(std::move(session));
  }
}

TEST(FailingLibcrypto, b7_a_connection_by_keys_of_other_types_ends_too) {
  Session session;
  session.client.algorithms.kex = {"ecdh-sha2-nistp256"};
  session.client.algorithms.aes_gcm = session.server.algorithms.aes_gcm = crypto::AesGcm::libcrypto;
  session.client.identities = {Identity(test_key(crypto::KeyType::ecdsa_p256))};
  session.server.host_keys = {test_key(crypto::KeyType::rsa)};
  fail_each_call(std::move(session));
}

TEST(FailingLibcrypto, b7_a_connection_by_password_ends_and_shows_it_to_nobody) {
  Session session;
  session.client.algorithms.aes_gcm = session.server.algorithms.aes_gcm = crypto::AesGcm::libcrypto;
  session.client.identities.clear();
  session.client.password = kPassword;
  session.server.offer_password = true;
  fail_each_call(std::move(session));
}

TEST(FailingLibcrypto, b7_no_wrong_signature_and_no_wrong_host_key_is_believed_when_a_call_fails) {
  for (int n = 1;; ++n) {
    RawPeer client = RawPeer::client();
    client.reach(State::auth);
    client.send(write_text_message(kMsgServiceRequest, kServiceAuth));
    Bytes request = client.publickey_request();
    request.back() ^= std::byte{1};
    RawPeer server = RawPeer::server();
    server.reach(State::exchange);
    KexReply reply = *read_kex_reply(server.method_message);
    Bytes signature = to_bytes(reply.signature);
    signature.back() ^= std::byte{1};
    reply.signature = signature;
    const Bytes from_client = client.sealed(request),
                from_server = server.sealed(write_kex_reply(reply));
    libcrypto::fail_call(n);
    client.engine.feed(from_client, client.now);
    const int calls = libcrypto::calls();
    libcrypto::fail_call(n);
    server.engine.feed(from_server, server.now);
    const int most = std::max(calls, libcrypto::calls());
    libcrypto::fail_call(0);
    EXPECT_FALSE(client.engine.has("key_verified"));
    EXPECT_FALSE(client.engine.has("authenticated"));
    EXPECT_FALSE(server.engine.has("host_key"));
    if (n > most) break;
  }
}

TEST(FailingLibcrypto, b6_a_signature_that_came_out_wrong_is_not_sent) {
  for (const crypto::KeyType type :
       {crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256, crypto::KeyType::rsa})
    for (const int nth : {0, 1, 2}) {
      if (nth == 2 && type != crypto::KeyType::ed25519)
        continue;  // the others are verified, not made twice
      SCOPED_TRACE(std::string(crypto::key_type_name(type)) + " " + std::to_string(nth));
      Config options = server_config();
      options.host_keys = {test_key(type)};
      RawPeer client(Role::client, client_config(), std::move(options));
      client.reach(State::exchange);
      libcrypto::spoil_signature(nth);
      client.send_method();
      EXPECT_EQ(client.received(kMsgKexEcdhReply), nth == 0);
      EXPECT_EQ(client.reason(), nth == 0 ? 0u : 3u);

      Config identities = client_config();
      identities.identities = {Identity(test_key(type))};
      RawPeer server(Role::server, server_config(), std::move(identities));
      libcrypto::spoil_signature(0);
      server.reach(State::auth);
      libcrypto::spoil_signature(nth);
      server.send(write_text_message(kMsgServiceAccept, kServiceAuth));
      libcrypto::spoil_signature(0);
      EXPECT_EQ(server.received(kMsgUserauthRequest), nth == 0);
      EXPECT_EQ(server.is_live(), nth == 0);
    }
}

}  // namespace
}  // namespace streamkit::ssh
