// RevokedKeys against the real ssh-keygen -k, and what it refuses to read.
#include "support/certificates.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/peer/trust.hpp>

#include <gtest/gtest.h>

#include <crypto/ssh_keygen.hpp>
#include <peer/keys.hpp>

namespace streamkit {
namespace {

using crypto::Certificate;
using crypto::KeyType;
using crypto::test::Folder;
using test::key;
using test::text;
using testing::CertificateFields;
using testing::certify;

const crypto::PrivateKey& authority() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  return key;
}
Certificate certificate(std::uint64_t serial, const std::string& id = "id") {
  return certify(key(), authority(), {.serial = serial, .key_id = id});
}

class SshKeygenKrl : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!crypto::test::has_ssh_keygen()) GTEST_SKIP() << "there is no /usr/bin/ssh-keygen";
    folder_.write("ca.pub", authority().public_key().text() + "\n");
  }
  /// A KRL of this specification ("serial: 7", "key: ..."), for the authority.
  RevokedKeys krl(const std::string& specification) {
    folder_.write("spec", specification);
    const crypto::test::Ran ran = crypto::test::ssh_keygen(
        folder_,
        {"-k", "-f", folder_.file("krl"), "-s", folder_.file("ca.pub"), folder_.file("spec")});
    EXPECT_EQ(ran.status, 0) << ran.output;
    file_ = folder_.read("krl");
    Result<RevokedKeys> read = RevokedKeys::parse(file_);
    EXPECT_TRUE(read) << read.error().message();
    return std::move(read).value();
  }
  Folder folder_;
  std::string file_;
};

TEST_F(SshKeygenKrl, revokes_single_serials_ranges_and_bitmaps_of_them) {
  std::string spec = "serial: 7\nserial: 1000-2000\n";
  for (int serial = 10'000; serial < 30'000; serial += 2)
    spec += "serial: " + std::to_string(serial) + "\n";
  const RevokedKeys revoked = krl(spec);
  EXPECT_LT(file_.size(), 20'000u)
      << "they should be in a bitmap, longer than wire::Reader's mpint";
  for (const std::uint64_t serial : {7u, 1000u, 1500u, 2000u, 10'000u, 10'002u, 20'000u, 29'998u})
    EXPECT_TRUE(revoked.has(certificate(serial))) << serial;
  for (const std::uint64_t serial : {0u, 6u, 8u, 999u, 2001u, 9'999u, 10'001u, 29'999u, 30'000u})
    EXPECT_FALSE(revoked.has(certificate(serial))) << serial;
  EXPECT_FALSE(revoked.has(certificate(~std::uint64_t(0))));
  EXPECT_FALSE(revoked.has(key()));
  const Certificate of_another =
      certify(key(), crypto::PrivateKey::generate().value(), {.serial = 7});
  EXPECT_FALSE(revoked.has(of_another)) << "serials are an authority's own";
}

TEST_F(SshKeygenKrl, revokes_key_ids) {
  const RevokedKeys revoked = krl("id: lost laptop\n");
  EXPECT_TRUE(revoked.has(certificate(1, "lost laptop")));
  EXPECT_FALSE(revoked.has(certificate(1, "lost")));
  EXPECT_FALSE(revoked.has(certificate(1, "lost laptop ")));
}

TEST_F(SshKeygenKrl, revokes_keys_themselves_and_by_both_digests) {
  for (const std::string how : {"key: ", "sha1: ", "sha256: "}) {
    SCOPED_TRACE(how);
    const RevokedKeys revoked = krl(how + text(1) + "\n");
    EXPECT_TRUE(revoked.has(key(1)));
    EXPECT_FALSE(revoked.has(key(2)));
    EXPECT_TRUE(revoked.has(certify(key(1), authority())))
        << "a certificate does not help a revoked key";
    EXPECT_FALSE(revoked.has(certify(key(2), authority())));
    const RevokedKeys without_authority = krl(how + authority().public_key().text() + "\n");
    EXPECT_TRUE(without_authority.has(certify(key(2), authority())))
        << "nor does a revoked authority's word";
  }
}

TEST_F(SshKeygenKrl, c22_is_read_whole_or_not_at_all) {
  krl("serial: 7\nserial: 100-200\nid: x\nkey: " + text(1) + "\nsha1: " + text(2) +
      "\nsha256: " + text(3) + "\n");
  std::size_t read = 0;
  for (std::size_t size = 8; size < file_.size(); ++size)
    read += RevokedKeys::parse(std::string_view(file_).substr(0, size)).has_value();
  EXPECT_LE(read, 5u) << "only where a section ends";
  EXPECT_FALSE(RevokedKeys::parse(file_ + "x"));
  EXPECT_FALSE(RevokedKeys::parse(file_ + std::string("\x06\0\0\0\0", 5)))
      << "a section of an unknown kind";
  EXPECT_FALSE(RevokedKeys::parse(file_ + std::string("\x04\0\0\0\0\0\0\0\0", 9))) << "a signature";
  std::string other = file_;
  other[11] = 2;
  EXPECT_FALSE(RevokedKeys::parse(other)) << "another format";
}

/// A KRL with one section about certificates of any authority, with one part.
std::string list_with(std::uint8_t type, ByteView part) {
  Bytes section, out;
  wire::Writer(section).string("").string("").u8(type).string(part);
  wire::Writer(out)
      .bytes(as_bytes(std::string_view("SSHKRL\n\0", 8)))
      .u32(1)
      .u64(1)
      .u64(0)
      .u64(0)
      .string("")
      .string("");
  wire::Writer(out).u8(1).string(ByteView(section));
  return to_string(ByteView(out));
}
Bytes range(std::uint64_t first, std::uint64_t last) {
  Bytes out;
  wire::Writer(out).u64(first).u64(last);
  return out;
}
Bytes bitmap(std::uint64_t first, const Bytes& bits) {
  Bytes out;
  wire::Writer(out).u64(first).string(ByteView(bits));
  return out;
}

TEST(RevokedKeys, may_be_about_the_certificates_of_any_authority) {
  Bytes ids;
  wire::Writer(ids).string("lost").string("stolen");
  const RevokedKeys revoked = RevokedKeys::parse(list_with(0x23, ids)).value();
  for (const char* id : {"lost", "stolen"}) {
    EXPECT_TRUE(revoked.has(certificate(1, id)));
    EXPECT_TRUE(
        revoked.has(certify(key(), crypto::PrivateKey::generate().value(), {.key_id = id})));
  }
  EXPECT_FALSE(revoked.has(certificate(1, "found")));
}

TEST(RevokedKeys, c22_refuses_parts_that_make_no_sense) {
  constexpr std::uint64_t kMost = ~std::uint64_t(0);
  EXPECT_TRUE(RevokedKeys::parse(list_with(0x21, range(5, kMost))).value().has(certificate(kMost)));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x21, range(6, 5))));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x21, Bytes(15))));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x20, Bytes(9))));
  const RevokedKeys high =
      RevokedKeys::parse(list_with(0x22, bitmap(kMost - 7, {std::byte{0x41}}))).value();
  EXPECT_TRUE(high.has(certificate(kMost - 7)));
  EXPECT_TRUE(high.has(certificate(kMost - 1)));
  EXPECT_FALSE(high.has(certificate(kMost)));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x22, bitmap(kMost - 6, {std::byte{1}}))));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x22, bitmap(1, {std::byte{0x80}}))));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x22, bitmap(1, {}))));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x39, {})));
  EXPECT_FALSE(RevokedKeys::parse(list_with(0x24, {})));
}

