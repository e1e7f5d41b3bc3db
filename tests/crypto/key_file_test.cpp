// Private key text: our own form there and back, damaged and encrypted files, RFC 8032's
// signatures.
#include "key_file.hpp"

#include "key_decrypt.hpp"
#include "vectors.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/key.hpp>

#include <gtest/gtest.h>

namespace streamkit::crypto {
namespace {

using test::fails_with;
using test::hex;

std::string text_of(const PrivateKey& key, std::string_view comment = {}) {
  return to_string(key.to_text(comment).value().view());
}

/// The two marker lines around base64 without line breaks, which is as good.
std::string armoured(ByteView file) {
  return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64_encode(file) +
         "\n-----END OPENSSH PRIVATE KEY-----\n";
}

/// The parts of an openssh-key-v1 file, each open to being spoiled.
struct FileParts {
  std::string magic = std::string("openssh-key-v1\0", 15), cipher = "none", kdf = "none", options;
  std::uint32_t keys = 1;
  Bytes public_blob, section;
  std::string trailer;

  std::string text() const {
    Bytes out;
    wire::Writer(out)
        .bytes(as_bytes(magic))
        .string(cipher)
        .string(kdf)
        .string(options)
        .u32(keys)
        .string(ByteView(public_blob))
        .string(ByteView(section))
        .bytes(as_bytes(trailer));
    return armoured(out);
  }
};

void pad(Bytes& section) {
  for (unsigned i = 1; section.size() % 8 != 0; ++i) section.push_back(std::byte(i));
}

FileParts ed25519_file(ByteView seed, ByteView point) {
  FileParts file;
  wire::Writer(file.public_blob).string("ssh-ed25519").string(point);
  Bytes secret = to_bytes(seed);
  append(secret, point);
  wire::Writer(file.section)
      .u32(5)
      .u32(5)
      .string("ssh-ed25519")
      .string(point)
      .string(ByteView(secret))
      .string("comment");
  pad(file.section);
  return file;
}

struct Ed25519Vector {
  std::string_view seed, point, message, signature;
};
constexpr Ed25519Vector kRfc8032[] = {
    // section 7.1, tests 1 to 3
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46bd2"
     "5bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c38"
     "7b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6594a"
     "7c15e9716ed28dc027beceea1ec40a"},
};

TEST(KeyFile, signs_as_rfc_8032_does_from_both_kinds_of_file) {
  for (const Ed25519Vector& v : kRfc8032) {
    const std::string openssh = ed25519_file(hex(v.seed), hex(v.point)).text();
    const std::string pkcs8 =
        "-----BEGIN PRIVATE KEY-----\n" +
        base64_encode(hex("302e020100300506032b657004220420" + std::string(v.seed))) +
        "\n-----END PRIVATE KEY-----\n";
    for (const std::string& text : {openssh, pkcs8}) {
      const PrivateKey key = PrivateKey::from_text(text).value();
      const Bytes signature = key.sign("ssh-ed25519", hex(v.message)).value();
      EXPECT_EQ(hex_encode(ByteView(signature).last(64)), v.signature);
    }
  }
}

TEST(KeyFile, our_text_comes_back_as_the_same_key) {
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::ecdsa_p384,
                             KeyType::ecdsa_p521, KeyType::rsa}) {
    SCOPED_TRACE(key_type_name(type));
    for (int i = 0; i < (type == KeyType::rsa ? 1 : 10); ++i) {
      const PrivateKey key = PrivateKey::generate(type, 2048).value();
      const PrivateKey again = PrivateKey::from_text(text_of(key, "a comment")).value();
      EXPECT_EQ(again.public_key(), key.public_key());
      const std::string_view algorithm = signature_algorithms(type).front();
      const Bytes signature = again.sign(algorithm, as_bytes("data")).value();
      EXPECT_TRUE(key.public_key().verify(algorithm, as_bytes("data"), signature));
    }
  }
}

