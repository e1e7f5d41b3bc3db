// AES-GCM comes from libcrypto and, where it is built in, from ipsec-mb: the two must be one
// cipher. Where only libcrypto is there, these tests hold it against itself.
#include "aes_gcm.hpp"

#include "suites.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace streamkit::crypto {
namespace {

using namespace test;

constexpr std::string_view kGcmNames[] = {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com"};

Suite gcm(std::string_view name, AesGcm by) {
  return {find_cipher(name), nullptr, by};
}

TEST(AesGcmChoice, libcrypto_is_always_there_and_automatic_is_one_of_the_two) {
  EXPECT_TRUE(is_available(AesGcm::libcrypto));
  EXPECT_TRUE(is_available(AesGcm::automatic));
  EXPECT_EQ(implementation_of(AesGcm::libcrypto), libcrypto_implementation());
  EXPECT_TRUE(libcrypto_implementation().starts_with("OpenSSL 3.")) << libcrypto_implementation();
  EXPECT_EQ(is_available(AesGcm::ipsec_mb), !implementation_of(AesGcm::ipsec_mb).empty());
  const std::string_view automatic = implementation_of(AesGcm::automatic);
  EXPECT_TRUE(automatic == implementation_of(AesGcm::libcrypto) ||
              automatic == implementation_of(AesGcm::ipsec_mb));
  if (ipsec_mb_is_fast() && is_available(AesGcm::ipsec_mb)) {
    EXPECT_TRUE(automatic.starts_with("ipsec-mb ")) << automatic;
  }
}

TEST(AesGcmChoice, sealers_and_openers_say_who_they_are) {
  for (const std::string_view name : kGcmNames)
    for (const AesGcm by : {AesGcm::automatic, AesGcm::libcrypto, AesGcm::ipsec_mb}) {
      const Suite suite = gcm(name, by);
      const auto sealer = make_sealer(*suite.cipher, nullptr, keys_for(suite), by);
      const auto opener = make_opener(*suite.cipher, nullptr, keys_for(suite), by);
      if (!is_available(by)) {
        EXPECT_TRUE(fails_with(sealer, Errc::usage));
        EXPECT_TRUE(fails_with(opener, Errc::usage));
        continue;
      }
      EXPECT_EQ((*sealer)->implementation(), implementation_of(by));
      EXPECT_EQ((*opener)->implementation(), implementation_of(by));
    }
  const Suite chacha{find_cipher("chacha20-poly1305@openssh.com"), nullptr};
  EXPECT_EQ(sealer_for(chacha)->implementation(), libcrypto_implementation());
  EXPECT_EQ(opener_for(chacha)->implementation(), libcrypto_implementation());
  EXPECT_EQ(make_plain_sealer()->implementation(), "");
  EXPECT_EQ(make_plain_opener()->implementation(), "");
}

/// A place for a packet at an odd address with marked bytes on both sides.
class Marked {
 public:
  Marked(std::size_t size, std::size_t offset)
      : memory_(kMargin + offset + size + kMargin, kMark), begin_(kMargin + offset), size_(size) {}
  MutableByteView bytes() { return MutableByteView(memory_).subspan(begin_, size_); }
  bool is_intact() const {
    const auto is_mark = [](std::byte b) { return b == kMark; };
    return std::all_of(memory_.begin(), memory_.begin() + at(begin_), is_mark) &&
           std::all_of(memory_.begin() + at(begin_ + size_), memory_.end(), is_mark);
  }

 private:
  static constexpr std::size_t kMargin = 128;  // more than a vector register
  static constexpr std::byte kMark{0xa7};
  static std::ptrdiff_t at(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }
  Bytes memory_;
  std::size_t begin_, size_;
};

/// `packet` cut at random places; some pieces are empty, some lie at their own place in `out`.
std::vector<ByteView> cut(ByteView packet, MutableByteView out, std::mt19937& generator) {
  std::vector<ByteView> pieces;
  for (std::size_t at = 0; at < packet.size() || pieces.empty();) {
    const std::size_t left = packet.size() - at;
    std::size_t n = generator() % 4 == 0 ? generator() % 40 : generator() % (left + 1);
    n = std::min(left, pieces.empty() ? std::max<std::size_t>(n, 4) : n);
    const ByteView piece = packet.subspan(at, n);
    if (generator() % 2 == 0) {
      std::copy(piece.begin(), piece.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
      pieces.push_back(out.subspan(at, n));
    } else {
      pieces.push_back(piece);
    }
    at += n;
  }
  return pieces;
}

/// Sizes around the block and around the 48 blocks that the widest code takes at a time.
std::size_t some_size(std::mt19937& generator) {
  switch (generator() % 4) {
    case 0:
      return generator() % 70;
    case 1:
      return 16 * (generator() % 100) + generator() % 3;
    case 2:
      return 768 * (generator() % 45) + generator() % 33;
    default:
      return generator() % 35000;
  }
}

TEST(AesGcmDifferential, all_seal_alike_and_open_each_others_packets_whatever_the_size_and_split) {
  for (const std::string_view name : kGcmNames)
    for (const AesGcm by : all_aes_gcm()) {
      const Suite oracle = gcm(name, AesGcm::libcrypto), suite = gcm(name, by);
      SCOPED_TRACE(suite.name());
      std::mt19937 generator(21);
      const auto expected = sealer_for(oracle), sealer = sealer_for(suite);
      const auto opener = opener_for(suite), oracle_opener = opener_for(oracle);
      for (std::uint32_t i = 0; i < 1500; ++i) {
        const std::size_t body = some_size(generator);
        SCOPED_TRACE("packet " + std::to_string(i) + " of " + std::to_string(body));
        const Bytes clear = clear_packet(generator, body);
        Bytes theirs = seal_whole(*expected, i, clear).value();

        Marked ours(theirs.size(), generator() % 64);
        const std::vector<ByteView> pieces = cut(clear, ours.bytes(), generator);
        ASSERT_TRUE(sealer->seal(i, pieces, ours.bytes()));
        ASSERT_TRUE(ours.is_intact());
        ASSERT_TRUE(std::equal(theirs.begin(), theirs.end(), ours.bytes().begin()));

        ASSERT_TRUE(opener->read_length(i, ours.bytes()));
        ASSERT_TRUE(opener->open(i, ours.bytes()));
        ASSERT_TRUE(ours.is_intact());
        ASSERT_TRUE(std::equal(clear.begin(), clear.end(), ours.bytes().begin()));
        ASSERT_TRUE(oracle_opener->read_length(i, theirs));
        ASSERT_TRUE(oracle_opener->open(i, theirs));
      }
    }
}

TEST(AesGcmDifferential, b8_every_changed_bit_and_every_cut_is_refused_and_wiped) {
  for (const std::string_view name : kGcmNames)
    for (const AesGcm by : all_aes_gcm()) {
      const Suite suite = gcm(name, by);
      SCOPED_TRACE(suite.name());
      std::mt19937 generator(22);
      const Bytes clear = clear_packet(generator, 76);
      const Bytes sealed = seal_whole(*sealer_for(suite), 0, clear).value();
      const auto expect_refusal = [&](Bytes packet) {
        const std::size_t body = packet.size() - 4 - kGcmTagSize;
        for (std::size_t i = 0; i < 4; ++i)  // announced as it is: cutting shows in the tag alone
          if (packet.size() != sealed.size()) packet[i] = std::byte(body >> (24 - 8 * i) & 0xff);
        const Bytes sent = packet;
        const auto opener = opener_for(suite);
        if (opener->read_length(0, packet).value() != body) {
          EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::usage));
          return;
        }
        EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::mac));
        const ByteView left = ByteView(packet).subspan(4, body);
        EXPECT_TRUE(
            std::all_of(left.begin(), left.end(), [](std::byte b) { return b == std::byte{0}; }));
        EXPECT_TRUE(std::equal(sent.end() - kGcmTagSize, sent.end(), packet.end() - kGcmTagSize));
      };
      for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
        SCOPED_TRACE("bit " + std::to_string(bit));
        Bytes packet = sealed;
        packet[bit / 8] ^= std::byte(1u << bit % 8);
        expect_refusal(std::move(packet));
      }
      for (std::size_t size = 4 + kGcmTagSize; size < sealed.size(); ++size) {
        SCOPED_TRACE("cut to " + std::to_string(size));
        expect_refusal(Bytes(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size)));
      }
      Bytes packet = sealed;
      const auto opener = opener_for(suite);
      ASSERT_TRUE(opener->read_length(0, packet));
      EXPECT_TRUE(opener->open(0, packet));  // what was sealed still opens
    }
}

