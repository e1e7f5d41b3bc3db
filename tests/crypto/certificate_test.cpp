// Certificates: those of the real ssh-keygen, and those that it would not make.
#include "ssh_keygen.hpp"
#include "support/certificates.hpp"
#include "vectors.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/certificate.hpp>

#include <gtest/gtest.h>

namespace streamkit::crypto {
namespace {

using streamkit::testing::certificate_blob;
using streamkit::testing::CertificateFields;
using streamkit::testing::certify;
using test::fails_with;
using test::Folder;
using test::Ran;
using Words = std::vector<std::string>;

constexpr std::uint64_t kNow = 1'800'000'000;  // in 2027

class SshKeygenCertificate : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_ssh_keygen()) GTEST_SKIP() << "there is no /usr/bin/ssh-keygen";
  }
  void make_key(const std::string& name, const Words& type) {
    Words words = {"-q", "-N", "", "-C", name, "-f", folder_.file(name), "-t"};
    words.insert(words.end(), type.begin(), type.end());
    const Ran ran = test::ssh_keygen(folder_, words);
    ASSERT_EQ(ran.status, 0) << ran.output;
  }
  /// Signs the key in file "key" with that in file `ca`.
  Result<Certificate> sign(const Words& more, const std::string& ca = "ca") {
    Words words = {"-q", "-s", folder_.file(ca), "-I", "alice's laptop", "-z", "42"};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(folder_.file("key.pub"));
    const Ran ran = test::ssh_keygen(folder_, words);
    if (ran.status != 0) return Error(Errc::usage, "ssh-keygen: " + ran.output);
    return Certificate::from_text(folder_.read("key-cert.pub"));
  }
  Folder folder_;
};

TEST_F(SshKeygenCertificate, of_every_type_of_key_and_authority_is_read_whole) {
  const std::pair<std::string, Words> kinds[] = {{"ed25519", {"ed25519"}},
                                                 {"p256", {"ecdsa", "-b", "256"}},
                                                 {"p384", {"ecdsa", "-b", "384"}},
                                                 {"p521", {"ecdsa", "-b", "521"}},
                                                 {"rsa", {"rsa", "-b", "2048"}}};
  for (const auto& [name, type] : kinds) {
    SCOPED_TRACE(name);
    ASSERT_NO_FATAL_FAILURE(make_key(name, type));
    std::filesystem::copy_file(folder_.file(name + ".pub"), folder_.file("key.pub"),
                               std::filesystem::copy_options::overwrite_existing);
    const PublicKey key = PublicKey::from_text(folder_.read("key.pub")).value();
    const Result<Certificate> made = sign({"-n", "alice,bob", "-V", "20200101000000:20300101000000",
                                           "-O", "force-command=echo", "-O", "no-pty"},
                                          name);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_TRUE(made->fits(key));
    EXPECT_EQ(made->signature_key(), key);
    EXPECT_EQ(made->type(), CertificateType::user);
    EXPECT_EQ(made->serial(), 42u);
    EXPECT_EQ(made->key_id(), "alice's laptop");
    EXPECT_EQ(made->principals(), (std::vector<std::string>{"alice", "bob"}));
    EXPECT_EQ(made->valid_before() - made->valid_after(),
              315619200u);  // ten years, three of them leap years
    ASSERT_NE(made->critical_option("force-command"), nullptr);
    EXPECT_EQ(made->critical_option("force-command")->text(), "echo");
    EXPECT_TRUE(made->has_extension("permit-port-forwarding"));
    EXPECT_FALSE(made->has_extension("permit-pty"));
    EXPECT_EQ(Certificate::from_text(made->text()).value(), *made);
    EXPECT_EQ(plain_algorithm(made->text().substr(0, made->text().find(' '))),
              key_type_name(key.type()));
    EXPECT_TRUE(made->check(kNow, CertificateType::user, "bob"));
  }
}

/// `why` is a part of the sentence of the refusal; empty: it is taken.
struct Case {
  const char* name;
  Words arguments;
  std::string why;
};

