// Hashes, HMAC and key derivation against published vectors and against the RFC's own words.
#include "vectors.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>

#include <gtest/gtest.h>

namespace streamkit::crypto {
namespace {

using test::fails_with;
using test::hex;
using test::repeat;

std::string hash_hex(Hash hash, std::initializer_list<ByteView> pieces) {
  const Result<Bytes> out = digest(hash, pieces);
  return out ? hex_encode(*out) : out.error().message();
}

TEST(Digest, hashes_the_three_letters_of_fips_180) {
  const ByteView abc = as_bytes("abc");
  EXPECT_EQ(hash_hex(Hash::sha1, {abc}), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hash_hex(Hash::sha256, {abc}),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_hex(Hash::sha384, {abc}),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(hash_hex(Hash::sha512, {abc}),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Digest, pieces_count_as_one_text) {
  EXPECT_EQ(hash_hex(Hash::sha256, {as_bytes("a"), {}, as_bytes("bc")}),
            hash_hex(Hash::sha256, {as_bytes("abc")}));
  EXPECT_EQ(hash_hex(Hash::sha256, {}),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, has_the_size_it_states) {
  for (const Hash hash : {Hash::sha1, Hash::sha256, Hash::sha384, Hash::sha512})
    EXPECT_EQ(digest(hash, {}).value().size(), hash_size(hash));
}

struct HmacVector {
  Bytes key, data;
  std::string_view sha256, sha384, sha512;
};

TEST(Hmac, agrees_with_rfc_4231) {
  const HmacVector vectors[] = {
      {repeat(0x0b, 20), to_bytes("Hi There"),
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
       "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
       "faea9ea9076ede7f4af152e8b2fa9cb6",
       "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
       "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
      {to_bytes("Jefe"), to_bytes("what do ya want for nothing?"),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
       "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
       "8e2240ca5e69e2c78b3239ecfab21649",
       "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
       "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
      {repeat(0xaa, 20), repeat(0xdd, 50),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
       "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
       "2a5ab39dc13814b94e3ab6e101a34f27",
       "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
       "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
      {repeat(0xaa, 131), to_bytes("Test Using Larger Than Block-Size Key - Hash Key First"),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
       "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
       "0c2ef6ab4030fe8296248df163f44952",
       "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
       "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
  };
  for (const HmacVector& v : vectors) {
    EXPECT_EQ(hex_encode(hmac(Hash::sha256, v.key, v.data).value()), v.sha256);
    EXPECT_EQ(hex_encode(hmac(Hash::sha384, v.key, v.data).value()), v.sha384);
    EXPECT_EQ(hex_encode(hmac(Hash::sha512, v.key, v.data).value()), v.sha512);
  }
}

TEST(Hmac, takes_the_sha1_of_hashed_host_names) {  // RFC 2202 case 2
  EXPECT_EQ(
      hex_encode(
          hmac(Hash::sha1, as_bytes("Jefe"), as_bytes("what do ya want for nothing?")).value()),
      "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Hmac, takes_an_empty_key_and_empty_data) {
  EXPECT_EQ(hex_encode(hmac(Hash::sha256, {}, {}).value()),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(EqualConstantTime, b8_compares_length_and_content) {
  EXPECT_TRUE(equal_constant_time(as_bytes("same"), as_bytes("same")));
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("samf")));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("sam")));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), {}));
}

/// RFC 4253 section 7.2 written out: K1 = HASH(K || H || X || session_id), Kn = HASH(K || H || K1
/// .. Kn-1).
Bytes derive_by_the_letter(Hash hash, ByteView k, ByteView h, ByteView id, char letter,
                           std::size_t size) {
  Bytes out = digest(hash, {k, h, as_bytes(std::string_view(&letter, 1)), id}).value();
  while (out.size() < size) append(out, digest(hash, {k, h, out}).value());
  out.resize(size);
  return out;
}

TEST(DeriveKey, follows_the_rfc_for_every_letter_hash_and_size) {
  Bytes k;
  wire::Writer(k).mpint(repeat(0x91, 32));
  const Bytes id = repeat(0x22, 32);
  for (const Hash hash : {Hash::sha256, Hash::sha384, Hash::sha512})
    for (const char letter : {'A', 'B', 'C', 'D', 'E', 'F'})
      for (const std::size_t size : {1u, 12u, 16u, 32u, 33u, 64u, 200u}) {
        const Bytes h = repeat(0x11, hash_size(hash));
        const SecretBytes out = derive_key(hash, k, h, id, letter, size).value();
        EXPECT_EQ(to_bytes(out.view()), derive_by_the_letter(hash, k, h, id, letter, size));
      }
}

TEST(DeriveKey, gives_nothing_for_no_bytes_and_refuses_other_letters) {
  const Bytes k = repeat(1, 36), h = repeat(2, 32);
  EXPECT_TRUE(derive_key(Hash::sha256, k, h, h, 'B', 0).value().empty());
  for (const char letter : {'@', 'G', 'a', '\0'})
    EXPECT_TRUE(fails_with(derive_key(Hash::sha256, k, h, h, letter, 16), Errc::usage));
}

}  // namespace
}  // namespace streamkit::crypto