TEST(KeyFile, tolerates_carriage_returns_and_text_around_the_key) {
  const PrivateKey key = PrivateKey::generate().value();
  std::string text;
  for (const char c : text_of(key)) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(PrivateKey::from_text("a note\n" + text + "more\n").value().public_key(),
            key.public_key());
}

TEST(KeyFile, refuses_a_comment_over_its_limit) {
  const PrivateKey key = PrivateKey::generate().value();
  EXPECT_TRUE(key.to_text(std::string(kMaxComment, 'c')));
  EXPECT_TRUE(fails_with(key.to_text(std::string(kMaxComment + 1, 'c')), Errc::usage));
}

TEST(KeyFile, c21_refuses_text_over_64_kib) {
  std::string text = text_of(PrivateKey::generate().value());
  text.resize(kMaxKeyText, '\n');
  EXPECT_TRUE(PrivateKey::from_text(text));
  EXPECT_TRUE(fails_with(PrivateKey::from_text(text + '\n'), Errc::bad_key));
}

TEST(KeyFile, says_what_to_do_with_files_that_hold_no_key_for_us) {
  const auto message = [](std::string_view text) {
    return PrivateKey::from_text(text).error().message();
  };
  EXPECT_NE(message("ssh-ed25519 AAAA").find(".pub"), std::string::npos);
  EXPECT_NE(message("PuTTY-User-Key-File-3: ssh-ed25519\n").find("puttygen"), std::string::npos);
  EXPECT_TRUE(fails_with(PrivateKey::from_text(""), Errc::bad_key));
  EXPECT_TRUE(
      fails_with(PrivateKey::from_text("-----BEGIN PRIVATE KEY-----\nAAAA"), Errc::bad_key));
  EXPECT_TRUE(
      fails_with(PrivateKey::from_text(
                     "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n"),
                 Errc::bad_key));
  EXPECT_TRUE(fails_with(
      PrivateKey::from_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
      Errc::bad_key));
}

TEST(KeyFile, an_encrypted_openssh_file_names_the_remedy) {
  FileParts file = ed25519_file(hex(kRfc8032[0].seed), hex(kRfc8032[0].point));
  file.cipher = "aes256-ctr", file.kdf = "bcrypt", file.options = "salt";
  const Error without = PrivateKey::from_text(file.text()).error();
  EXPECT_TRUE(without.is(Errc::key_encrypted));
  EXPECT_NE(without.message().find("ssh-agent"), std::string::npos);
  EXPECT_NE(without.message().find("ssh-keygen -p"), std::string::npos);
  bool asked = false;
  const Error with = PrivateKey::from_text(file.text(), [&]() -> Result<SecretBytes> {
                       asked = true;
                       return SecretBytes(as_bytes("x"));
                     }).error();
  EXPECT_TRUE(with.is(Errc::bad_key));
  EXPECT_FALSE(asked);
}

TEST(KeyFile, takes_padding_to_sixteen_bytes_as_libssh_writes_it_and_no_more) {
  for (const std::size_t more : {0u, 8u, 16u}) {
    FileParts file = ed25519_file(hex(kRfc8032[0].seed), hex(kRfc8032[0].point));
    std::size_t last = std::to_integer<std::size_t>(file.section.back());
    ASSERT_LT(last, 8u);
    for (std::size_t i = 0; i < more; ++i) file.section.push_back(std::byte(++last));
    EXPECT_EQ(static_cast<bool>(PrivateKey::from_text(file.text())), last < 16) << last;
  }
}