TEST_F(SshKeygenCertificate, a20_is_taken_or_refused_for_alice_by_each_of_its_fields) {
  ASSERT_NO_FATAL_FAILURE(make_key("ca", {"ed25519"}));
  ASSERT_NO_FATAL_FAILURE(make_key("key", {"ed25519"}));
  const Case cases[] = {
      {"good", {"-n", "alice"}, ""},
      {"one of many principals", {"-n", "bob,alice,carol"}, ""},
      {"for ever", {"-n", "alice", "-V", "always:forever"}, ""},
      {"wrong type", {"-h", "-n", "alice"}, "is not a user's"},
      {"expired", {"-n", "alice", "-V", "20000101:20010101"}, "was valid until 200"},
      {"not yet valid", {"-n", "alice", "-V", "20900101:20910101"}, "is valid from 20"},
      {"no principals", {}, "names no principals"},
      {"another principal", {"-n", "bob"}, "is for bob and not for 'alice'"},
      {"a longer principal", {"-n", "alice2"}, "not for 'alice'"},
      {"a shorter principal", {"-n", "alic"}, "not for 'alice'"},
      {"another case", {"-n", "Alice"}, "not for 'alice'"},
      {"a pattern is no user", {"-n", "*"}, "not for 'alice'"},
      {"unknown critical option",
       {"-n", "alice", "-O", "critical:bogus@example.com=1"},
       "'bogus@example.com'"},
      {"verify-required", {"-n", "alice", "-O", "verify-required"}, "verify-required"},
      {"force-command", {"-n", "alice", "-O", "force-command=echo"}, ""},
      {"source-address", {"-n", "alice", "-O", "source-address=10.0.0.0/8"}, ""},
      {"unknown extension", {"-n", "alice", "-O", "extension:bogus@example.com=1"}, ""},
      {"no extensions", {"-n", "alice", "-O", "clear"}, ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Result<Certificate> made = sign(c.arguments);
    ASSERT_TRUE(made) << made.error().message();
    const Result<void> checked = made->check(kNow, CertificateType::user, "alice");
    EXPECT_EQ(checked.has_value(), c.why.empty()) << (checked ? "" : checked.error().message());
    if (checked) continue;
    EXPECT_TRUE(checked.error().is(Errc::auth_denied));
    const std::string words = checked.error().message();
    EXPECT_TRUE(words.starts_with(made->description())) << words;
    EXPECT_NE(words.find(c.why), std::string::npos) << words;
  }
}

TEST_F(SshKeygenCertificate, a20_with_a_sha1_signature_is_refused_and_with_sha2_taken) {
  ASSERT_NO_FATAL_FAILURE(make_key("rsa", {"rsa", "-b", "2048"}));
  ASSERT_NO_FATAL_FAILURE(make_key("key", {"ed25519"}));
  for (const std::string algorithm : {"rsa-sha2-256", "rsa-sha2-512"})
    EXPECT_TRUE(sign({"-t", algorithm, "-n", "alice"}, "rsa")) << algorithm;
  const Result<Certificate> old = sign({"-t", "ssh-rsa", "-n", "alice"}, "rsa");
  EXPECT_TRUE(fails_with(old, Errc::bad_key));
  EXPECT_NE(old.error().message().find("no SHA-1"), std::string::npos) << old.error().message();
}

TEST_F(SshKeygenCertificate, a20_with_any_bit_changed_or_any_length_is_refused) {
  ASSERT_NO_FATAL_FAILURE(make_key("ca", {"ed25519"}));
  ASSERT_NO_FATAL_FAILURE(make_key("key", {"ed25519"}));
  const Result<Certificate> made = sign({"-n", "alice"});
  ASSERT_TRUE(made);
  const Bytes good = to_bytes(made->blob());
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes flipped = good;
    flipped[i] ^= std::byte(1u << (i % 8));
    EXPECT_FALSE(Certificate::from_blob(flipped)) << i;
    EXPECT_FALSE(Certificate::from_blob(ByteView(good).first(i))) << i;
  }
  Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(Certificate::from_blob(longer));
  EXPECT_TRUE(Certificate::from_blob(good));
}

TEST_F(SshKeygenCertificate, that_we_make_is_one_that_it_reads) {
  const PrivateKey key = PrivateKey::generate().value(), ca = PrivateKey::generate().value();
  folder_.write("ours-cert.pub",
                certify(key.public_key(), ca, {.extensions = {{"permit-pty", ""}}}).text() + "\n");
  const Ran ran = test::ssh_keygen(folder_, {"-L", "-f", folder_.file("ours-cert.pub")});
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_NE(ran.output.find("\"made by the test\""), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find(ca.public_key().fingerprint()), std::string::npos) << ran.output;
}

