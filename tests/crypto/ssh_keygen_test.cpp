// The real ssh-keygen as the other half: its keys in every format, its fingerprints, its
// signatures.
#include "ssh_keygen.hpp"

#include "key_decrypt.hpp"
#include "vectors.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>
#include <streamkit/crypto/key.hpp>

#include <gtest/gtest.h>

#include <span>

// libssh 0.10 forgets a few bytes when it refuses some damaged files. Only AddressSanitizer asks.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libssh.so";
}

namespace streamkit::crypto {
namespace {

using test::fails_with;
using test::Folder;
using test::Ran;

struct Kind {
  std::string type, bits;
  KeyType key_type;
};
const Kind kKinds[] = {{"ed25519", "256", KeyType::ed25519},  {"ecdsa", "256", KeyType::ecdsa_p256},
                       {"ecdsa", "384", KeyType::ecdsa_p384}, {"ecdsa", "521", KeyType::ecdsa_p521},
                       {"rsa", "2048", KeyType::rsa},         {"rsa", "4096", KeyType::rsa}};
// 4096 bits take seconds to make; these do where the size changes nothing.
const std::span<const Kind> kQuickKinds = std::span(kKinds).first<5>();

class SshKeygen : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_ssh_keygen()) GTEST_SKIP() << "there is no /usr/bin/ssh-keygen";
  }

  /// A new key in file "key".
  void make(const Kind& kind, const std::string& format, const std::string& passphrase = {}) {
    std::filesystem::remove(folder_.file("key"));
    std::vector<std::string> arguments = {
        "-q",       "-t", kind.type,          "-b", kind.bits,          "-N",
        passphrase, "-C", "made by the test", "-f", folder_.file("key")};
    if (!format.empty()) arguments.insert(arguments.end(), {"-m", format});
    const Ran ran = test::ssh_keygen(folder_, arguments);
    ASSERT_EQ(ran.status, 0) << ran.output;
  }

  Folder folder_;
};

std::string first_words(const std::string& line, int words) {
  std::size_t at = 0;
  while (words-- > 0 && at != std::string::npos) at = line.find(' ', at + 1);
  return line.substr(0, at == std::string::npos ? line.find('\n') : at);
}

TEST_F(SshKeygen, keys_of_every_type_and_format_load_sign_and_verify) {
  for (const Kind& kind : kKinds) {
    make(kind, "");
    for (const std::string format : {"", "PEM", "PKCS8"}) {
      SCOPED_TRACE(kind.type + kind.bits + " " + format);
      if (!format.empty()) {
        if (kind.type == "ed25519") continue;  // ssh-keygen writes those in its own form only
        const Ran ran = test::ssh_keygen(
            folder_, {"-q", "-p", "-P", "", "-N", "", "-m", format, "-f", folder_.file("key")});
        ASSERT_EQ(ran.status, 0) << ran.output;
      }
      const std::string text = folder_.read("key");
      EXPECT_EQ(text.find("OPENSSH") != std::string::npos, format.empty());
      const Result<PrivateKey> loaded = PrivateKey::from_text(text);
      ASSERT_TRUE(loaded) << loaded.error().message();
      const PublicKey key = PublicKey::from_text(folder_.read("key.pub")).value();
      EXPECT_EQ(loaded->public_key(), key);
      EXPECT_EQ(key.type(), kind.key_type);
      EXPECT_EQ(key.text(), first_words(folder_.read("key.pub"), 2));
      for (const std::string_view algorithm : signature_algorithms(kind.key_type)) {
        const Bytes signature = loaded->sign(algorithm, as_bytes("data")).value();
        EXPECT_TRUE(key.verify(algorithm, as_bytes("data"), signature));
      }
    }
  }
}

TEST_F(SshKeygen, fingerprints_are_the_same) {
  for (const Kind& kind : kQuickKinds) {
    make(kind, "");
    const Ran ran =
        test::ssh_keygen(folder_, {"-l", "-E", "sha256", "-f", folder_.file("key.pub")});
    const PublicKey key = PublicKey::from_text(folder_.read("key.pub")).value();
    EXPECT_EQ(first_words(ran.output, 2), kind.bits + " " + key.fingerprint());
  }
}

