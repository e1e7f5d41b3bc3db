// Binary packets (RFC 4253 section 6): layout, bounds, and what becomes of a packet that was
// touched.
#include "packet.hpp"

#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

#include <set>

namespace streamkit::ssh {
namespace {

using testing::FixedRandom;
using testing::RawPeer;

constexpr std::size_t kMax = 256 * 1024;

struct Protection {
  std::string cipher, mac;
  std::unique_ptr<crypto::Sealer> sealer() const {
    return crypto::make_sealer(*c(), m(), keys()).value();
  }
  std::unique_ptr<crypto::Opener> opener() const {
    return crypto::make_opener(*c(), m(), keys()).value();
  }
  bool hides_length() const { return !mac.empty() && !m()->etm; }

 private:
  const crypto::CipherInfo* c() const { return crypto::find_cipher(cipher); }
  const crypto::MacInfo* m() const { return mac.empty() ? nullptr : crypto::find_mac(mac); }
  crypto::DirectionKeys keys() const {
    FixedRandom random(7);
    crypto::DirectionKeys out;
    out.key = SecretBytes(c()->key_size), out.iv = SecretBytes(c()->iv_size);
    out.mac_key = SecretBytes(m() ? m()->key_size : 0);
    for (SecretBytes* s : {&out.key, &out.iv, &out.mac_key}) (void)random.fill(s->span());
    return out;
  }
};

std::vector<Protection> protections() {
  std::vector<Protection> out;
  for (const std::string_view cipher : crypto::cipher_names()) {
    if (crypto::find_cipher(cipher)->aead) {
      out.push_back({std::string(cipher), ""});
      continue;
    }
    for (const std::string_view mac : crypto::mac_names())
      out.push_back({std::string(cipher), std::string(mac)});
  }
  return out;
}

Bytes filled(std::size_t size, unsigned seed = 3) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = std::byte(i * 31 + seed);
  return out;
}

Bytes sealed(PacketSealer& sealer, ByteView header, ByteView body = {}) {
  FixedRandom random;
  ByteQueue out;
  EXPECT_TRUE(sealer.seal(header, body, random, out));
  return to_bytes(std::as_const(out).data());
}

TEST(Packet, comes_out_as_it_went_in_with_every_protection_and_size) {
  for (const Protection& p : protections()) {
    SCOPED_TRACE(p.cipher + " " + p.mac);
    PacketSealer sealer;
    PacketOpener opener(kMax);
    sealer.set_keys(p.sealer(), true);
    opener.set_keys(p.opener(), true);
    for (std::size_t size = 1; size < 3000; size += size < 80 ? 1 : 371) {
      const Bytes payload = filled(size);
      const std::size_t cut = size / 3;
      Bytes packet = sealed(sealer, ByteView(payload).first(cut), ByteView(payload).subspan(cut));
      auto opened = opener.open(packet);
      ASSERT_TRUE(opened && *opened) << size;
      EXPECT_EQ((*opened)->size, packet.size());
      EXPECT_EQ(to_bytes(ByteView(packet).subspan((*opened)->payload_at, (*opened)->payload_size)),
                payload);
    }
    EXPECT_EQ(sealer.use().packets, opener.use().packets);
    EXPECT_EQ(sealer.use().bytes, opener.use().bytes);
    EXPECT_EQ(sealer.sequence(), opener.sequence());
  }
}

TEST(Packet, is_the_same_whether_header_and_body_come_apart_or_together) {
  const Protection p{"aes128-gcm@openssh.com", ""};
  const Bytes payload = filled(5000);
  PacketSealer one, two;
  one.set_keys(p.sealer(), true);
  two.set_keys(p.sealer(), true);
  EXPECT_EQ(sealed(one, payload),
            sealed(two, ByteView(payload).first(9), ByteView(payload).subspan(9)));
}

TEST(Packet, max_payload_fills_a_packet_and_never_more) {
  std::vector<Protection> all = protections();
  for (const Protection& p : all)
    for (const std::size_t packet : {100u, 1000u, 35000u, 35001u, 35007u, 262144u}) {
      PacketSealer sealer;
      sealer.set_keys(p.sealer(), true);
      const std::size_t most = sealer.max_payload(packet);
      const std::size_t size = sealed(sealer, filled(most)).size();
      EXPECT_LE(size, packet) << p.cipher;
      EXPECT_GE(size + 32, packet) << p.cipher;
    }
  EXPECT_EQ(PacketSealer().max_payload(10), 0u);
}

TEST(Packet, b13_padding_is_at_least_four_random_bytes) {
  PacketSealer sealer;
  FixedRandom random;
  std::set<Bytes> seen;
  for (std::size_t size = 1; size < 40; ++size) {
    ByteQueue out;
    ASSERT_TRUE(sealer.seal(filled(size), {}, random, out));
    const ByteView packet = std::as_const(out).data();
    const auto padding = std::to_integer<std::size_t>(packet[4]);
    EXPECT_GE(padding, 4u);
    EXPECT_EQ(packet.size() % 8, 0u);
    EXPECT_GE(packet.size(), 16u);
    EXPECT_EQ(packet.size(), 5 + size + padding);
    seen.insert(to_bytes(packet.last(padding)));
  }
  EXPECT_EQ(seen.size(), 39u);
}

TEST(Packet, an_unsealable_packet_leaves_the_queue_as_it_was) {
  struct Broken final : Random {
    Result<void> fill(MutableByteView) override { return Errc::crypto; }
  } random;
  PacketSealer sealer;
  ByteQueue out;
  out.append(as_bytes("before"));
  EXPECT_FALSE(sealer.seal(filled(10), {}, random, out));
  EXPECT_EQ(as_text(std::as_const(out).data()), "before");
}

TEST(Packet, b7_a_cipher_that_has_failed_seals_nothing_more) {
  struct Failing final : crypto::Sealer {
    std::size_t block_size() const noexcept override { return 16; }
    std::size_t tag_size() const noexcept override { return 16; }
    bool aligns_length() const noexcept override { return false; }
    Result<void> seal(std::uint32_t, std::span<const ByteView>, MutableByteView) override {
      ++calls;
      return Errc::crypto;
    }
    int calls = 0;
  };
  auto failing = std::make_unique<Failing>();
  const Failing& cipher = *failing;
  PacketSealer sealer;
  sealer.set_keys(std::move(failing), true);
  FixedRandom random;
  ByteQueue out;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(sealer.seal(filled(10), {}, random, out));
  EXPECT_EQ(cipher.calls, 1);
  EXPECT_TRUE(out.empty());
}

/// What an Opener says to a packet_length: 'o' opened or waits for more, 'p' protocol, 'm' mac.
char verdict_on(PacketOpener& opener, MutableByteView bytes) {
  auto result = opener.open(bytes);
  if (result) return 'o';
  return result.error().is(Errc::mac) ? 'm' : result.error().is(Errc::protocol) ? 'p' : '?';
}

TEST(Packet, c1_lengths_in_clear_are_bounded_before_anything_is_kept) {
  const std::pair<std::uint32_t, char> cases[] = {
      {0, 'p'},          {1, 'p'},          {4, 'p'},         {5, 'p'},      {11, 'p'},
      {12, 'o'},         {13, 'p'},         {15, 'p'},        {20, 'o'},     {34996, 'o'},
      {35000, 'p'},      {65532, 'o'},      {65540, 'p'},     {262140, 'p'}, {262145, 'p'},
      {0x80000000, 'p'}, {0xffffffff, 'p'}, {0xfffffffc, 'p'}};
  for (const auto& [length, wanted] : cases) {
    PacketOpener opener(64 * 1024);
    Bytes bytes(8);
    wire::store_u32(bytes.data(), length);
    EXPECT_EQ(verdict_on(opener, bytes), wanted) << length;
  }
}

TEST(Packet, c1_padding_must_leave_a_payload_and_be_four_or_more) {
  for (const auto& [padding, wanted] : std::vector<std::pair<int, char>>{
           {0, 'p'}, {3, 'p'}, {4, 'o'}, {10, 'o'}, {11, 'p'}, {12, 'p'}, {255, 'p'}}) {
    PacketOpener opener(64 * 1024);
    Bytes bytes(16);
    wire::store_u32(bytes.data(), 12);
    bytes[4] = std::byte(padding);
    EXPECT_EQ(verdict_on(opener, bytes), wanted) << padding;
  }
}

TEST(Packet, c1_wrong_padding_under_keys_is_a_violation_too) {
  for (const Protection& p : protections()) {
    PacketOpener opener(kMax);
    opener.set_keys(p.opener(), true);
    auto sealer = p.sealer();
    const std::size_t block = std::max<std::size_t>(8, sealer->block_size());
    const std::size_t plain = sealer->aligns_length() ? 2 * block : 4 + 2 * block;
    Bytes packet(plain);
    wire::store_u32(packet.data(), static_cast<std::uint32_t>(plain - 4));
    packet[4] = std::byte(plain - 5);  // no payload left
    Bytes out(plain + sealer->tag_size());
    const std::array<ByteView, 1> pieces = {ByteView(packet)};
    ASSERT_TRUE(sealer->seal(0, pieces, out));
    EXPECT_EQ(verdict_on(opener, out), 'p') << p.cipher << p.mac;
  }
}

TEST(Packet, c1_lengths_under_keys_are_bounded_too_even_from_one_who_has_the_keys) {
  for (const Protection& p : protections()) {
    SCOPED_TRACE(p.cipher + " " + p.mac);
    const std::size_t tag = p.sealer()->tag_size();
    for (const std::uint32_t length :
         {0u, 1u, 4u, 5u, 11u, 13u, 15u, 17u, 35001u, 262145u, 262160u, 0x7ffffff8u, 0x80000000u,
          0xfffffff0u, 0xfffffffcu, 0xffffffffu}) {
      auto sealer = p.sealer();
      const std::size_t plain = sealer->aligns_length() ? 32 : 36;
      Bytes packet = filled(plain);
      wire::store_u32(packet.data(), length);
      Bytes out(plain + tag);
      const std::array<ByteView, 1> pieces = {ByteView(packet)};
      ASSERT_TRUE(sealer->seal(0, pieces, out));
      out.resize(4 + kMax + tag);
      PacketOpener opener(kMax);
      opener.set_keys(p.opener(), true);
      EXPECT_EQ(verdict_on(opener, MutableByteView(out).first(64)), p.hides_length() ? 'o' : 'm')
          << length;
      if (p.hides_length()) {
        EXPECT_EQ(verdict_on(opener, out), 'm') << length;
      }
    }
  }
}

TEST(Packet, b8_every_flipped_byte_ends_in_the_same_error) {
  for (const Protection& p : protections()) {
    SCOPED_TRACE(p.cipher + " " + p.mac);
    PacketSealer sealer;
    sealer.set_keys(p.sealer(), true);
    const Bytes packet = sealed(sealer, filled(100));
    for (std::size_t at = 0; at < packet.size(); ++at) {
      Bytes touched = packet;
      touched[at] ^= std::byte{0x04};
      touched.resize(4 + kMax + 64);  // a length that has grown must find its bytes
      PacketOpener opener(kMax);
      opener.set_keys(p.opener(), true);
      ASSERT_EQ(verdict_on(opener, touched), 'm') << at;
    }
  }
}

TEST(Packet, b8_with_a_hidden_length_a_bad_packet_always_takes_the_same_number_of_bytes) {
  for (const Protection& p : protections()) {
    if (!p.hides_length()) continue;
    PacketSealer sealer;
    sealer.set_keys(p.sealer(), true);
    const Bytes packet = sealed(sealer, filled(100));
    const std::size_t tag = p.sealer()->tag_size();
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{4},
                                 std::size_t{50}, packet.size() - 1}) {
      Bytes touched = packet;
      touched[at] ^= std::byte{0x80};
      touched.resize(4 + kMax + tag);
      PacketOpener opener(kMax);
      opener.set_keys(p.opener(), true);
      for (std::size_t n = 16; n < touched.size(); n += 4099) {
        auto early = opener.open(MutableByteView(touched).first(n));
        ASSERT_TRUE(early && !*early) << at << " " << n;
      }
      auto almost = opener.open(MutableByteView(touched).first(touched.size() - 1));
      ASSERT_TRUE(almost && !*almost);
      EXPECT_EQ(verdict_on(opener, touched), 'm');
    }
  }
}