class MadeCertificate : public ::testing::Test {
 protected:
  Result<Certificate> parse(const CertificateFields& fields) {
    return Certificate::from_blob(certificate_blob(key_.public_key(), ca_, fields));
  }
  std::string refusal(const CertificateFields& fields) {
    const Result<Certificate> parsed = parse(fields);
    EXPECT_FALSE(parsed);
    return parsed ? "" : parsed.error().message();
  }
  const PrivateKey key_ = PrivateKey::generate().value(), ca_ = PrivateKey::generate().value();
};

TEST_F(MadeCertificate, a20_signed_with_a_certificate_is_refused_whatever_that_one_says) {
  EXPECT_NE(refusal({.authority = certificate_blob(ca_.public_key(), ca_)}).find("a plain key"),
            std::string::npos);
  Bytes only_the_name;
  wire::Writer(only_the_name).string(certificate_algorithm("ssh-ed25519"));
  EXPECT_NE(refusal({.authority = only_the_name}).find("a plain key"), std::string::npos);
}

TEST_F(MadeCertificate, a20_signed_by_another_key_than_it_says_is_refused) {
  const PrivateKey other = PrivateKey::generate().value();
  EXPECT_NE(refusal({.authority = to_bytes(other.public_key().blob())}).find("does not verify"),
            std::string::npos);
  const PrivateKey p256 = PrivateKey::generate(KeyType::ecdsa_p256).value();
  EXPECT_NE(refusal({.authority = to_bytes(p256.public_key().blob())}).find("may not use"),
            std::string::npos);
}

TEST_F(MadeCertificate, a20_is_neither_for_a_user_nor_for_a_host) {
  for (const std::uint32_t type : {0u, 3u, 0xffffffffu})
    EXPECT_NE(refusal({.type = type}).find("neither"), std::string::npos);
}

TEST_F(MadeCertificate, a20_keeps_to_the_limits_of_principals_options_and_size) {
  std::vector<std::string> principals(kMaxCertificatePrincipals, "alice");
  EXPECT_TRUE(parse({.principals = principals}));
  principals.emplace_back("alice");
  EXPECT_NE(refusal({.principals = principals}).find("256 principals"), std::string::npos);
  std::vector<std::pair<std::string, std::string>> options;
  for (std::size_t i = 0; i < kMaxCertificateOptions; ++i)
    options.emplace_back(std::to_string(1000 + i), "");
  EXPECT_TRUE(parse({.extensions = options}));
  options.emplace_back("2000", "");
  EXPECT_NE(refusal({.extensions = options}).find("256 options"), std::string::npos);
  EXPECT_NE(refusal({.critical_options = options}).find("256 options"), std::string::npos);
  const std::size_t rest = certificate_blob(key_.public_key(), ca_, {.key_id = ""}).size();
  EXPECT_TRUE(parse({.key_id = std::string(kMaxCertificateSize - rest, 'x')}));
  EXPECT_NE(refusal({.key_id = std::string(kMaxCertificateSize - rest + 1, 'x')}).find("64 KiB"),
            std::string::npos);
}

TEST_F(MadeCertificate, a20_has_its_options_in_order_and_each_once) {
  EXPECT_TRUE(parse({.extensions = {{"a", ""}, {"b", "x"}}}));
  EXPECT_FALSE(parse({.extensions = {{"b", ""}, {"a", ""}}}));
  EXPECT_FALSE(parse({.critical_options = {{"force-command", "a"}, {"force-command", "b"}}}));
  EXPECT_FALSE(parse({.extensions = {{"", ""}}}));
  EXPECT_FALSE(parse({.extensions = {{std::string("a\0b", 3), ""}}}));
  EXPECT_FALSE(parse({.key_id = std::string("a\0b", 3)}));
  EXPECT_FALSE(parse({.principals = {std::string("alice\0", 6)}}));
}