TEST(KeyFile, nobody_is_asked_about_an_encrypted_file_that_libssh_must_not_have) {
  if (!can_decrypt_openssh_keys()) GTEST_SKIP() << "needs libssh-dev when it is built";
  const auto asks = [](const std::function<void(FileParts&)>& change, std::size_t salt = 16,
                       std::uint32_t rounds = 1) {
    FileParts file = ed25519_file(hex(kRfc8032[0].seed), hex(kRfc8032[0].point));
    file.cipher = "aes256-ctr", file.kdf = "bcrypt";
    file.section.resize((file.section.size() + 15) / 16 * 16);
    Bytes options;
    wire::Writer(options).string(std::string(salt, 's')).u32(rounds);
    file.options = to_string(options);
    if (change) change(file);
    bool asked = false;
    EXPECT_FALSE(PrivateKey::from_text(file.text(), [&]() -> Result<SecretBytes> {
      asked = true;
      return SecretBytes(as_bytes("x"));
    }));
    return asked;
  };
  EXPECT_TRUE(asks({}));
  EXPECT_TRUE(asks({}, 64));
  EXPECT_FALSE(asks({}, 65));
  EXPECT_FALSE(asks({}, 0));
  EXPECT_FALSE(asks({}, 16, 0));
  EXPECT_FALSE(asks({}, 16, 2049));
  EXPECT_FALSE(asks({}, 16, 0xffffffff));
  EXPECT_FALSE(asks([](FileParts& f) { f.options += "x"; }));
  EXPECT_FALSE(asks([](FileParts& f) { f.options.pop_back(); }));
  EXPECT_FALSE(asks([](FileParts& f) { f.kdf = "none"; }));
  EXPECT_FALSE(asks([](FileParts& f) { f.cipher = "none"; }));
  EXPECT_FALSE(asks([](FileParts& f) { f.cipher = "aes256-gcm@openssh.com"; }));
  EXPECT_FALSE(asks([](FileParts& f) { f.section.pop_back(); }));
  EXPECT_FALSE(asks([](FileParts& f) { f.section.clear(); }));
  EXPECT_FALSE(asks([](FileParts& f) { f.public_blob.pop_back(); }));
  EXPECT_FALSE(asks([](FileParts& f) { f.trailer = "x"; }));
  EXPECT_FALSE(asks([](FileParts& f) { f.keys = 2; }));
}

TEST(KeyFile, refuses_every_spoiled_part_of_an_openssh_file) {
  const Bytes seed = hex(kRfc8032[0].seed), point = hex(kRfc8032[0].point);
  const auto refused = [](const FileParts& file) {
    const Result<PrivateKey> key = PrivateKey::from_text(file.text());
    return fails_with(key, Errc::bad_key);
  };
  const FileParts good = ed25519_file(seed, point);
  ASSERT_TRUE(PrivateKey::from_text(good.text()));
  FileParts f = good;
  f.magic[0] = 'O';
  EXPECT_TRUE(refused(f));
  f = good, f.options = "x";
  EXPECT_TRUE(refused(f));
  for (const std::uint32_t keys : {0u, 2u, 0xffffffffu}) {
    f = good, f.keys = keys;
    EXPECT_TRUE(refused(f)) << keys;
  }
  f = good, f.trailer = "x";
  EXPECT_TRUE(refused(f));
  f = good, f.section[0] ^= std::byte{1};  // the check numbers differ
  EXPECT_TRUE(refused(f));
  f = good, f.section.back() ^= std::byte{1};  // padding
  EXPECT_TRUE(refused(f));
  f = good;
  for (int i = 0; i < 8; ++i) f.section.push_back(std::byte(i + 1));  // a block too many
  EXPECT_TRUE(refused(f));
  f = good, f.section.clear();
  EXPECT_TRUE(refused(f));
  for (std::size_t n = 1; n < good.section.size(); ++n) {
    f = good;
    f.section.resize(n);
    EXPECT_TRUE(refused(f)) << n;
  }
  // The seed of one key with the point of another, inside the section and outside.
  const Bytes other_point = hex(kRfc8032[1].point);
  EXPECT_TRUE(refused(ed25519_file(seed, other_point)));
  f = good, f.public_blob = ed25519_file(seed, other_point).public_blob;
  EXPECT_TRUE(refused(f));
}

