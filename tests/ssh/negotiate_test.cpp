// KEXINIT and the choice of algorithms (RFC 4253 section 7.1).
#include "negotiate.hpp"

#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::RawPeer;

Proposal proposal() {
  Proposal p;
  p.kex = {"curve25519-sha256", "ecdh-sha2-nistp256"};
  p.host_keys = {"ssh-ed25519", "rsa-sha2-512"};
  p.ciphers_to_server = p.ciphers_to_client = {"aes128-gcm@openssh.com", "aes128-ctr"};
  p.macs_to_server = p.macs_to_client = {"hmac-sha2-256"};
  p.compression_to_server = p.compression_to_client = {"none"};
  p.strict = p.ext_info = true;
  return p;
}

/// A KEXINIT by hand: ten lists.
Bytes kexinit(const std::vector<std::string>& lists, bool follows = false,
              std::uint32_t reserved = 0) {
  Bytes out;
  wire::Writer to(out);
  to.u8(kMsgKexInit).bytes(Cookie{});
  for (const std::string& list : lists) to.string(list);
  to.boolean(follows).u32(reserved);
  return out;
}
std::vector<std::string> lists(const std::string& kex) {
  return {kex,
          "ssh-ed25519",
          "aes128-ctr",
          "aes128-ctr",
          "hmac-sha2-256",
          "hmac-sha2-256",
          "none",
          "none",
          "",
          ""};
}

TEST(KexInit, is_read_as_it_was_written) {
  Proposal p = proposal();
  p.follows = true;
  const auto read = read_kexinit(write_kexinit(p, Role::client, true, Cookie{}), Role::client);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kex, p.kex);
  EXPECT_EQ(read->ciphers_to_client, p.ciphers_to_client);
  EXPECT_TRUE(read->follows && read->strict && read->ext_info);
}

TEST(KexInit, a7_marks_stand_in_the_first_one_only_and_only_the_senders_count) {
  const auto later =
      read_kexinit(write_kexinit(proposal(), Role::client, false, Cookie{}), Role::client);
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->strict || later->ext_info);
  const auto other = read_kexinit(
      kexinit(lists("ext-info-s,kex-strict-s-v00@openssh.com,curve25519-sha256")), Role::client);
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->strict || other->ext_info);
  EXPECT_EQ(other->kex, Proposal::Names{"curve25519-sha256"});
}

TEST(KexInit, a7_marks_are_never_chosen) {
  Proposal theirs = proposal();
  theirs.kex = {};
  const auto read = read_kexinit(kexinit(lists("ext-info-c,kex-strict-c-v00@openssh.com,ext-info-s,"
                                               "kex-strict-s-v00@openssh.com")),
                                 Role::client);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->kex.empty());
  EXPECT_TRUE(negotiate(*read, proposal()).error().is(Errc::negotiation));
}

TEST(KexInit, c4_empty_names_are_skipped_and_the_reserved_word_is_not_looked_at) {
  const auto read = read_kexinit(kexinit(lists("a,,b,"), false, 0xdeadbeef), Role::client);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kex, (Proposal::Names{"a", "b"}));
}

TEST(KexInit, c4_too_many_names_too_long_names_and_trailing_bytes_are_refused) {
  std::string many = "a";
  for (int i = 0; i < 300; ++i) many += ",b";
  EXPECT_FALSE(read_kexinit(kexinit(lists(many)), Role::client));
  EXPECT_FALSE(read_kexinit(kexinit(lists(std::string(65, 'n'))), Role::client));
  EXPECT_TRUE(read_kexinit(kexinit(lists(std::string(64, 'n'))), Role::client));
  EXPECT_FALSE(read_kexinit(kexinit(lists("a b")), Role::client));
  Bytes trailing = kexinit(lists("a"));
  trailing.push_back(std::byte{0});
  EXPECT_FALSE(read_kexinit(trailing, Role::client));
  for (std::size_t n = 0; n + 1 < trailing.size(); ++n)
    EXPECT_FALSE(read_kexinit(ByteView(trailing).first(n), Role::client)) << n;
}