TEST(AesGcmDifferential, a_packet_without_a_body_has_a_tag_all_the_same) {
  for (const AesGcm by : all_aes_gcm()) {
    const Suite suite = gcm(kGcmNames[0], by);
    SCOPED_TRACE(suite.name());
    const Bytes length(4);
    const Bytes sealed = seal_whole(*sealer_for(suite), 0, length).value();
    EXPECT_EQ(sealed,
              seal_whole(*sealer_for(gcm(kGcmNames[0], AesGcm::libcrypto)), 0, length).value());
    Bytes packet = sealed;
    const auto opener = opener_for(suite);
    ASSERT_TRUE(opener->read_length(0, packet));
    EXPECT_TRUE(opener->open(0, packet));
    packet.back() ^= std::byte{1};
    const auto other = opener_for(suite);
    ASSERT_TRUE(other->read_length(0, packet));
    EXPECT_TRUE(fails_with(other->open(0, packet), Errc::mac));
  }
}

/// A library whose calls fail after they have written what must not be seen.
class FailingGcm final : public GcmCipher {
 public:
  std::string_view implementation() const noexcept override { return "failing"; }
  Result<void> seal(ByteView, ByteView, std::span<const ByteView>, MutableByteView) override {
    return Errc::crypto;
  }
  Result<void> open(ByteView, MutableByteView) override { return Errc::crypto; }
};

TEST(AesGcmFailure, leaves_nothing_in_clear) {
  std::mt19937 generator(23);
  const Bytes clear = clear_packet(generator, 28);
  const Bytes iv(kGcmNonceSize);
  Bytes packet = clear;
  packet.resize(clear.size() + kGcmTagSize);
  const ByteView in_place[] = {ByteView(packet).first(clear.size())};
  const auto sealer = make_gcm_sealer(std::make_unique<FailingGcm>(), iv, 10);
  EXPECT_TRUE(fails_with(sealer->seal(0, in_place, packet), Errc::crypto));
  EXPECT_EQ(packet, Bytes(packet.size()));

  packet = clear;
  packet.resize(clear.size() + kGcmTagSize);
  const auto opener = make_gcm_opener(std::make_unique<FailingGcm>(), iv);
  ASSERT_TRUE(opener->read_length(0, packet));
  EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::crypto));
  EXPECT_EQ(ByteView(packet).subspan(4).size(), 28u + kGcmTagSize);
  EXPECT_TRUE(
      std::all_of(packet.begin() + 4, packet.end(), [](std::byte b) { return b == std::byte{0}; }));
}

}  // namespace
}  // namespace streamkit::crypto
