// Memory that runs out at any moment, while a stranger asks to be believed: nobody is. A
// std::bad_alloc leaves the engine's call, as documented; these tests then go on using the engine
// all the same, which no application should.
#include "memory.hpp"
#include "support/raw_peer.hpp"

#include <streamkit/peer/trust.hpp>

#include <gtest/gtest.h>

#include <new>

namespace streamkit::ssh {
namespace {

namespace memory = testing::memory;
using testing::client_config;
using testing::RawPeer;
using testing::server_config;
using testing::test_key;
using testing::TransportPair;

/// Runs `step` with its n-th block of memory refused, for n from 1 until it no longer asks for so
/// many. True when std::bad_alloc never left it other than as itself.
void refuse_each_block(const std::function<void()>& prepare, const std::function<void()>& step,
                       const std::function<void()>& check, std::uint64_t least) {
  for (std::uint64_t n = 1;; ++n) {
    prepare();
    memory::refuse(n);
    try {
      step();
    } catch (const std::bad_alloc&) {
    }
    const bool was_reached = memory::has_refused();
    memory::refuse(0);
    check();
    if (::testing::Test::HasFailure()) FAIL() << "block " << n;
    if (!was_reached) {
      EXPECT_GE(n, least);
      return;
    }
  }
}

/// Feeds `bytes` and takes what comes out, whatever is thrown meanwhile.
void feed_on(RawPeer& peer, ByteView bytes) {
  try {
    peer.engine.feed(bytes, peer.now);
  } catch (const std::bad_alloc&) {
    for (int i = 0; i < 4; ++i) {
      (void)peer.engine.transport.handle_input(0, peer.now);
      peer.engine.drain(peer.now);
    }
  }
}

TEST(FailingMemory, is_libcryptos_memory_too) {
  EXPECT_TRUE(memory::is_under_libcrypto());
}

TEST(FailingMemory, a18_no_host_key_is_believed_without_its_signature) {
  std::optional<RawPeer> peer;
  Bytes reply;
  refuse_each_block(
      [&] {
        peer.emplace(Role::server, server_config(), client_config());
        peer->reach(State::exchange);
        KexReply wrong = *read_kex_reply(peer->method_message);
        Bytes signature = to_bytes(wrong.signature);
        signature.back() ^= std::byte{1};
        wrong.signature = signature;
        reply = peer->sealed(write_kex_reply(wrong));
      },
      [&] { feed_on(*peer, reply); },
      [&] {
        EXPECT_FALSE(peer->engine.has("host_key"));
        peer->settle();
        EXPECT_FALSE(peer->received(kMsgNewKeys));
        EXPECT_FALSE(peer->received(kMsgServiceRequest));
      },
      20);
}

TEST(FailingMemory, a18_a_rejected_host_key_stays_rejected) {
  std::optional<RawPeer> peer;
  Bytes reply;
  refuse_each_block(
      [&] {
        peer.emplace(Role::server, server_config(), client_config());
        peer->engine.host_key_answer = [](const auto&) { return false; };
        peer->reach(State::exchange);
        reply = peer->sealed(peer->method_message);
      },
      [&] { feed_on(*peer, reply); },
      [&] {
        peer->settle();
        EXPECT_FALSE(peer->received(kMsgNewKeys));
        EXPECT_FALSE(peer->received(kMsgServiceRequest));
      },
      20);
}

TEST(FailingMemory, a18_nobody_comes_in_with_a_wrong_signature_or_an_unknown_key) {
  for (const bool is_signed : {false, true}) {
    std::optional<RawPeer> peer;
    Bytes request;
    refuse_each_block(
        [&] {
          peer.emplace(Role::client, client_config(), server_config());
          peer->engine.key_answer = [&](const auto&) { return !is_signed; };
          peer->reach(State::auth);
          peer->send(write_text_message(kMsgServiceRequest, kServiceAuth));
          Bytes plain = peer->publickey_request();
          if (!is_signed) plain.back() ^= std::byte{1};
          request = peer->sealed(plain);
        },
        [&] { feed_on(*peer, request); },
        [&] {
          EXPECT_EQ(peer->engine.has("key_verified") && !is_signed, false);
          EXPECT_FALSE(peer->engine.has("authenticated"));
          EXPECT_FALSE(peer->engine.transport.is_authenticated());
        },
        10);
  }
}

TEST(FailingMemory, a18_what_leaves_an_engine_in_the_middle_ends_it) {
  for (const bool is_answer : {true, false}) {
    int ended = 0;
    std::optional<RawPeer> peer;
    Bytes packet;
    bool was_thrown = false;
    refuse_each_block(
        [&] {
          peer.emplace(Role::server, server_config(), client_config());
          peer->engine.host_key_answer = nullptr;
          peer->reach(is_answer ? State::new_keys : State::exchange);
          packet = peer->sealed(peer->method_message);
          std::copy(packet.begin(), packet.end(), peer->engine.transport.prepare().begin());
          was_thrown = true;
        },
        [&] {
          if (is_answer) {
            peer->engine.transport.accept_host_key();
          } else {
            (void)peer->engine.transport.handle_input(packet.size(), peer->now);
          }
          was_thrown = false;
        },
        [&] {
          if (!was_thrown) return;
          ++ended;
          EXPECT_TRUE(peer->engine.transport.is_closed());
          EXPECT_TRUE(peer->engine.transport.output().empty());
          EXPECT_FALSE(peer->engine.transport.handle_input(0, peer->now));
          peer->engine.transport.accept_host_key();
          peer->settle();
          EXPECT_EQ(peer->engine.log.back(), "disconnected");
          EXPECT_FALSE(peer->received(kMsgNewKeys));
        },
        5);
    EXPECT_GT(ended, 5);
  }
}

/// A whole connection: nothing is delivered but what was sent, and nobody is taken for somebody
/// else.
TEST(FailingMemory, a18_a_connection_holds_or_ends_whichever_block_is_refused) {
  Bytes message{std::byte{94}};
  append(message, as_bytes("what was sent"));
  std::optional<TransportPair> pair;
  refuse_each_block(
      [&] {
        pair.emplace();
        pair->wire = [](bool, Bytes& bytes) {
          EXPECT_EQ(as_text(bytes).find("ssh-connection"), std::string_view::npos);
        };
      },
      [&] {
        for (int i = 0; i < 3; ++i) {
          try {
            pair->drive();
            for (testing::PairEnd* end : {&pair->client, &pair->server})
              if (end->transport.is_authenticated())
                (void)end->transport.send(message, {}, pair->now);
          } catch (const std::bad_alloc&) {
          }
        }
      },
      [&] {
        for (testing::PairEnd* end : {&pair->client, &pair->server})
          for (const Bytes& payload : end->payloads) EXPECT_EQ(payload, message);
        if (!pair->server.authenticated) return;
        EXPECT_TRUE(pair->server.authenticated->key ==
                    test_key(crypto::KeyType::ed25519).public_key());
        EXPECT_EQ(pair->server.authenticated->user, "ada");
      },
      500);
}

TEST(FailingMemory, a18_known_hosts_and_authorized_keys_never_say_yes_for_want_of_memory) {
  const crypto::PublicKey known = test_key(crypto::KeyType::ecdsa_p256).public_key();
  const crypto::PublicKey stranger = test_key(crypto::KeyType::ed25519).public_key();
  const std::string hosts =
      "@revoked * " + stranger.text() + "\nhost,*.example " + known.text() +
      "\n|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= " + known.text() + "\n";
  const std::string keys =
      "name=\"web-*,!web-0\" " + known.text() + " comment\n" + stranger.text().substr(0, 30) + "\n";
  bool believed = false, allowed = false;
  refuse_each_block([&] { believed = allowed = false; },
                    [&] {
                      for (const char* host : {"host", "a.example", "other"}) {
                        const auto verdict =
                            KnownHosts::parse(hosts).check(host, 22, stranger).verdict;
                        believed = believed || verdict == KnownHosts::Verdict::known;
                      }
                      const AuthorizedKeys parsed = AuthorizedKeys::parse(keys);
                      const AuthorizedKeys::Entry* entry = parsed.find(known);
                      allowed = parsed.find(stranger) ||
                                (entry && (AuthorizedKeys::allows_name(*entry, "web-0") ||
                                           AuthorizedKeys::allows_name(*entry, "db")));
                    },
                    [&] {
                      EXPECT_FALSE(believed);
                      EXPECT_FALSE(allowed);
                    },
                    50);
}

}  // namespace
}  // namespace streamkit::ssh
