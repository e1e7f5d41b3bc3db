// Packet protection: every cipher with every MAC there and back, and what the interface promises.
#include "suites.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace streamkit::crypto {
namespace {

using namespace test;

TEST(Cipher, names_stand_in_our_order_of_preference) {
  EXPECT_EQ(cipher_names(),
            (std::vector<std::string_view>{"aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
                                           "chacha20-poly1305@openssh.com", "aes128-ctr",
                                           "aes192-ctr", "aes256-ctr"}));
  EXPECT_EQ(mac_names(), (std::vector<std::string_view>{"hmac-sha2-256-etm@openssh.com",
                                                        "hmac-sha2-512-etm@openssh.com",
                                                        "hmac-sha2-256", "hmac-sha2-512"}));
}

TEST(Cipher, does_not_know_what_it_does_not_offer) {
  for (const char* name : {"", "none", "aes128-cbc", "3des-cbc", "aes128-gcm", "AES128-CTR"})
    EXPECT_EQ(find_cipher(name), nullptr) << name;
  for (const char* name : {"", "none", "hmac-sha1", "hmac-md5", "umac-64-etm@openssh.com"})
    EXPECT_EQ(find_mac(name), nullptr) << name;
}

TEST(Cipher, infos_describe_what_the_objects_do) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    const auto sealer = sealer_for(suite);
    const auto opener = opener_for(suite);
    EXPECT_EQ(sealer->block_size(), suite.cipher->block_size);
    EXPECT_EQ(opener->block_size(), suite.cipher->block_size);
    EXPECT_EQ(sealer->tag_size(), suite.mac ? suite.mac->tag_size : 16);
    EXPECT_EQ(opener->tag_size(), sealer->tag_size());
    const bool aligns = suite.mac && !suite.mac->etm;
    EXPECT_EQ(sealer->aligns_length(), aligns);
    EXPECT_EQ(opener->aligns_length(), aligns);
    EXPECT_EQ(opener->length_prefix(), aligns ? suite.cipher->block_size : 4u);
  }
}

/// Seals `packet` cut into pieces at random places.
Bytes seal_in_pieces(Sealer& sealer, std::uint32_t sequence, ByteView packet,
                     std::mt19937& generator) {
  std::vector<ByteView> pieces;
  std::size_t first = 4 + generator() % (packet.size() - 3);
  pieces.push_back(packet.first(first));
  packet = packet.subspan(first);
  while (!packet.empty()) {
    const std::size_t n = generator() % 3 == 0 ? 0 : 1 + generator() % packet.size();
    pieces.push_back(packet.first(n));
    packet = packet.subspan(n);
  }
  std::size_t size = sealer.tag_size();
  for (const ByteView piece : pieces) size += piece.size();
  Bytes out(size);
  const Result<void> sealed = sealer.seal(sequence, pieces, out);
  EXPECT_TRUE(sealed) << sealed.error().message();
  return out;
}

TEST(Cipher, opens_what_it_sealed_for_every_suite_size_and_split) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(7);
    const auto sealer = sealer_for(suite);
    const auto opener = opener_for(suite);
    for (std::uint32_t i = 0; i < 120; ++i) {
      const std::uint32_t sequence = i - 60;  // passes the end of the numbers
      const std::size_t body = i % 10 == 9 ? 32768 + generator() % 3000 : 12 + generator() % 600;
      const Bytes clear = clear_packet(generator, body);
      Bytes packet = seal_in_pieces(*sealer, sequence, clear, generator);
      const Result<std::uint32_t> length = opener->read_length(sequence, packet);
      ASSERT_TRUE(length);
      ASSERT_EQ(*length, body);
      const Result<void> opened = opener->open(sequence, packet);
      ASSERT_TRUE(opened) << opened.error().message();
      ASSERT_TRUE(std::equal(clear.begin() + 4, clear.end(), packet.begin() + 4));
    }
  }
}

TEST(Cipher, pieces_make_no_difference) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(8);
    const Bytes clear = clear_packet(generator, 300);
    const Bytes whole = seal_whole(*sealer_for(suite), 5, clear).value();
    for (int i = 0; i < 20; ++i) {
      const auto sealer = sealer_for(suite);
      EXPECT_EQ(seal_in_pieces(*sealer, 5, clear, generator), whole);
    }
  }
}

