// Keys without any file: blobs, lines, signatures, and everything that is refused.
#include "key_blob.hpp"
#include "vectors.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/key.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace streamkit::crypto {
namespace {

using test::fails_with;
using test::hex;

constexpr KeyType kTypes[] = {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::ecdsa_p384,
                              KeyType::ecdsa_p521, KeyType::rsa};

/// One key a type, made once: RSA keys take their time.
const PrivateKey& key_of(KeyType type) {
  static const std::vector<PrivateKey> keys = [] {
    std::vector<PrivateKey> out;
    for (const KeyType t : kTypes) out.push_back(PrivateKey::generate(t, 2048).value());
    return out;
  }();
  return keys[static_cast<std::size_t>(type)];
}

TEST(Key, names_and_algorithms_stand_in_our_order) {
  EXPECT_EQ(signature_algorithms(), (std::vector<std::string_view>{
                                        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256"}));
  EXPECT_EQ(signature_algorithms(KeyType::rsa),
            (std::vector<std::string_view>{"rsa-sha2-512", "rsa-sha2-256"}));
  for (const KeyType type : kTypes) {
    if (type == KeyType::rsa) continue;
    EXPECT_EQ(signature_algorithms(type), std::vector<std::string_view>{key_type_name(type)});
  }
  EXPECT_EQ(key_type_name(KeyType::rsa), "ssh-rsa");
}

TEST(Key, signs_and_verifies_with_every_algorithm_of_its_type) {
  const Bytes data = to_bytes("what is signed");
  for (const KeyType type : kTypes) {
    const PrivateKey& key = key_of(type);
    EXPECT_EQ(key.public_key().type(), type);
    for (const std::string_view algorithm : signature_algorithms(type)) {
      SCOPED_TRACE(algorithm);
      const Bytes signature = key.sign(algorithm, data).value();
      wire::Reader in(signature);
      EXPECT_EQ(in.text(), algorithm);
      EXPECT_TRUE(key.public_key().verify(algorithm, data, signature));
      EXPECT_TRUE(
          fails_with(key.public_key().verify(algorithm, as_bytes("something else"), signature),
                     Errc::bad_key));
      EXPECT_TRUE(key.sign(algorithm, {}).has_value());  // no data is data too
      const PrivateKey other = PrivateKey::generate(type, 2048).value();
      EXPECT_TRUE(fails_with(other.public_key().verify(algorithm, data, signature), Errc::bad_key));
    }
  }
}

TEST(Key, no_changed_or_cut_signature_verifies) {
  const Bytes data = to_bytes("what is signed");
  for (const KeyType type : kTypes) {
    const std::string_view algorithm = signature_algorithms(type).front();
    SCOPED_TRACE(algorithm);
    const PublicKey& key = key_of(type).public_key();
    const Bytes good = key_of(type).sign(algorithm, data).value();
    for (std::size_t i = 0; i < good.size(); ++i) {
      Bytes changed = good;
      changed[i] ^= std::byte{1};
      EXPECT_TRUE(fails_with(key.verify(algorithm, data, changed), Errc::bad_key)) << i;
      EXPECT_TRUE(fails_with(key.verify(algorithm, data, ByteView(good).first(i)), Errc::bad_key))
          << i;
    }
    Bytes longer = good;
    longer.push_back({});
    EXPECT_FALSE(key.verify(algorithm, data, longer));
  }
}

TEST(Key, a12_an_algorithm_of_another_type_or_hash_is_refused) {
  const Bytes data = to_bytes("data");
  for (const KeyType type : kTypes)
    for (const std::string_view algorithm :
         {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
          "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "", "ssh-dss"}) {
      const auto& own = signature_algorithms(type);
      if (std::find(own.begin(), own.end(), algorithm) != own.end()) continue;
      EXPECT_TRUE(fails_with(key_of(type).sign(algorithm, data), Errc::usage)) << algorithm;
      const Bytes signature = key_of(type).sign(own.front(), data).value();
      EXPECT_TRUE(
          fails_with(key_of(type).public_key().verify(algorithm, data, signature), Errc::bad_key));
    }
  const PrivateKey& rsa = key_of(KeyType::rsa);
  const Bytes strong = rsa.sign("rsa-sha2-512", data).value();
  EXPECT_FALSE(rsa.public_key().verify("rsa-sha2-256", data, strong));
}

TEST(Key, no_key_is_empty_and_does_nothing) {
  const PublicKey none;
  EXPECT_TRUE(none.is_empty());
  EXPECT_TRUE(none.blob().empty() && none.fingerprint().empty() && none.text().empty());
  EXPECT_EQ(none, PublicKey());
  EXPECT_FALSE(none == key_of(KeyType::ed25519).public_key());
  EXPECT_TRUE(fails_with(none.verify("ssh-ed25519", {}, {}), Errc::usage));
  const PrivateKey nothing;
  EXPECT_TRUE(nothing.is_empty() && nothing.public_key().is_empty());
  EXPECT_TRUE(fails_with(nothing.sign("ssh-ed25519", {}), Errc::usage));
  EXPECT_TRUE(fails_with(nothing.to_text(), Errc::usage));
}

TEST(Key, blobs_and_lines_come_back_as_the_same_key) {
  for (const KeyType type : kTypes) {
    const PublicKey& key = key_of(type).public_key();
    EXPECT_EQ(PublicKey::from_blob(key.blob()).value(), key);
    EXPECT_EQ(PublicKey::from_text(key.text()).value(), key);
    EXPECT_EQ(PublicKey::from_text(
                  std::string(" ").append(key.text()).append("  a comment of words \r\n"))
                  .value(),
              key);
    EXPECT_TRUE(key.text().starts_with(std::string(key_type_name(type)) + " AAAA"));
    EXPECT_FALSE(key == PrivateKey::generate(KeyType::ed25519).value().public_key());
  }
}

TEST(Key, a_blob_outlives_the_key_it_came_from_as_long_as_a_copy_lives) {
  PublicKey copy;
  ByteView blob;
  {
    const PublicKey key = PrivateKey::generate().value().public_key();
    blob = key.blob();
    copy = key;
  }
  EXPECT_EQ(PublicKey::from_blob(blob).value(), copy);
}

TEST(Key, refuses_lines_that_are_not_one_key) {
  const std::string ed = key_of(KeyType::ed25519).public_key().text();
  const std::string rsa = key_of(KeyType::rsa).public_key().text();
  const std::string digits = ed.substr(ed.find(' ') + 1);
  for (const std::string& line :
       {std::string(), std::string("ssh-ed25519"), std::string("ssh-ed25519 "), digits,
        "ssh-rsa " + digits, "ssh-ed25519 " + rsa.substr(8), "ssh-ed25519 !" + digits,
        ed + "\n" + ed, "no-pty " + ed, ed.substr(0, ed.size() - 4), ed + std::string("\0", 1),
        "SSH-ED25519 " + digits})
    EXPECT_TRUE(fails_with(PublicKey::from_text(line), Errc::bad_key)) << line;
}

TEST(Key, the_longest_line_is_16_kib) {
  std::string line = key_of(KeyType::ed25519).public_key().text() + ' ';
  line.resize(16 * 1024, 'x');
  EXPECT_TRUE(PublicKey::from_text(line));
  EXPECT_TRUE(fails_with(PublicKey::from_text(line + 'x'), Errc::bad_key));
}

TEST(Key, c3_refuses_every_cut_or_lengthened_blob) {
  for (const KeyType type : kTypes) {
    const ByteView blob = key_of(type).public_key().blob();
    for (std::size_t n = 0; n < blob.size(); ++n)
      EXPECT_TRUE(fails_with(PublicKey::from_blob(blob.first(n)), Errc::bad_key)) << n;
    Bytes longer = to_bytes(blob);
    longer.push_back({});
    EXPECT_TRUE(fails_with(PublicKey::from_blob(longer), Errc::bad_key));
  }
}

Bytes blob_of(std::string_view name, std::initializer_list<ByteView> strings) {
  Bytes out;
  wire::Writer to(out);
  to.string(name);
  for (const ByteView s : strings) to.string(s);
  return out;
}

TEST(Key, b5_refuses_ed25519_keys_of_small_order_and_second_spellings) {
  for (const std::string_view point :
       {"0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"})
    EXPECT_TRUE(
        fails_with(PublicKey::from_blob(blob_of("ssh-ed25519", {hex(point)})), Errc::bad_key))
        << point;
  for (const std::size_t size : {0u, 31u, 33u})
    EXPECT_FALSE(PublicKey::from_blob(blob_of("ssh-ed25519", {test::repeat(9, size)})));
}

TEST(Key, b5_refuses_an_ed25519_signature_whose_scalar_is_not_reduced) {
  const PrivateKey& key = key_of(KeyType::ed25519);
  const Bytes data = to_bytes("data");
  Bytes signature = key.sign("ssh-ed25519", data).value();
  // Adding the group's order to S spells the same equation in another way.
  const Bytes order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    std::byte& b = signature[signature.size() - 32 + i];
    carry += std::to_integer<unsigned>(b) + std::to_integer<unsigned>(order[i]);
    b = std::byte(carry & 0xff);
    carry >>= 8;
  }
  EXPECT_TRUE(fails_with(key.public_key().verify("ssh-ed25519", data, signature), Errc::bad_key));
}

TEST(Key, b5_refuses_ecdsa_points_that_are_not_plain_and_on_the_curve) {
  for (const KeyType type : {KeyType::ecdsa_p256, KeyType::ecdsa_p384, KeyType::ecdsa_p521}) {
    const Curve& curve = *curve_of(type);
    const std::string_view name = key_type_name(type);
    SCOPED_TRACE(name);
    wire::Reader in(key_of(type).public_key().blob());
    in.string();
    const ByteView curve_name = in.string();
    const Bytes point = to_bytes(in.string());
    const auto refused = [&](ByteView value) {
      return fails_with(PublicKey::from_blob(blob_of(name, {curve_name, value})), Errc::bad_key);
    };
    ASSERT_TRUE(PublicKey::from_blob(blob_of(name, {curve_name, point})));
    Bytes compressed(point.begin(),
                     point.begin() + 1 + static_cast<std::ptrdiff_t>(curve.field_size));
    compressed[0] = std::byte(2 | (std::to_integer<unsigned>(point.back()) & 1));
    Bytes hybrid = point, off = point, longer = point;
    hybrid[0] = std::byte(6 | (std::to_integer<unsigned>(point.back()) & 1));
    off.back() ^= std::byte{1};
    longer.push_back({});
    EXPECT_TRUE(refused(compressed) && refused(hybrid) && refused(off) && refused(longer));
    EXPECT_TRUE(refused({}) && refused(hex("00")) && refused(Bytes(point.size())));
    EXPECT_TRUE(refused(ByteView(point).first(point.size() - 1)));
    const std::string_view other = type == KeyType::ecdsa_p256 ? "nistp384" : "nistp256";
    EXPECT_FALSE(PublicKey::from_blob(blob_of(name, {as_bytes(other), point})));
  }
}

TEST(Key, b5_refuses_ecdsa_signatures_out_of_range_and_in_second_spellings) {
  const PublicKey& key = key_of(KeyType::ecdsa_p256).public_key();
  const Bytes data = to_bytes("data");
  const Bytes order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  const auto refused = [&](ByteView r, ByteView s, bool raw_strings = false) {
    Bytes inner, blob;
    wire::Writer to(inner);
    if (raw_strings) {
      to.string(r).string(s);
    } else {
      to.mpint(r).mpint(s);
    }
    wire::Writer(blob).string("ecdsa-sha2-nistp256").string(ByteView(inner));
    return fails_with(key.verify("ecdsa-sha2-nistp256", data, blob), Errc::bad_key);
  };
  const Bytes one = hex("01"), zero, wide(33, std::byte{1});
  EXPECT_TRUE(refused(zero, one) && refused(one, zero) && refused(zero, zero));
  EXPECT_TRUE(refused(order, one) && refused(one, order) && refused(one, one));
  EXPECT_TRUE(refused(wide, one) && refused(one, wide));
  EXPECT_TRUE(refused(hex("80"), one, true));    // negative
  EXPECT_TRUE(refused(hex("0001"), one, true));  // not minimal

  // A good pair with one needless zero byte in front of r.
  const Bytes good = key_of(KeyType::ecdsa_p256).sign("ecdsa-sha2-nistp256", data).value();
  wire::Reader in(good);
  in.string();
  wire::Reader pair(in.string());
  Bytes r = to_bytes(pair.string());
  const Bytes s = to_bytes(pair.string());
  EXPECT_FALSE(refused(r[0] == std::byte{0} ? ByteView(r).subspan(1) : ByteView(r),
                       s[0] == std::byte{0} ? ByteView(s).subspan(1) : ByteView(s)));
  r.insert(r.begin(), std::byte{0});
  EXPECT_TRUE(refused(r, s, true));
}

Bytes rsa_blob(ByteView e, ByteView n) {
  Bytes out;
  wire::Writer(out).string("ssh-rsa").mpint(e).mpint(n);
  return out;
}
Bytes modulus_of_bits(std::size_t bits) {
  Bytes n((bits + 7) / 8, std::byte{0xff});
  n[0] = std::byte(0xff >> (n.size() * 8 - bits));
  return n;
}

TEST(Key, b4_takes_rsa_keys_of_2048_to_16384_bits_with_a_small_odd_exponent) {
  const Bytes e = hex("010001");
  const auto taken = [](ByteView exponent, ByteView n) {
    return PublicKey::from_blob(rsa_blob(exponent, n)).has_value();
  };
  EXPECT_TRUE(taken(e, modulus_of_bits(2048)));
  EXPECT_TRUE(taken(e, modulus_of_bits(16384)));
  for (const std::size_t bits : {0u, 8u, 1024u, 2047u, 16385u, 1u << 20})
    EXPECT_FALSE(taken(e, bits ? modulus_of_bits(bits) : Bytes())) << bits;
  const Bytes n = modulus_of_bits(2048);
  EXPECT_TRUE(taken(hex("03"), n) && taken(hex("ffffffff"), n));
  for (const std::string_view bad :
       {"", "01", "02", "010000", "fffffffe", "0100000001", "010000000000000001"})
    EXPECT_FALSE(taken(hex(bad), n)) << bad;
  Bytes even = n;
  even.back() = std::byte{0xfe};
  EXPECT_FALSE(taken(e, even));
}

TEST(Key, b4_refuses_rsa_numbers_that_are_negative_or_not_minimal) {
  const Bytes n = modulus_of_bits(2048);
  for (const bool negative : {true, false}) {
    Bytes blob;
    wire::Writer to(blob);
    to.string("ssh-rsa").string(ByteView(hex("010001")));
    Bytes number(negative ? 0 : 2, std::byte{0});
    append(number, n);
    to.string(ByteView(number));
    EXPECT_TRUE(fails_with(PublicKey::from_blob(blob), Errc::bad_key));
  }
}

TEST(Key, b4_takes_an_rsa_signature_without_its_leading_zero_bytes_and_no_longer_one) {
  const PrivateKey& key = key_of(KeyType::rsa);
  for (unsigned i = 0; i < 4000; ++i) {
    const Bytes data = to_bytes(std::to_string(i));
    const Bytes signature = key.sign("rsa-sha2-256", data).value();
    wire::Reader in(signature);
    in.string();
    const ByteView bytes = in.string();
    if (bytes[0] != std::byte{0}) continue;
    Bytes trimmed, padded;
    wire::Writer(trimmed).string("rsa-sha2-256").string(bytes.subspan(1));
    Bytes wide(1);
    append(wide, bytes);
    wire::Writer(padded).string("rsa-sha2-256").string(ByteView(wide));
    EXPECT_TRUE(key.public_key().verify("rsa-sha2-256", data, trimmed));
    EXPECT_FALSE(key.public_key().verify("rsa-sha2-256", data, padded));
    return;
  }
  FAIL() << "no signature began with a zero byte in 4000";
}

TEST(Key, refuses_types_that_ssh_or_we_do_not_use) {
  for (const std::string_view name :
       {"ssh-dss", "ssh-ed448", "rsa-sha2-256", "ssh-ed25519-cert-v01@openssh.com",
        "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp224", ""})
    EXPECT_TRUE(
        fails_with(PublicKey::from_blob(blob_of(name, {test::repeat(7, 32)})), Errc::bad_key));
}

TEST(Key, b4_generates_rsa_keys_in_bounds_only) {
  for (const unsigned bits : {0u, 1024u, 2047u, 16385u})
    EXPECT_TRUE(fails_with(PrivateKey::generate(KeyType::rsa, bits), Errc::usage));
}

TEST(Key, c3_random_blobs_never_pass_for_keys) {
  std::mt19937 generator(1);
  for (int i = 0; i < 20000; ++i) {
    const Bytes blob = test::some_bytes(generator, generator() % 200);
    EXPECT_FALSE(PublicKey::from_blob(blob));
  }
}

}  // namespace
}  // namespace streamkit::crypto