TEST(KeyFile, no_changed_byte_crashes_or_gives_another_key) {
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256}) {
    const PrivateKey key = PrivateKey::generate(type).value();
    const std::string text = text_of(key);
    std::string digits = text.substr(text.find('\n') + 1);
    digits.erase(digits.find("-----END"));
    std::erase(digits, '\n');
    const Bytes file = base64_decode(digits).value();
    for (std::size_t i = 0; i < file.size(); ++i) {
      Bytes changed = file;
      changed[i] ^= std::byte{0x10};
      const Result<PrivateKey> read = PrivateKey::from_text(armoured(changed));
      if (read) {  // a byte that says nothing about the key
        EXPECT_EQ(read->public_key(), key.public_key()) << i;
      }
      EXPECT_FALSE(PrivateKey::from_text(armoured(ByteView(file).first(i))));
    }
  }
}

/// The fields of an RSA private section, as mpints.
struct RsaFields {
  Bytes n, e, d, iqmp, p, q;
  std::string text() const {
    FileParts file;
    wire::Writer(file.public_blob).string("ssh-rsa").mpint(e).mpint(n);
    wire::Writer(file.section)
        .u32(1)
        .u32(1)
        .string("ssh-rsa")
        .mpint(n)
        .mpint(e)
        .mpint(d)
        .mpint(iqmp)
        .mpint(p)
        .mpint(q)
        .string("");
    pad(file.section);
    return file.text();
  }
};

RsaFields rsa_fields() {
  const PrivateKey key = PrivateKey::generate(KeyType::rsa, 2048).value();
  std::string digits = text_of(key);
  digits = digits.substr(digits.find('\n') + 1);
  digits.erase(digits.find("-----END"));
  std::erase(digits, '\n');
  const Bytes file = base64_decode(digits).value();
  wire::Reader in(ByteView(file).subspan(15));
  in.string(), in.string(), in.string(), in.u32(), in.string();
  wire::Reader section(in.string());
  section.u32(), section.u32(), section.string();
  RsaFields f;
  for (Bytes* field : {&f.n, &f.e, &f.d, &f.iqmp, &f.p, &f.q}) *field = to_bytes(section.mpint());
  EXPECT_TRUE(section.ok());
  return f;
}

TEST(KeyFile, refuses_rsa_numbers_that_cannot_be_a_key) {
  const RsaFields good = rsa_fields();
  const auto refused = [](const RsaFields& f) {
    const Result<PrivateKey> key = PrivateKey::from_text(f.text());
    return fails_with(key, Errc::bad_key);
  };
  ASSERT_TRUE(PrivateKey::from_text(good.text()));
  for (Bytes RsaFields::* field : {&RsaFields::n, &RsaFields::e, &RsaFields::d, &RsaFields::iqmp,
                                   &RsaFields::p, &RsaFields::q}) {
    for (const std::string_view value : {"", "01", "02"}) {
      RsaFields f = good;
      f.*field = hex(value);
      if (field == &RsaFields::iqmp && !value.empty()) continue;  // shows at the first signature
      if (field == &RsaFields::d && !value.empty()) continue;
      EXPECT_TRUE(refused(f)) << value;
    }
    RsaFields f = good;
    f.*field = Bytes(4096, std::byte{0x7f});
    EXPECT_TRUE(refused(f));
  }
  RsaFields f = good;
  f.p = good.q;  // p q is not n
  EXPECT_TRUE(refused(f));
  f = good;
  f.p = good.n, f.q = hex("01");
  EXPECT_TRUE(refused(f));
  f = good;
  f.d = good.n;
  EXPECT_TRUE(refused(f));
}

TEST(KeyFile, b6_a_damaged_private_exponent_never_gives_a_signature_out) {
  RsaFields f = rsa_fields();
  f.d[f.d.size() / 2] ^= std::byte{1};
  const PrivateKey key = PrivateKey::from_text(f.text()).value();
  for (const std::string_view algorithm : signature_algorithms(KeyType::rsa)) {
    const Result<Bytes> signature = key.sign(algorithm, as_bytes("data"));
    ASSERT_FALSE(signature);
    EXPECT_TRUE(fails_with(signature, Errc::crypto));
  }
}

}  // namespace
}  // namespace streamkit::crypto