TEST_F(SshKeygen, reads_the_private_keys_that_we_write) {
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.type + kind.bits);
    const PrivateKey key =
        PrivateKey::generate(kind.key_type, static_cast<unsigned>(std::stoul(kind.bits))).value();
    const SecretBytes text = key.to_text("written by us").value();
    const std::string file = folder_.write("ours", as_text(text.view()));
    const Ran ran = test::ssh_keygen(folder_, {"-y", "-P", "", "-f", file});
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_EQ(first_words(ran.output, 2), key.public_key().text());
    EXPECT_NE(ran.output.find("written by us"), std::string::npos);
  }
}

TEST_F(SshKeygen, what_it_rewrites_of_ours_is_still_our_key) {
  for (const Kind& kind : kQuickKinds) {
    const PrivateKey key = PrivateKey::generate(kind.key_type, 2048).value();
    const std::string file = folder_.write("ours", as_text(key.to_text().value().view()));
    const Ran ran = test::ssh_keygen(folder_, {"-q", "-p", "-P", "", "-N", "", "-f", file});
    ASSERT_EQ(ran.status, 0) << ran.output;
    EXPECT_EQ(PrivateKey::from_text(folder_.read("ours")).value().public_key(), key.public_key());
  }
}

PrivateKey::Passphrase answer(std::string_view words, int& asked) {
  return [words, &asked]() -> Result<SecretBytes> {
    ++asked;
    return SecretBytes(as_bytes(words));
  };
}

TEST_F(SshKeygen, encrypted_pem_and_pkcs8_open_with_their_passphrase_only) {
  for (const std::string format : {"PEM", "PKCS8"})
    for (const Kind& kind : {kKinds[1], kKinds[4]}) {
      SCOPED_TRACE(format + " " + kind.type);
      make(kind, format, "open sesame");
      const std::string text = folder_.read("key");
      EXPECT_TRUE(fails_with(PrivateKey::from_text(text), Errc::key_encrypted));
      int asked = 0;
      const Result<PrivateKey> key = PrivateKey::from_text(text, answer("open sesame", asked));
      ASSERT_TRUE(key) << key.error().message();
      EXPECT_EQ(asked, 1);
      EXPECT_EQ(key->public_key(), PublicKey::from_text(folder_.read("key.pub")).value());
      for (const std::string& wrong :
           {std::string("open"), std::string(), std::string(5000, 'x')}) {
        asked = 0;
        EXPECT_TRUE(fails_with(PrivateKey::from_text(text, answer(wrong, asked)), Errc::bad_key));
        EXPECT_EQ(asked, 1);
      }
      const auto gives_up = []() -> Result<SecretBytes> { return Errc::cancelled; };
      EXPECT_TRUE(fails_with(PrivateKey::from_text(text, gives_up), Errc::cancelled));
    }
}

/// Writes file "key" anew, encrypted as ssh-keygen's options say.
void encrypt(const Folder& folder, const std::string& cipher, const std::string& rounds) {
  const Ran ran = test::ssh_keygen(folder, {"-q", "-p", "-P", "", "-N", "open sesame", "-Z", cipher,
                                            "-a", rounds, "-f", folder.file("key")});
  ASSERT_EQ(ran.status, 0) << ran.output;
}

/// The error of a file that is refused without a question.
Error refused_unasked(const std::string& text) {
  int asked = 0;
  const Result<PrivateKey> key = PrivateKey::from_text(text, answer("open sesame", asked));
  EXPECT_TRUE(fails_with(key, Errc::bad_key));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(fails_with(PrivateKey::from_text(text), Errc::key_encrypted));
  return key ? Error(Errc::usage) : key.error();
}

