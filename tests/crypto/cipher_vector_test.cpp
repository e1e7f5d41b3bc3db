// Packet protection against published vectors, and its limits. This file looks at the room from
// inside: only there can a limit of 2^31 packets be set to three.
#include "aes_ctr_hmac.hpp"
#include "aes_gcm.hpp"
#include "chacha20_poly1305.hpp"
#include "suites.hpp"

#include <streamkit/base/text.hpp>

#include <gtest/gtest.h>

#include <array>

namespace streamkit::crypto {
namespace {

using namespace test;

DirectionKeys keys_of(std::string_view key, std::string_view iv, std::string_view mac = {}) {
  DirectionKeys keys;
  keys.key = SecretBytes(hex(key));
  keys.iv = SecretBytes(hex(iv));
  keys.mac_key = SecretBytes(hex(mac));
  return keys;
}

using Block = std::array<std::uint8_t, 16>;

/// SP 800-38D section 6.3, bit by bit.
Block multiply(const Block& x, Block v) {
  Block z{};
  for (std::size_t i = 0; i < 128; ++i) {
    if (x[i / 8] >> (7 - i % 8) & 1)
      for (std::size_t j = 0; j < 16; ++j) z[j] ^= v[j];
    const bool odd = v[15] & 1;
    for (std::size_t j = 16; j-- > 0;)
      v[j] = static_cast<std::uint8_t>(v[j] >> 1 | (j > 0 ? v[j - 1] << 7 : 0));
    if (odd) v[0] ^= 0xe1;
  }
  return z;
}

/// GHASH over associated data, ciphertext and their lengths.
Block ghash(const Block& h, ByteView aad, ByteView text) {
  Block y{};
  const auto absorb = [&](ByteView part) {
    while (!part.empty()) {
      const std::size_t n = std::min<std::size_t>(16, part.size());
      for (std::size_t i = 0; i < n; ++i) y[i] ^= std::to_integer<std::uint8_t>(part[i]);
      y = multiply(y, h);
      part = part.subspan(n);
    }
  };
  Bytes lengths(16);
  wire::store_u32(lengths.data() + 4, static_cast<std::uint32_t>(aad.size() * 8));
  wire::store_u32(lengths.data() + 12, static_cast<std::uint32_t>(text.size() * 8));
  absorb(aad), absorb(text), absorb(lengths);
  return y;
}

Block block_of(std::string_view text) {
  const Bytes bytes = hex(text);
  Block out{};
  for (std::size_t i = 0; i < 16; ++i) out[i] = std::to_integer<std::uint8_t>(bytes[i]);
  return out;
}

Block operator^(Block a, const Block& b) {
  for (std::size_t i = 0; i < 16; ++i) a[i] ^= b[i];
  return a;
}

struct GcmVector {
  std::string_view cipher, key, hash_key, ciphertext, tag;
};

// Test cases 4 and 16 of the GCM submission to NIST (McGrew and Viega). The published tag is over
// other associated data than a packet's length, so it gives E(K, J0), from which the packet's tag
// follows.
TEST(AesGcm, agrees_with_the_vectors_of_the_gcm_submission) {
  const Bytes plain =
      hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const Bytes aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const GcmVector vectors[] = {
      {"aes128-gcm@openssh.com", "feffe9928665731c6d6a8f9467308308",
       "b83b533708bf535d0aa6e52980d53b78",
       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
       "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
       "5bc94fbc3221a5db94fae95ae7121a47"},
      {"aes256-gcm@openssh.com", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
       "acbef20579b4b8ebce889bac8732dad7",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
       "76fc6ece0f4e1768cddf8853bb2d551b"},
  };
  for (const GcmVector& v : vectors) {
    SCOPED_TRACE(v.cipher);
    const Bytes ciphertext = hex(v.ciphertext);
    const Block h = block_of(v.hash_key);
    const Block mask = block_of(v.tag) ^ ghash(h, aad, ciphertext);
    Bytes packet = hex("0000003c");
    const Block tag = mask ^ ghash(h, packet, ciphertext);
    append(packet, plain);
    for (const AesGcm by : all_aes_gcm()) {
      SCOPED_TRACE(implementation_of(by));
      const auto sealer = make_sealer(*find_cipher(v.cipher), nullptr,
                                      keys_of(v.key, "cafebabefacedbaddecaf888"), by)
                              .value();
      const Bytes sealed = seal_whole(*sealer, 77, packet).value();
      EXPECT_EQ(hex_encode(sealed),
                "0000003c" + std::string(v.ciphertext) + hex_encode(std::as_bytes(std::span(tag))));
    }
  }
}

TEST(AesGcm, b9_the_counter_wraps_without_touching_the_fixed_part) {
  const std::string key = "000102030405060708090a0b0c0d0e0f";
  const CipherInfo& cipher = *find_cipher("aes128-gcm@openssh.com");
  std::mt19937 generator(1);
  const Bytes clear = clear_packet(generator, 28);
  for (const AesGcm by : all_aes_gcm()) {
    SCOPED_TRACE(implementation_of(by));
    const auto sealer_at = [&](std::string_view iv) {
      return make_sealer(cipher, nullptr, keys_of(key, iv), by).value();
    };
    const auto last = sealer_at("01020304 ffffffffffffffff");
    const auto first = sealer_at("01020304 0000000000000000");
    ASSERT_TRUE(seal_whole(*last, 0, clear));
    EXPECT_EQ(seal_whole(*last, 1, clear).value(), seal_whole(*first, 0, clear).value());

    const auto low = sealer_at("01020304 00000000ffffffff");
    const auto carried = sealer_at("01020304 0000000100000000");
    ASSERT_TRUE(seal_whole(*low, 0, clear));
    EXPECT_EQ(seal_whole(*low, 1, clear).value(), seal_whole(*carried, 0, clear).value());

    const auto opener =
        make_opener(cipher, nullptr, keys_of(key, "01020304 ffffffffffffffff"), by).value();
    const auto again = sealer_at("01020304 ffffffffffffffff");
    for (std::uint32_t i = 0; i < 3; ++i) {
      Bytes packet = seal_whole(*again, i, clear).value();
      ASSERT_TRUE(opener->read_length(i, packet));
      ASSERT_TRUE(opener->open(i, packet)) << i;
    }
  }
}

// Key streams of RFC 8439 appendix A.1: vectors 1 and 2 are blocks 0 and 1 of the all-zero key and
// nonce, vector 5 is block 0 for the nonce whose last byte is 2. The tag was computed from them
// with the integer arithmetic of RFC 8439 section 2.5.
TEST(ChaCha20Poly1305, agrees_with_the_key_streams_of_rfc_8439) {
  const auto zero_keys = [] {
    DirectionKeys keys;
    keys.key = SecretBytes(std::size_t{64});
    return keys;
  };
  const CipherInfo& cipher = *find_cipher("chacha20-poly1305@openssh.com");
  Bytes packet(4 + 64);
  packet[3] = std::byte{64};
  const auto sealer = make_sealer(cipher, nullptr, zero_keys()).value();
  EXPECT_EQ(hex_encode(seal_whole(*sealer, 0, packet).value()),
            "76b8e0ed"
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
            "bfaca637ecfcaf3e058882a4dce24dab");

  const auto second = make_sealer(cipher, nullptr, zero_keys()).value();
  EXPECT_EQ(hex_encode(ByteView(seal_whole(*second, 2, packet).value()).first(4)), "c2c64d77");
}

TEST(ChaCha20Poly1305, the_length_has_a_key_of_its_own) {
  const CipherInfo& cipher = *find_cipher("chacha20-poly1305@openssh.com");
  DirectionKeys keys, other;
  keys.key = SecretBytes(std::size_t{64});
  other.key = SecretBytes(std::size_t{64});
  other.key.span()[63] = std::byte{1};  // in the second half
  std::mt19937 generator(1);
  const Bytes clear = clear_packet(generator, 24);
  const Bytes a =
      seal_whole(*make_sealer(cipher, nullptr, std::move(keys)).value(), 0, clear).value();
  const Bytes b =
      seal_whole(*make_sealer(cipher, nullptr, std::move(other)).value(), 0, clear).value();
  EXPECT_FALSE(std::equal(a.begin(), a.begin() + 4, b.begin()));
  EXPECT_TRUE(std::equal(a.begin() + 4, a.begin() + 28, b.begin() + 4));
}

TEST(ChaCha20Poly1305, b9_refuses_to_use_a_nonce_twice) {
  const Suite suite{find_cipher("chacha20-poly1305@openssh.com"), nullptr};
  std::mt19937 generator(1);
  const Bytes clear = clear_packet(generator, 24);
  const auto sealer = sealer_for(suite);
  ASSERT_TRUE(seal_whole(*sealer, 0xffffffff, clear));
  ASSERT_TRUE(seal_whole(*sealer, 0, clear));
  EXPECT_TRUE(fails_with(seal_whole(*sealer, 0, clear), Errc::usage));
  EXPECT_TRUE(fails_with(seal_whole(*sealer, 0xffffffff, clear), Errc::usage));
  EXPECT_TRUE(seal_whole(*sealer, 1, clear));
}

struct CtrVector {
  std::string_view cipher, key, ciphertext;
};

// SP 800-38A sections F.5.1, F.5.3 and F.5.5. With encrypt-and-MAC the whole packet is the text.
TEST(AesCtr, agrees_with_sp_800_38a_and_runs_on_from_packet_to_packet) {
  const Bytes plain =
      hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
          "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
  const CtrVector vectors[] = {
      {"aes128-ctr", "2b7e151628aed2a6abf7158809cf4f3c",
       "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
       "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
      {"aes192-ctr", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
       "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
       "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"},
      {"aes256-ctr", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
       "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
       "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
  };
  const std::string mac_key(64, '7');
  for (const CtrVector& v : vectors) {
    SCOPED_TRACE(v.cipher);
    const auto sealer = make_sealer(*find_cipher(v.cipher), find_mac("hmac-sha2-256"),
                                    keys_of(v.key, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", mac_key))
                            .value();
    std::string text;
    for (std::uint32_t i = 0; i < 2; ++i) {
      const ByteView packet = ByteView(plain).subspan(i * 32, 32);
      const Bytes sealed = seal_whole(*sealer, i, packet).value();
      text += hex_encode(ByteView(sealed).first(32));
      Bytes numbered(4);
      wire::store_u32(numbered.data(), i);
      append(numbered, packet);
      const Bytes tag = hmac(Hash::sha256, hex(mac_key), numbered).value();
      EXPECT_EQ(hex_encode(ByteView(sealed).subspan(32)), hex_encode(tag));
    }
    EXPECT_EQ(text, v.ciphertext);
  }
}

TEST(AesCtr, encrypt_then_mac_leaves_the_length_in_clear_and_covers_the_ciphertext) {
  std::mt19937 generator(3);
  const Bytes clear = clear_packet(generator, 32);
  const Suite suite{find_cipher("aes256-ctr"), find_mac("hmac-sha2-512-etm@openssh.com")};
  const Bytes sealed = seal_whole(*sealer_for(suite), 6, clear).value();
  EXPECT_TRUE(std::equal(clear.begin(), clear.begin() + 4, sealed.begin()));
  Bytes numbered = hex("00000006");
  append(numbered, ByteView(sealed).first(36));
  const DirectionKeys keys = keys_for(suite);
  EXPECT_EQ(hex_encode(ByteView(sealed).subspan(36)),
            hex_encode(hmac(Hash::sha512, keys.mac_key.view(), numbered).value()));
}

TEST(PacketBudget, b9_a_sealer_stops_at_its_last_packet) {
  std::mt19937 generator(4);
  const Bytes clear = clear_packet(generator, 28);
  const Algorithms& known = algorithms();
  const DirectionKeys gcm = keys_for({find_cipher("aes128-gcm@openssh.com"), nullptr});
  const DirectionKeys chacha = keys_for({find_cipher("chacha20-poly1305@openssh.com"), nullptr});
  const DirectionKeys ctr = keys_for({find_cipher("aes128-ctr"), find_mac("hmac-sha2-256")});
  std::vector<std::unique_ptr<Sealer>> sealers;
  for (const AesGcm by : all_aes_gcm()) sealers.push_back(make_gcm_sealer(by, gcm, 3).value());
  sealers.push_back(make_chacha_sealer(chacha, 3).value());
  sealers.push_back(make_ctr_sealer(known.aes128_ctr, Hash::sha256, true, ctr, 3).value());
  sealers.push_back(make_ctr_sealer(known.aes128_ctr, Hash::sha256, false, ctr, 3).value());
  for (const auto& sealer : sealers) {
    for (std::uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(seal_whole(*sealer, i, clear));
    EXPECT_TRUE(fails_with(seal_whole(*sealer, 3, clear), Errc::limit));
  }
  EXPECT_EQ(kMaxPacketsPerKey, 0x80000000u);
}

TEST(PacketSize, the_longest_packet_goes_through_and_the_next_is_refused) {
  for (const AesGcm by : all_aes_gcm()) {
    const Suite suite{find_cipher("aes128-gcm@openssh.com"), nullptr, by};
    SCOPED_TRACE(suite.name());
    const auto sealer = sealer_for(suite);
    Bytes clear(kMaxSealedPacket - kGcmTagSize + 1);
    wire::store_u32(clear.data(), static_cast<std::uint32_t>(clear.size() - 5));
    EXPECT_TRUE(fails_with(seal_whole(*sealer, 0, clear), Errc::usage));
    clear.pop_back();
    Bytes packet = seal_whole(*sealer, 0, clear).value();
    const auto opener = opener_for(suite);
    ASSERT_TRUE(opener->read_length(0, packet));
    EXPECT_TRUE(opener->open(0, packet));
    packet.push_back({});
    wire::store_u32(packet.data(), static_cast<std::uint32_t>(packet.size() - 4 - kGcmTagSize));
    ASSERT_TRUE(opener->read_length(1, packet));
    EXPECT_TRUE(fails_with(opener->open(1, packet), Errc::usage));
  }
}

}  // namespace
}  // namespace streamkit::crypto