TEST(Cipher, seals_a_piece_that_lies_at_its_own_place) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(9);
    const Bytes clear = clear_packet(generator, 501);
    const Bytes expected = seal_whole(*sealer_for(suite), 5, clear).value();
    const auto sealer = sealer_for(suite);
    Bytes out = clear;
    out.resize(clear.size() + sealer->tag_size());
    const ByteView all_in_place[] = {ByteView(out).first(clear.size())};
    ASSERT_TRUE(sealer->seal(5, all_in_place, out));
    EXPECT_EQ(out, expected);

    // The middle comes from elsewhere; header and padding are in place.
    const auto again = sealer_for(suite);
    Bytes mixed(out.size());
    std::copy_n(clear.begin(), 9, mixed.begin());
    std::copy(clear.begin() + 400, clear.end(), mixed.begin() + 400);
    const ByteView pieces[] = {ByteView(mixed).first(9), ByteView(clear).subspan(9, 391),
                               ByteView(mixed).subspan(400, clear.size() - 400)};
    ASSERT_TRUE(again->seal(5, pieces, mixed));
    EXPECT_EQ(mixed, expected);
  }
}

TEST(Cipher, equal_packets_do_not_look_equal) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(10);
    const Bytes clear = clear_packet(generator, 64);
    const auto sealer = sealer_for(suite);
    const Bytes first = seal_whole(*sealer, 0, clear).value();
    const Bytes second = seal_whole(*sealer, 1, clear).value();
    EXPECT_FALSE(std::equal(first.begin() + 4, first.end(), second.begin() + 4));
    EXPECT_FALSE(std::equal(clear.begin() + 4, clear.end(), first.begin() + 4));
  }
}

/// Hands `packet` to an opener as a transport would: the length it announces decides how many bytes
/// the packet has. Gives Errc::protocol where the announced length is out of bounds.
Result<Bytes> receive(Opener& opener, std::uint32_t sequence, Bytes packet) {
  constexpr std::uint32_t kMaxLength = 256 * 1024;
  const Result<std::uint32_t> length = opener.read_length(sequence, packet);
  if (!length) return length.error();
  if (*length > kMaxLength || *length < 12) return Errc::protocol;
  packet.resize(4 + std::size_t{*length} + opener.tag_size(), std::byte{0x5a});
  const Result<void> opened = opener.open(sequence, packet);
  if (!opened) {
    // What was refused must not lie in the buffer in clear; the first block of encrypt-and-MAC is
    // wiped too.
    EXPECT_EQ(as_text(packet).find("never to be seen"), std::string_view::npos);
    return opened.error();
  }
  return packet;
}

TEST(Cipher, b8_a_changed_byte_anywhere_is_refused_and_nothing_is_handed_on) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(11);
    Bytes clear = clear_packet(generator, 76);
    const std::string_view secret = "never to be seen, never to be seen";
    std::copy_n(as_bytes(secret).begin(), secret.size(), clear.begin() + 20);
    const Bytes sealed = seal_whole(*sealer_for(suite), 3, clear).value();
    ASSERT_TRUE(receive(*opener_for(suite), 3, sealed));
    for (std::size_t i = 0; i < sealed.size(); ++i)
      for (const unsigned bit : {0x01u, 0x80u}) {
        Bytes changed = sealed;
        changed[i] ^= std::byte(bit);
        const auto opener = opener_for(suite);
        const Result<Bytes> got = receive(*opener, 3, changed);
        ASSERT_FALSE(got) << "byte " << i;
        EXPECT_TRUE(fails_with(got, Errc::mac) || (i < 4 && fails_with(got, Errc::protocol)))
            << "byte " << i << ": " << got.error().message();
      }
  }
}

TEST(Cipher, a_packet_out_of_its_place_is_refused) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(12);
    const auto sealer = sealer_for(suite);
    const Bytes first = seal_whole(*sealer, 0, clear_packet(generator, 44)).value();
    const Bytes second = seal_whole(*sealer, 1, clear_packet(generator, 44)).value();
    EXPECT_FALSE(receive(*opener_for(suite), 0, second));  // the first was dropped
    const auto opener = opener_for(suite);
    ASSERT_TRUE(receive(*opener, 0, first));
    EXPECT_FALSE(receive(*opener, 1, first));                // the first comes again
    EXPECT_FALSE(receive(*opener_for(suite, 2), 0, first));  // other keys
  }
}

TEST(Cipher, the_sequence_number_is_authenticated_where_it_is_the_nonce_or_in_the_mac) {
  for (const Suite& suite : all_suites()) {
    if (suite.cipher->aead && suite.cipher->iv_size != 0) continue;  // GCM counts for itself
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(13);
    const Bytes sealed = seal_whole(*sealer_for(suite), 9, clear_packet(generator, 44)).value();
    EXPECT_FALSE(receive(*opener_for(suite), 10, sealed));
  }
}

