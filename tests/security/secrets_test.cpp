// Where secrets lie: freed memory is looked through for them, and logs.
#include "memory.hpp"
#include "support/faulty_libcrypto.hpp"
#include "support/peer_pair.hpp"
#include "support/raw_peer.hpp"

#include <streamkit/base/text.hpp>

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

namespace libcrypto = testing::libcrypto;
namespace memory = testing::memory;
using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

constexpr std::string_view kPassword = "correct horse battery staple, and more of it";
constexpr std::size_t kGcmNonce = 12;  // comes out of the key derivation, and is no secret

class Secrets : public ::testing::Test {
 protected:
  void SetUp() override {
    memory::look_for_nothing();
    libcrypto::fail_call(0);
    libcrypto::watch_secrets([](ByteView secret) {
      if (secret.size() != kGcmNonce) memory::look_for(secret);
    });
  }
  void TearDown() override {
    libcrypto::watch_secrets(nullptr);
    memory::look_for_nothing();
  }
};

TEST_F(Secrets, b12_the_search_finds_what_is_left_behind) {
  const auto left = std::make_unique<Bytes>(to_bytes(as_bytes(kPassword)));
  memory::look_for(as_bytes(kPassword));
  EXPECT_EQ(memory::blocks_with(as_bytes(kPassword)), 1u);
  left->clear();
  left->shrink_to_fit();
  EXPECT_EQ(memory::freed_with_secrets(), 1u);
}

TEST_F(Secrets, b12_keys_and_shared_secrets_are_wiped_before_their_memory_is_freed) {
  for (const char* kex : {"curve25519-sha256", "ecdh-sha2-nistp256"})
    for (const char* cipher :
         {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"})
      for (const crypto::AesGcm by : {crypto::AesGcm::libcrypto, crypto::AesGcm::ipsec_mb}) {
        if (!crypto::is_available(by)) continue;
        SCOPED_TRACE(std::string(kex) + " " + cipher + " " +
                     std::string(crypto::implementation_of(by)));
        memory::look_for_nothing();
        {
          Config client = client_config(), server = server_config();
          client.algorithms.kex = server.algorithms.kex = {kex};
          client.algorithms.ciphers = {cipher};
          client.algorithms.aes_gcm = server.algorithms.aes_gcm = by;
          TransportPair pair(std::move(client), std::move(server));
          pair.drive();
          ASSERT_TRUE(pair.is_open());
          ASSERT_TRUE(pair.client.transport.start_rekey(pair.now));
          pair.drive();
          ASSERT_EQ(pair.server.transport.info().exchanges, 2u);
        }
        EXPECT_GE(memory::patterns(), 12u);  // a shared secret and two keys, twice, on either side
        EXPECT_EQ(memory::freed_with_secrets(), 0u);
      }
}

TEST_F(Secrets, b12_private_keys_are_wiped_when_they_are_read_and_written) {
  {
    const crypto::PrivateKey key = crypto::PrivateKey::generate().value();
    const SecretBytes text = key.to_text().value();
    const crypto::PrivateKey again = crypto::PrivateKey::from_text(as_text(text.view())).value();
    EXPECT_TRUE(again.sign("ssh-ed25519", as_bytes("data")));
  }
  EXPECT_GE(memory::patterns(), 1u);
  EXPECT_EQ(memory::freed_with_secrets(), 0u);
}

TEST_F(Secrets, a21_a_password_is_nowhere_in_memory_once_it_was_used) {
  for (const bool right : {true, false}) {
    memory::look_for_nothing();
    Config client = client_config(), server = server_config();
    client.identities.clear();
    client.password = kPassword;
    server.offer_password = true;
    {
      TransportPair pair(std::move(client), std::move(server));
      memory::look_for(as_bytes(kPassword));
      bool was_seen = false;
      pair.server.password_answer = [&](const PasswordOffered& e) {
        was_seen = as_text(e.password.view()) == kPassword;
        return right;
      };
      pair.drive();
      EXPECT_TRUE(was_seen);
      EXPECT_EQ(pair.is_open(), right);
      // A client that was refused keeps it, for another try of its application, until it goes.
      EXPECT_EQ(memory::blocks_with(as_bytes(kPassword)), right ? 0u : 1u);
    }
    EXPECT_EQ(memory::freed_with_secrets(), 0u);
    EXPECT_EQ(memory::blocks_with(as_bytes(kPassword)), 0u);
  }
}

TEST_F(Secrets, a21_no_password_leaves_or_waits_while_keys_are_exchanged) {
  Config client = client_config();
  client.identities.clear();
  client.password = kPassword;
  {
    RawPeer peer(Role::server, server_config(), std::move(client));
    memory::look_for(as_bytes(kPassword));
    peer.reach(State::auth);
    peer.send(write_text_message(kMsgServiceAccept, kServiceAuth));
    peer.send_kexinit();
    peer.send(
        write_userauth_failure({"password"}, false));  // "try the password", where it may not stand
    EXPECT_EQ(peer.reason(), 2u);
    EXPECT_EQ(peer.count(kMsgUserauthRequest), 1u);  // the question what there is
  }
  EXPECT_EQ(memory::freed_with_secrets(), 0u);
}

}  // namespace
}  // namespace streamkit::ssh

namespace streamkit::testing {
namespace {

std::mutex secrets_mutex;
std::vector<Bytes> secrets_seen;

TEST(SecretsOfPeers, b12_no_secret_and_no_message_stands_in_a_log) {
  libcrypto::fail_call(0);
  libcrypto::watch_secrets([](ByteView secret) {
    const std::lock_guard lock(secrets_mutex);
    secrets_seen.push_back(to_bytes(secret));
  });
  std::mutex mutex;
  std::string log;
  {
    PeerPair pair("unix", [&](PeerOptions& o) {
      o.trust.authorized_keys = {new_key().public_key()};  // nobody's: the password decides
      o.trust.password = [](const std::string&, std::string_view) { return true; };
      o.trust.present_password = "the password of the log test";
      o.log = [&](std::string_view level, std::string_view line) {
        const std::lock_guard lock(mutex);
        log.append(level).append(" ").append(line).append("\n");
      };
    });
    Awaited<Result<Channel>> came;
    pair.a->async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
    Channel out = pair.b->open("a", "service", {}, kPatience).value();
    SK_EXPECT_OK(out.write_frame("the message of the log test", kPatience));
    SK_EXPECT_OK((*came.next())->read_frame(kPatience));
  }
  libcrypto::watch_secrets(nullptr);
  EXPECT_FALSE(log.empty());
  EXPECT_GE(secrets_seen.size(), 6u);
  EXPECT_EQ(log.find("log test"), std::string::npos) << log;
  for (const Bytes& secret : secrets_seen) {
    EXPECT_EQ(log.find(as_text(secret)), std::string::npos);
    EXPECT_EQ(log.find(hex_encode(secret)), std::string::npos);
    EXPECT_EQ(log.find(base64_encode(secret)), std::string::npos);
  }
  secrets_seen.clear();
}

}  // namespace
}  // namespace streamkit::testing