TEST_F(MadeCertificate, a20_is_valid_from_its_first_second_to_the_one_before_its_last) {
  const Certificate made = parse({.valid_after = 1000, .valid_before = 2000}).value();
  const auto valid = [&](std::uint64_t now) {
    return made.check(now, CertificateType::user, "alice").has_value();
  };
  EXPECT_FALSE(valid(999));
  EXPECT_TRUE(valid(1000));
  EXPECT_TRUE(valid(1999));
  EXPECT_FALSE(valid(2000));
  const Result<void> late = made.check(1'000'000'000, CertificateType::user, "alice");
  EXPECT_NE(late.error().message().find(
                "until 1970-01-01 00:33:20 UTC, and it is 2001-09-09 01:46:40 UTC"),
            std::string::npos)
      << late.error().message();
  const Certificate never = parse({.valid_after = ~std::uint64_t(0)}).value();
  EXPECT_FALSE(never.check(kNow, CertificateType::user, "alice"));
}

TEST_F(MadeCertificate, of_a_host_takes_patterns_and_no_critical_option) {
  const CertificateFields fields{.type = 2, .principals = {"*.example.org", "other"}};
  const Certificate made = parse(fields).value();
  EXPECT_TRUE(made.check(kNow, CertificateType::host, "www.example.org"));
  EXPECT_TRUE(made.check(kNow, CertificateType::host, "other"));
  EXPECT_FALSE(made.check(kNow, CertificateType::host, "example.org"));
  EXPECT_FALSE(made.check(kNow, CertificateType::user, "other"));
  CertificateFields forced = fields;
  forced.critical_options = {{"force-command", "x"}};
  EXPECT_FALSE(parse(forced).value().check(kNow, CertificateType::host, "other"));
}

TEST_F(MadeCertificate, a20_has_a_known_critical_option_without_the_text_it_needs) {
  EXPECT_FALSE(parse({.critical_options = {{"force-command", ""}}})
                   .value()
                   .check(kNow, CertificateType::user, "alice"));
}

TEST_F(MadeCertificate, shows_many_principals_in_part) {
  const std::vector<std::string> names(200, "\xc3\xa4\xc3\xb6\xc3\xbc");
  const Certificate made = parse({.principals = names}).value();
  const std::string words = made.check(kNow, CertificateType::user, "alice").error().message();
  EXPECT_LT(words.size(), 600u);
  EXPECT_NE(words.find("..."), std::string::npos);
  EXPECT_EQ(escape(words), words);
}

TEST_F(MadeCertificate, shows_nothing_of_what_others_wrote_unescaped) {
  const Certificate made = parse({.key_id = "\x1b[31mred", .principals = {"\x07"}}).value();
  const std::string words = made.check(kNow, CertificateType::user, "a\nb").error().message();
  EXPECT_EQ(escape(words), words);
}

TEST(CertificateText, is_one_line_whose_type_is_the_certificate_s) {
  const PrivateKey key = PrivateKey::generate().value();
  const Certificate made = certify(key.public_key(), key);
  EXPECT_TRUE(Certificate::from_text(made.text() + " a comment\n"));
  const std::string base64 = made.text().substr(made.text().find(' ') + 1);
  EXPECT_TRUE(fails_with(Certificate::from_text("ssh-ed25519 " + base64), Errc::bad_key));
  EXPECT_TRUE(fails_with(Certificate::from_text(key.public_key().text()), Errc::bad_key));
  EXPECT_TRUE(fails_with(PublicKey::from_text(made.text()), Errc::bad_key));
  EXPECT_TRUE(fails_with(PublicKey::from_blob(made.blob()), Errc::bad_key));
  EXPECT_TRUE(fails_with(Certificate::from_text(std::string(200'000, 'A')), Errc::bad_key));
}

TEST(CertificateAlgorithm, names_go_both_ways) {
  ASSERT_EQ(certificate_algorithms().size(), signature_algorithms().size());
  for (std::size_t i = 0; i < signature_algorithms().size(); ++i) {
    const std::string_view plain = signature_algorithms()[i], name = certificate_algorithms()[i];
    EXPECT_EQ(certificate_algorithm(plain), name);
    EXPECT_EQ(plain_algorithm(name), plain);
    EXPECT_TRUE(is_certificate_algorithm(name));
    EXPECT_FALSE(is_certificate_algorithm(plain));
    EXPECT_EQ(plain_algorithm(plain), plain);
  }
  EXPECT_EQ(certificate_algorithms()[4], "rsa-sha2-512-cert-v01@openssh.com");
}

}  // namespace
}  // namespace streamkit::crypto