TEST_F(SshKeygen, its_own_encrypted_form_opens_with_its_passphrase_only) {
  if (!can_decrypt_openssh_keys()) GTEST_SKIP() << "needs libssh-dev when it is built";
  for (const Kind& kind : std::span(kKinds).first<4>())
    for (const std::string cipher :
         {"aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-cbc", "aes192-cbc", "aes256-cbc"}) {
      SCOPED_TRACE(kind.type + kind.bits + " " + cipher);
      make(kind, "");
      encrypt(folder_, cipher, "16");
      const std::string text = folder_.read("key");
      EXPECT_TRUE(fails_with(PrivateKey::from_text(text), Errc::key_encrypted));
      int asked = 0;
      const Result<PrivateKey> key = PrivateKey::from_text(text, answer("open sesame", asked));
      ASSERT_TRUE(key) << key.error().message();
      EXPECT_EQ(asked, 1);
      EXPECT_EQ(key->public_key(), PublicKey::from_text(folder_.read("key.pub")).value());
      EXPECT_TRUE(key->sign(signature_algorithms(kind.key_type).front(), as_bytes("data")));
      if (cipher != "aes256-ctr") continue;
      for (const std::string& wrong : {std::string("open"), std::string(), std::string(5000, 'x'),
                                       std::string("open sesame\0", 12)}) {
        asked = 0;
        EXPECT_TRUE(fails_with(PrivateKey::from_text(text, answer(wrong, asked)), Errc::bad_key));
        EXPECT_EQ(asked, 1);
      }
      const auto gives_up = []() -> Result<SecretBytes> { return Errc::cancelled; };
      EXPECT_TRUE(fails_with(PrivateKey::from_text(text, gives_up), Errc::cancelled));
    }
}

TEST_F(SshKeygen, its_encrypted_form_is_refused_where_libssh_must_not_have_it) {
  const auto words = [&](const Kind& kind, const std::string& cipher, const std::string& rounds) {
    make(kind, "");
    encrypt(folder_, cipher, rounds);
    return refused_unasked(folder_.read("key")).message();
  };
  std::vector<std::string> all;
  for (const std::string cipher : {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
                                   "chacha20-poly1305@openssh.com", "3des-cbc"})
    all.push_back(words(kKinds[0], cipher, "16"));
  all.push_back(words(kKinds[4], "aes256-ctr", "16"));  // RSA
  if (!can_decrypt_openssh_keys()) {
    all.push_back(words(kKinds[0], "aes256-ctr", "16"));
    EXPECT_NE(all.back().find("this build is without libssh"), std::string::npos) << all.back();
  }
  for (const std::string& one : all) {
    EXPECT_NE(one.find("ssh-add"), std::string::npos) << one;
    EXPECT_NE(one.find("ssh-keygen -p"), std::string::npos) << one;
  }
}

TEST_F(SshKeygen, more_than_2048_rounds_are_refused_before_they_are_made) {
  if (!can_decrypt_openssh_keys()) GTEST_SKIP() << "needs libssh-dev when it is built";
  make(kKinds[0], "");
  encrypt(folder_, "aes256-ctr", "2049");
  EXPECT_NE(refused_unasked(folder_.read("key")).message().find("2048 rounds"), std::string::npos);
}

TEST_F(SshKeygen, a_spoiled_encrypted_file_gives_no_key_and_no_crash) {
  if (!can_decrypt_openssh_keys()) GTEST_SKIP() << "needs libssh-dev when it is built";
  make(kKinds[0], "");
  encrypt(folder_, "aes256-ctr", "1");
  const std::string text = folder_.read("key");
  std::string body = text.substr(text.find('\n') + 1);
  body.erase(body.find("-----END"));
  std::erase(body, '\n');
  const Bytes file = base64_decode(body).value();
  int asked = 0;
  for (std::size_t at = 0; at < file.size(); at += 3) {
    Bytes spoiled = file;
    spoiled[at] ^= std::byte{0x41};
    const Result<PrivateKey> key =
        PrivateKey::from_text("-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64_encode(spoiled) +
                                  "\n-----END OPENSSH PRIVATE KEY-----\n",
                              answer("open sesame", asked));
    // A byte of the comment may be another one: the key must not.
    if (key) EXPECT_EQ(key->public_key(), PublicKey::from_text(folder_.read("key.pub")).value());
  }
  EXPECT_GT(asked, 10);
}