TEST(KexInit, c4_one_over_32_kib_ends_the_connection) {
  RawPeer peer = RawPeer::client();
  peer.send_ident();
  std::string huge;
  for (int i = 0; i < 30000; ++i) huge += "a,";
  peer.send(kexinit(lists(huge)));
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 2u);
}

TEST(Negotiate, takes_the_clients_first_name_that_the_server_has) {
  Proposal client = proposal(), server = proposal();
  client.kex = {"unknown", "ecdh-sha2-nistp256", "curve25519-sha256"};
  client.ciphers_to_server = {"aes128-ctr", "aes128-gcm@openssh.com"};
  const auto agreed = negotiate(client, server);
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->kex, "ecdh-sha2-nistp256");
  EXPECT_EQ(agreed->cipher_to_server, "aes128-ctr");
  EXPECT_EQ(agreed->mac_to_server, "hmac-sha2-256");
  EXPECT_EQ(agreed->cipher_to_client, "aes128-gcm@openssh.com");
  EXPECT_EQ(agreed->mac_to_client, "");
}

TEST(Negotiate, needs_no_common_mac_with_an_aead_cipher) {
  Proposal client = proposal(), server = proposal();
  client.macs_to_server = client.macs_to_client = {"umac-64@openssh.com"};
  EXPECT_TRUE(negotiate(client, server));
  server.ciphers_to_server = {"aes128-ctr"};
  EXPECT_TRUE(negotiate(client, server).error().is(Errc::negotiation));
}

TEST(Negotiate, c19_there_is_no_compression) {
  Proposal client = proposal();
  client.compression_to_server = {"zlib@openssh.com", "zlib"};
  EXPECT_TRUE(negotiate(client, proposal()).error().is(Errc::negotiation));
  client.compression_to_server = {"zlib@openssh.com", "none"};
  EXPECT_TRUE(negotiate(client, proposal()));
}

TEST(Negotiate, c19_a_peer_with_only_zlib_is_refused_with_reason_3) {
  RawPeer peer = RawPeer::client();
  peer.proposal.compression_to_server = peer.proposal.compression_to_client = {"zlib"};
  peer.send_ident();
  peer.send_kexinit();
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 3u);
}

TEST(Negotiate, a_guess_is_right_if_both_first_names_are_the_same) {
  Proposal client = proposal(), server = proposal();
  EXPECT_TRUE(negotiate(client, server)->guess_was_right);
  server.kex = {"ecdh-sha2-nistp256", "curve25519-sha256"};
  EXPECT_FALSE(negotiate(client, server)->guess_was_right);
  server = proposal();
  server.host_keys = {"rsa-sha2-512", "ssh-ed25519"};
  EXPECT_FALSE(negotiate(client, server)->guess_was_right);
}

TEST(Negotiate, names_what_was_missing) {
  Proposal client = proposal();
  client.host_keys = {"ssh-dss\x01"};
  const Error error = negotiate(client, proposal()).error();
  EXPECT_NE(error.message().find("host key"), std::string::npos);
  EXPECT_EQ(error.message().find('\x01'), std::string::npos);
}

TEST(Negotiate, a8_ciphers_that_terrapin_breaks_need_strict_key_exchange) {
  Agreement agreed;
  agreed.cipher_to_server = agreed.cipher_to_client = "aes128-gcm@openssh.com";
  EXPECT_TRUE(check_strictness(agreed, false, {}));
  agreed.cipher_to_client = "chacha20-poly1305@openssh.com";
  EXPECT_TRUE(check_strictness(agreed, true, {}));
  EXPECT_TRUE(check_strictness(agreed, false, {}).error().is(Errc::negotiation));
  agreed.cipher_to_client = "aes128-ctr";
  agreed.mac_to_client = "hmac-sha2-256-etm@openssh.com";  // see kex_test: a cut ends in noise
  EXPECT_TRUE(check_strictness(agreed, false, {}));
  Algorithms allowed;
  allowed.allow_non_strict = true;
  agreed.cipher_to_server = "chacha20-poly1305@openssh.com";
  EXPECT_TRUE(check_strictness(agreed, false, allowed));
}