TEST(Cipher, a_packet_shorter_than_the_block_already_decrypted_fails_its_mac) {
  const Suite suite{find_cipher("aes128-ctr"), find_mac("hmac-sha2-256")};
  Bytes packet =
      seal_whole(*sealer_for(suite), 0, hex("00000004 01020304 0506070809101112")).value();
  const auto opener = opener_for(suite);
  ASSERT_EQ(opener->read_length(0, packet).value(), 4u);
  packet.resize(4 + 4 + 32);
  EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::mac));
}

TEST(Cipher, refuses_keys_of_the_wrong_size_and_pairs_that_do_not_belong_together) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    for (const int part : {0, 1, 2}) {
      const auto spoiled = [&] {
        DirectionKeys keys = keys_for(suite);
        SecretBytes& one = part == 0 ? keys.key : part == 1 ? keys.iv : keys.mac_key;
        one = SecretBytes(one.size() + 1);
        return keys;
      };
      EXPECT_TRUE(fails_with(make_sealer(*suite.cipher, suite.mac, spoiled()), Errc::usage));
      EXPECT_TRUE(fails_with(make_opener(*suite.cipher, suite.mac, spoiled()), Errc::usage));
    }
    const MacInfo* other = suite.mac ? nullptr : find_mac("hmac-sha2-256");
    EXPECT_TRUE(fails_with(make_sealer(*suite.cipher, other, keys_for(suite)), Errc::usage));
  }
  const CipherInfo unknown{"rot13", 16, 16, 16, false};
  EXPECT_TRUE(fails_with(make_sealer(unknown, find_mac("hmac-sha2-256"), {}), Errc::usage));
}

TEST(Cipher, refuses_pieces_that_do_not_fill_the_output) {
  std::vector<std::pair<std::string, std::unique_ptr<Sealer>>> sealers;
  sealers.emplace_back("none", make_plain_sealer());
  for (const Suite& suite : all_suites()) sealers.emplace_back(suite.name(), sealer_for(suite));
  for (const auto& [name, sealer] : sealers) {
    SCOPED_TRACE(name);
    std::mt19937 generator(14);
    const Bytes clear = clear_packet(generator, 28);
    const ByteView whole[] = {clear};
    const ByteView short_start[] = {ByteView(clear).first(3), ByteView(clear).subspan(3)};
    Bytes exact(clear.size() + sealer->tag_size()), small(exact.size() - 1),
        large(exact.size() + 1);
    EXPECT_TRUE(fails_with(sealer->seal(0, whole, small), Errc::usage));
    EXPECT_TRUE(fails_with(sealer->seal(0, whole, large), Errc::usage));
    EXPECT_TRUE(fails_with(sealer->seal(0, short_start, exact), Errc::usage));
    EXPECT_TRUE(fails_with(sealer->seal(0, {}, exact), Errc::usage));
    EXPECT_TRUE(sealer->seal(0, whole, exact));  // refusals spent nothing
  }
}

TEST(Cipher, opens_only_the_packet_whose_length_was_read_and_only_once) {
  for (const Suite& suite : all_suites()) {
    SCOPED_TRACE(suite.name());
    std::mt19937 generator(15);
    const Bytes sealed = seal_whole(*sealer_for(suite), 0, clear_packet(generator, 44)).value();
    Bytes packet = sealed;
    EXPECT_TRUE(fails_with(opener_for(suite)->open(0, packet), Errc::usage));
    const auto opener = opener_for(suite);
    Bytes few(opener->length_prefix() - 1);
    EXPECT_TRUE(fails_with(opener->read_length(0, few), Errc::usage));
    ASSERT_TRUE(opener->read_length(0, packet));
    EXPECT_TRUE(
        fails_with(opener->open(0, MutableByteView(packet).first(packet.size() - 1)), Errc::usage));
    EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::usage));
  }
}

TEST(PlainPacket, travels_as_it_is) {
  std::mt19937 generator(16);
  const Bytes clear = clear_packet(generator, 28);
  const auto sealer = make_plain_sealer();
  const auto opener = make_plain_opener();
  EXPECT_EQ(sealer->tag_size(), 0u);
  EXPECT_EQ(sealer->block_size(), 8u);
  EXPECT_TRUE(sealer->aligns_length() && opener->aligns_length());
  Bytes packet = seal_in_pieces(*sealer, 0, clear, generator);
  EXPECT_EQ(packet, clear);
  EXPECT_EQ(opener->read_length(0, packet).value(), 28u);
  EXPECT_TRUE(opener->open(0, packet));
  EXPECT_EQ(packet, clear);
  Bytes in_place = clear;
  const ByteView pieces[] = {in_place};
  EXPECT_TRUE(sealer->seal(0, pieces, in_place));
  EXPECT_EQ(in_place, clear);
}

}  // namespace
}  // namespace streamkit::crypto
