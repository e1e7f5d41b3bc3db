// Every call into libcrypto fails once: the n-th call of a scenario is made to fail, for every n.
// Whatever fails, the scenario must end in an Error, and no packet may have been handed on.
#include "suites.hpp"
#include "support/faulty_libcrypto.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/kex_method.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/crypto/random.hpp>

#include <gtest/gtest.h>

#include <functional>

namespace streamkit::crypto {
namespace {

namespace libcrypto = testing::libcrypto;

/// Runs `scenario` untouched, then once for every call it made with that call failing. It gives
/// true when it reached its end without an Error.
void fail_each_call(const std::function<bool()>& scenario, int least_calls) {
  libcrypto::fail_call(0);
  ASSERT_TRUE(scenario());  // what is fetched once, is
  libcrypto::fail_call(0);
  ASSERT_TRUE(scenario());
  const int total = libcrypto::calls();
  EXPECT_GE(total, least_calls) << "the calls do not pass through this test";
  for (int n = 1; n <= total; ++n) {
    libcrypto::fail_call(n);
    const bool ended = scenario();
    libcrypto::fail_call(0);
    EXPECT_FALSE(ended) << "call " << n << " of " << total << " failed unseen";
  }
}

TEST(Fault, b7_no_packet_is_handed_on_when_a_call_fails) {
  constexpr std::string_view kSecret = "never to be seen, never to be seen";
  for (const test::Suite& suite : test::all_suites()) {
    SCOPED_TRACE(suite.name());
    fail_each_call(
        [&] {
          std::mt19937 generator(1);
          Bytes clear = test::clear_packet(generator, 76);
          std::copy_n(as_bytes(kSecret).begin(), kSecret.size(), clear.begin() + 20);
          auto sealer = make_sealer(*suite.cipher, suite.mac, test::keys_for(suite), suite.aes_gcm);
          auto opener = make_opener(*suite.cipher, suite.mac, test::keys_for(suite), suite.aes_gcm);
          if (!sealer || !opener) return false;
          Result<Bytes> packet = test::seal_whole(**sealer, 0, clear);
          if (!packet) return false;
          const Result<std::uint32_t> length = (*opener)->read_length(0, *packet);
          if (!length) return false;
          const Result<void> opened = (*opener)->open(0, *packet);
          const bool in_clear = as_text(*packet).find(kSecret) != std::string_view::npos;
          EXPECT_EQ(in_clear, opened.has_value());
          return opened.has_value();
        },
        suite.aes_gcm == AesGcm::ipsec_mb ? 0 : 8);  // its calls say nothing; see ipsec_mb_test.cpp
  }
}

TEST(Fault, b7_no_exchange_succeeds_when_a_call_fails) {
  for (const std::string_view name : kex_names()) {
    SCOPED_TRACE(name);
    fail_each_call(
        [&] {
          const auto client = make_kex_method(name).value(), server = make_kex_method(name).value();
          const Result<Bytes> blob = client->init();
          if (!blob) return false;
          const Result<KexMethod::Response> response = server->respond(*blob);
          if (!response) return false;
          return client->finish(response->blob).has_value();
        },
        12);
  }
}

TEST(Fault, b7_no_signature_is_made_or_believed_when_a_call_fails) {
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::rsa}) {
    SCOPED_TRACE(key_type_name(type));
    const PrivateKey key = PrivateKey::generate(type, 2048).value();
    const std::string_view algorithm = signature_algorithms(type).front();
    fail_each_call([&] { return key.sign(algorithm, as_bytes("data")).has_value(); }, 6);
    const Bytes signature = key.sign(algorithm, as_bytes("data")).value();
    fail_each_call(
        [&] { return key.public_key().verify(algorithm, as_bytes("data"), signature).has_value(); },
        3);
  }
}

TEST(Fault, b7_no_key_is_read_or_written_when_a_call_fails) {
  for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256, KeyType::rsa}) {
    SCOPED_TRACE(key_type_name(type));
    const PrivateKey key = PrivateKey::generate(type, 2048).value();
    fail_each_call([&] { return key.to_text().has_value(); }, 3);
    const std::string text = to_string(key.to_text().value().view());
    fail_each_call([&] { return PrivateKey::from_text(text).has_value(); }, 8);
    const Bytes blob = to_bytes(key.public_key().blob());
    fail_each_call([&] { return PublicKey::from_blob(blob).has_value(); }, 5);
    if (type != KeyType::rsa)
      fail_each_call([&] { return PrivateKey::generate(type).has_value(); }, 7);
  }
  const std::string pem =
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
      "-----END PRIVATE KEY-----\n";
  fail_each_call([&] { return PrivateKey::from_text(pem).has_value(); }, 8);
}

TEST(Fault, b7_no_hash_key_or_random_byte_comes_out_when_a_call_fails) {
  const ByteView data = as_bytes("data");
  fail_each_call([&] { return digest(Hash::sha256, {data}).has_value(); }, 4);
  fail_each_call([&] { return hmac(Hash::sha256, data, data).has_value(); }, 4);
  fail_each_call([&] { return derive_key(Hash::sha256, data, data, data, 'A', 16).has_value(); },
                 2);
  fail_each_call(
      [] {
        Bytes out(16);
        return system_random().fill(out).has_value();
      },
      1);
}

}  // namespace
}  // namespace streamkit::crypto