/// What scanners for Terrapin look at: a mode that hides a cut, and no strict key exchange.
bool is_open_to_terrapin(const Proposal& p) {
  const auto any = [](const Proposal::Names& names, auto&& is) {
    return std::any_of(names.begin(), names.end(), is);
  };
  const auto ends_with = [](std::string_view end) {
    return [end](const std::string& name) { return name.ends_with(end); };
  };
  bool exposed = false;
  for (const auto& [ciphers, macs] : {std::pair(&p.ciphers_to_server, &p.macs_to_server),
                                      std::pair(&p.ciphers_to_client, &p.macs_to_client)})
    exposed = exposed || any(*ciphers, ends_with("chacha20-poly1305@openssh.com")) ||
              (any(*ciphers, ends_with("-cbc")) && any(*macs, ends_with("-etm@openssh.com")));
  return exposed && !p.strict;
}

TEST(Negotiate, a8_a_scan_for_terrapin_finds_nothing_in_either_of_our_first_messages) {
  for (const Role ours : {Role::client, Role::server}) {
    RawPeer peer(ours == Role::client ? Role::server : Role::client,
                 ours == Role::client ? testing::server_config() : testing::client_config(),
                 ours == Role::client ? testing::client_config() : testing::server_config());
    peer.send_ident();
    ASSERT_TRUE(peer.received(kMsgKexInit));
    Proposal shown = read_kexinit(*peer.last(kMsgKexInit), ours).value();
    EXPECT_FALSE(is_open_to_terrapin(shown));
    shown.strict = false;
    EXPECT_TRUE(is_open_to_terrapin(shown)) << "the scan sees nothing at all";
  }
}

TEST(Negotiate, a8_a_chacha_only_peer_without_strict_key_exchange_gets_reason_3) {
  for (const bool allowed : {false, true}) {
    Config options = testing::client_config();
    options.algorithms.allow_non_strict = allowed;
    Config raw = testing::server_config();
    raw.algorithms.ciphers = {"chacha20-poly1305@openssh.com"};
    raw.algorithms.allow_non_strict = true;
    RawPeer peer(Role::server, std::move(raw), std::move(options));
    peer.proposal.strict = false;
    peer.reach(State::exchange);
    EXPECT_EQ(peer.is_live(), allowed);
    EXPECT_EQ(peer.reason(), allowed ? 0u : 3u);
  }
}

TEST(Negotiate, a8_a_client_that_is_turned_away_for_it_has_seen_the_host_key_and_no_new_keys) {
  Config raw = testing::client_config();
  raw.algorithms.ciphers = {"chacha20-poly1305@openssh.com"};
  raw.algorithms.allow_non_strict = true;
  RawPeer peer(Role::client, std::move(raw), testing::server_config());
  peer.proposal.strict = false;
  peer.reach(State::exchange);
  EXPECT_TRUE(peer.is_live());
  peer.send_method();
  EXPECT_TRUE(peer.received(kMsgKexEcdhReply));
  EXPECT_FALSE(peer.received(kMsgNewKeys));
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), 3u);
}

TEST(Negotiate, a_server_offers_only_algorithms_it_has_keys_for) {
  Config config = testing::server_config();
  EXPECT_EQ(make_proposal(Role::server, config)->host_keys, Proposal::Names{"ssh-ed25519"});
  config.host_keys.push_back(testing::test_key(crypto::KeyType::rsa));
  EXPECT_EQ(make_proposal(Role::server, config)->host_keys,
            (Proposal::Names{"ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"}));
  EXPECT_EQ(make_proposal(Role::client, config)->host_keys.size(),
            crypto::signature_algorithms().size());
}

}  // namespace
}  // namespace streamkit::ssh