TEST(Packet, b8_a_replayed_or_dropped_packet_does_not_open) {
  for (const Protection& p : protections()) {
    PacketSealer sealer;
    sealer.set_keys(p.sealer(), true);
    Bytes first = sealed(sealer, filled(50)), again = first, second = sealed(sealer, filled(50));
    first.resize(kMax + 100), again.resize(kMax + 100), second.resize(kMax + 100);
    PacketOpener replay(kMax), drop(kMax);
    replay.set_keys(p.opener(), true);
    drop.set_keys(p.opener(), true);
    EXPECT_EQ(verdict_on(replay, first), 'o');
    EXPECT_EQ(verdict_on(replay, again), 'm') << p.cipher << p.mac;
    EXPECT_EQ(verdict_on(drop, second), 'm') << p.cipher << p.mac;
  }
}

TEST(Packet, b8_a_touched_packet_ends_the_connection_with_reason_5_and_gives_nothing_out) {
  for (const char* cipher : {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"}) {
    Config options = testing::server_config();
    options.algorithms.ciphers = {cipher};
    RawPeer peer(Role::client, testing::client_config(), std::move(options));
    peer.reach(State::open);
    ASSERT_TRUE(peer.is_live());
    Bytes message = filled(60);
    message[0] = std::byte{94};
    Bytes packet = peer.sealed(message);
    packet[packet.size() - 1] ^= std::byte{1};
    peer.send_bytes(packet);
    EXPECT_FALSE(peer.is_live());
    EXPECT_EQ(peer.reason(), 5u);
    EXPECT_TRUE(peer.engine.payloads.empty());
  }
}

TEST(Packet, c2_an_announced_length_allocates_nothing) {
  RawPeer peer = RawPeer::client();
  peer.reach(State::open);
  const Bytes message = filled(200000);
  const Bytes packet = peer.sealed(message);
  peer.send_bytes(ByteView(packet).first(16));
  EXPECT_LE(peer.engine.transport.prepare().size(), 64u * 1024);
  EXPECT_TRUE(peer.is_live());
}

}  // namespace
}  // namespace streamkit::ssh