TEST(RevokedKeys, reads_a_plain_list_of_keys_of_whatever_type) {
  Bytes token;
  wire::Writer(token).string("sk-ssh-ed25519@openssh.com").string("a key").string("ssh:");
  const std::string list = "# lost\n\n" + text(1) + " a comment\r\n" +
                           certify(key(2), authority()).text() + "\n" +
                           "sk-ssh-ed25519@openssh.com " + base64_encode(token) + "\n";
  const RevokedKeys revoked = RevokedKeys::parse(list).value();
  EXPECT_TRUE(revoked.has(key(1)));
  EXPECT_TRUE(revoked.has(key(2)));
  EXPECT_FALSE(revoked.has(key(3)));
  EXPECT_TRUE(revoked.has(certify(key(1), authority())));
  EXPECT_FALSE(revoked.has(certify(key(3), authority())));
  EXPECT_FALSE(RevokedKeys::parse("").value().has(key(1)));
}

TEST(RevokedKeys, c22_refuses_a_plain_list_with_one_line_that_it_cannot_read) {
  const std::string good = text(1), base64 = good.substr(good.find(' ') + 1);
  const std::string lines[] = {"x",
                               base64,
                               "ssh-rsa " + base64,
                               "ssh-ed25519 " + base64.substr(1),
                               "restrict " + good,
                               "ssh-ed25519",
                               "ssh-ed25519-cert-v01@openssh.com " + base64};
  for (const std::string& line : lines) {
    const Result<RevokedKeys> read = RevokedKeys::parse(text(2) + "\n" + line + "\n");
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().message(), "line 2 is no public key");
  }
}

}  // namespace
}  // namespace streamkit