TEST_F(SshKeygen, an_unencrypted_key_never_asks) {
  make(kKinds[1], "PKCS8");
  int asked = 0;
  EXPECT_TRUE(PrivateKey::from_text(folder_.read("key"), answer("x", asked)));
  EXPECT_EQ(asked, 0);
}

TEST_F(SshKeygen, rsa_keys_that_are_too_small_are_refused) {
  make({"rsa", "1024", KeyType::rsa}, "PEM");
  const Result<PrivateKey> key = PrivateKey::from_text(folder_.read("key"));
  ASSERT_FALSE(key);
  EXPECT_TRUE(fails_with(key, Errc::bad_key));
  EXPECT_FALSE(PublicKey::from_text(folder_.read("key.pub")));
}

/// What ssh-keygen -Y signs (PROTOCOL.sshsig): a preamble and the hash of the message.
Bytes sshsig_message(std::string_view message) {
  Bytes out = to_bytes("SSHSIG");
  wire::Writer(out).string("test").string("").string("sha512").string(
      ByteView(digest(Hash::sha512, {as_bytes(message)}).value()));
  return out;
}

TEST_F(SshKeygen, signatures_that_it_makes_verify_with_us) {
  for (const Kind& kind : kQuickKinds) {
    SCOPED_TRACE(kind.type + kind.bits);
    make(kind, "");
    std::filesystem::remove(folder_.file("message.sig"));
    const std::string message = folder_.write("message", "to be signed");
    const Ran ran = test::ssh_keygen(
        folder_, {"-Y", "sign", "-q", "-n", "test", "-f", folder_.file("key"), message});
    ASSERT_EQ(ran.status, 0) << ran.output;
    std::string text = folder_.read("message.sig");
    text = text.substr(text.find('\n') + 1);
    text.erase(text.find("-----END"));
    std::erase(text, '\n');
    const Bytes blob = base64_decode(text).value();
    wire::Reader in(ByteView(blob).subspan(6));
    EXPECT_EQ(in.u32(), 1u);
    const PublicKey key = PublicKey::from_blob(in.string()).value();
    in.string(), in.string(), in.string();
    const ByteView signature = in.string();
    ASSERT_TRUE(in.end());
    const std::string_view algorithm = signature_algorithms(kind.key_type).front();
    EXPECT_TRUE(key.verify(algorithm, sshsig_message("to be signed"), signature));
    EXPECT_FALSE(key.verify(algorithm, sshsig_message("to be forged"), signature));
  }
}

TEST_F(SshKeygen, verifies_the_signatures_that_we_make) {
  for (const Kind& kind : kQuickKinds)
    for (const std::string_view algorithm : signature_algorithms(kind.key_type)) {
      SCOPED_TRACE(std::string(algorithm) + " " + kind.bits);
      const PrivateKey key =
          PrivateKey::generate(kind.key_type, static_cast<unsigned>(std::stoul(kind.bits))).value();
      const Bytes signature = key.sign(algorithm, sshsig_message("to be signed")).value();
      Bytes blob = to_bytes("SSHSIG");
      wire::Writer(blob)
          .u32(1)
          .string(key.public_key().blob())
          .string("test")
          .string("")
          .string("sha512")
          .string(ByteView(signature));
      const std::string file =
          folder_.write("sig", "-----BEGIN SSH SIGNATURE-----\n" + base64_encode(blob) +
                                   "\n-----END SSH SIGNATURE-----\n");
      const std::string message = folder_.write("message", "to be signed");
      const Ran good =
          test::ssh_keygen(folder_, {"-Y", "check-novalidate", "-n", "test", "-s", file}, message);
      EXPECT_EQ(good.status, 0) << good.output;
      const std::string forged = folder_.write("message", "to be forged");
      const Ran bad =
          test::ssh_keygen(folder_, {"-Y", "check-novalidate", "-n", "test", "-s", file}, forged);
      EXPECT_NE(bad.status, 0);
    }
}

}  // namespace
}  // namespace streamkit::crypto
