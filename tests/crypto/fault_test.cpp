// Every call into libcrypto fails once. The linker puts the functions below between the room and
// libcrypto (--wrap, see CMakeLists.txt); the n-th call of a scenario is made to fail, for every n.
// Whatever fails, the scenario must end in an Error, and no packet may have been handed on.
#include "suites.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/kex_method.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/crypto/random.hpp>

#include <gtest/gtest.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <cstdarg>
#include <functional>

namespace {

int calls = 0;      // since the scenario began
int fail_call = 0;  // this one fails; 0: none

bool is_to_fail() {
  return ++calls == fail_call;
}

}  // namespace

// NOLINTBEGIN: the names are the linker's
#define FAULTY(Type, failure, name, parameters, arguments)         \
  extern "C" Type __real_##name parameters;                        \
  extern "C" Type __wrap_##name parameters;                        \
  extern "C" Type __wrap_##name parameters {                       \
    return is_to_fail() ? Type(failure) : __real_##name arguments; \
  }
// clang-format off
using Byte = unsigned char;
using Size = std::size_t;
using Prop = const char*;
using MdCtx = EVP_MD_CTX*; using MacCtx = EVP_MAC_CTX*; using Ctx = EVP_CIPHER_CTX*;
using KeyCtx = EVP_PKEY_CTX*; using Key = EVP_PKEY*; using Builder = OSSL_PARAM_BLD*;
using Number = BIGNUM*; using Param = OSSL_PARAM*; using Sig = ECDSA_SIG*; using Stream = BIO*;
using NumberCtx = BN_CTX*; using KdfCtx = EVP_KDF_CTX*;

FAULTY(Ctx, nullptr, EVP_CIPHER_CTX_new, (), ())
FAULTY(int, 0, EVP_CIPHER_CTX_ctrl, (Ctx c, int t, int a, void* p), (c, t, a, p))
FAULTY(int, 0, EVP_EncryptInit_ex2, (Ctx c, const EVP_CIPHER* m, const Byte* k, const Byte* i, const OSSL_PARAM* p), (c, m, k, i, p))
FAULTY(int, 0, EVP_DecryptInit_ex2, (Ctx c, const EVP_CIPHER* m, const Byte* k, const Byte* i, const OSSL_PARAM* p), (c, m, k, i, p))
FAULTY(int, 0, EVP_EncryptUpdate, (Ctx c, Byte* o, int* n, const Byte* i, int s), (c, o, n, i, s))
FAULTY(int, 0, EVP_DecryptUpdate, (Ctx c, Byte* o, int* n, const Byte* i, int s), (c, o, n, i, s))
FAULTY(int, 0, EVP_EncryptFinal_ex, (Ctx c, Byte* o, int* n), (c, o, n))
FAULTY(int, 0, EVP_DecryptFinal_ex, (Ctx c, Byte* o, int* n), (c, o, n))
FAULTY(MacCtx, nullptr, EVP_MAC_CTX_new, (EVP_MAC* m), (m))
FAULTY(int, 0, EVP_MAC_init, (MacCtx c, const Byte* k, Size s, const OSSL_PARAM* p), (c, k, s, p))
FAULTY(int, 0, EVP_MAC_update, (MacCtx c, const Byte* d, Size s), (c, d, s))
FAULTY(int, 0, EVP_MAC_final, (MacCtx c, Byte* o, Size* n, Size s), (c, o, n, s))
FAULTY(MdCtx, nullptr, EVP_MD_CTX_new, (), ())
FAULTY(int, 0, EVP_DigestInit_ex2, (MdCtx c, const EVP_MD* m, const OSSL_PARAM* p), (c, m, p))
FAULTY(int, 0, EVP_DigestUpdate, (MdCtx c, const void* d, Size n), (c, d, n))
FAULTY(int, 0, EVP_DigestFinal_ex, (MdCtx c, Byte* o, unsigned* n), (c, o, n))
FAULTY(int, 0, EVP_DigestSignInit_ex, (MdCtx c, EVP_PKEY_CTX** x, Prop h, OSSL_LIB_CTX* l, Prop q, Key k, const OSSL_PARAM* p), (c, x, h, l, q, k, p))
FAULTY(int, 0, EVP_DigestVerifyInit_ex, (MdCtx c, EVP_PKEY_CTX** x, Prop h, OSSL_LIB_CTX* l, Prop q, Key k, const OSSL_PARAM* p), (c, x, h, l, q, k, p))
FAULTY(int, 0, EVP_DigestSign, (MdCtx c, Byte* s, Size* n, const Byte* d, Size m), (c, s, n, d, m))
FAULTY(int, 0, EVP_DigestVerify, (MdCtx c, const Byte* s, Size n, const Byte* d, Size m), (c, s, n, d, m))
FAULTY(KdfCtx, nullptr, EVP_KDF_CTX_new, (EVP_KDF* k), (k))
FAULTY(int, 0, EVP_KDF_derive, (KdfCtx c, Byte* o, Size n, const OSSL_PARAM* p), (c, o, n, p))
FAULTY(int, 0, RAND_bytes, (Byte* o, int n), (o, n))
FAULTY(KeyCtx, nullptr, EVP_PKEY_CTX_new_from_pkey, (OSSL_LIB_CTX* l, Key k, Prop q), (l, k, q))
FAULTY(KeyCtx, nullptr, EVP_PKEY_CTX_new_from_name, (OSSL_LIB_CTX* l, Prop n, Prop q), (l, n, q))
FAULTY(int, 0, EVP_PKEY_fromdata_init, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_fromdata, (KeyCtx c, EVP_PKEY** k, int s, Param p), (c, k, s, p))
FAULTY(int, 0, EVP_PKEY_check, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_public_check, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_derive_init, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_derive_set_peer, (KeyCtx c, Key k), (c, k))
FAULTY(int, 0, EVP_PKEY_derive, (KeyCtx c, Byte* o, Size* n), (c, o, n))
FAULTY(int, 0, EVP_PKEY_encapsulate_init, (KeyCtx c, const OSSL_PARAM* p), (c, p))
FAULTY(int, 0, EVP_PKEY_encapsulate, (KeyCtx c, Byte* w, Size* n, Byte* s, Size* m), (c, w, n, s, m))
FAULTY(int, 0, EVP_PKEY_decapsulate_init, (KeyCtx c, const OSSL_PARAM* p), (c, p))
FAULTY(int, 0, EVP_PKEY_decapsulate, (KeyCtx c, Byte* s, Size* n, const Byte* w, Size m), (c, s, n, w, m))
FAULTY(Key, nullptr, EVP_PKEY_new_raw_public_key_ex, (OSSL_LIB_CTX* l, Prop t, Prop q, const Byte* k, Size n), (l, t, q, k, n))
FAULTY(Key, nullptr, EVP_PKEY_new_raw_private_key_ex, (OSSL_LIB_CTX* l, Prop t, Prop q, const Byte* k, Size n), (l, t, q, k, n))
FAULTY(int, 0, EVP_PKEY_get_raw_public_key, (const EVP_PKEY* k, Byte* o, Size* n), (k, o, n))
FAULTY(int, 0, EVP_PKEY_get_raw_private_key, (const EVP_PKEY* k, Byte* o, Size* n), (k, o, n))
FAULTY(int, 0, EVP_PKEY_get_octet_string_param, (const EVP_PKEY* k, Prop p, Byte* o, Size s, Size* n), (k, p, o, s, n))
FAULTY(int, 0, EVP_PKEY_get_utf8_string_param, (const EVP_PKEY* k, Prop p, char* o, Size s, Size* n), (k, p, o, s, n))
FAULTY(int, 0, EVP_PKEY_get_bn_param, (const EVP_PKEY* k, Prop p, BIGNUM** n), (k, p, n))
FAULTY(Builder, nullptr, OSSL_PARAM_BLD_new, (), ())
FAULTY(Param, nullptr, OSSL_PARAM_BLD_to_param, (Builder b), (b))
FAULTY(int, 0, OSSL_PARAM_BLD_push_BN, (Builder b, Prop p, const BIGNUM* n), (b, p, n))
FAULTY(int, 0, OSSL_PARAM_BLD_push_utf8_string, (Builder b, Prop p, Prop v, Size n), (b, p, v, n))
FAULTY(int, 0, OSSL_PARAM_BLD_push_octet_string, (Builder b, Prop p, const void* v, Size n), (b, p, v, n))
FAULTY(Number, nullptr, BN_new, (), ())
FAULTY(Number, nullptr, BN_secure_new, (), ())
FAULTY(Number, nullptr, BN_copy, (Number a, const BIGNUM* b), (a, b))
FAULTY(Number, nullptr, BN_bin2bn, (const Byte* b, int n, Number o), (b, n, o))
FAULTY(int, -1, BN_bn2binpad, (const BIGNUM* a, Byte* o, int n), (a, o, n))
FAULTY(int, 0, BN_mul, (Number r, const BIGNUM* a, const BIGNUM* b, NumberCtx c), (r, a, b, c))
FAULTY(int, 0, BN_div, (Number d, Number r, const BIGNUM* a, const BIGNUM* b, NumberCtx c), (d, r, a, b, c))
FAULTY(int, 0, BN_sub_word, (Number a, BN_ULONG w), (a, w))
FAULTY(NumberCtx, nullptr, BN_CTX_secure_new, (), ())
FAULTY(Sig, nullptr, ECDSA_SIG_new, (), ())
FAULTY(int, 0, ECDSA_SIG_set0, (Sig s, Number r, Number t), (s, r, t))
FAULTY(int, -1, i2d_ECDSA_SIG, (const ECDSA_SIG* s, Byte** o), (s, o))
FAULTY(Sig, nullptr, d2i_ECDSA_SIG, (ECDSA_SIG** s, const Byte** d, long n), (s, d, n))
FAULTY(Stream, nullptr, BIO_new_mem_buf, (const void* d, int n), (d, n))
FAULTY(Key, nullptr, PEM_read_bio_PrivateKey_ex, (Stream b, EVP_PKEY** k, pem_password_cb* f, void* u, OSSL_LIB_CTX* l, Prop q), (b, k, f, u, l, q))
// clang-format on

extern "C" EVP_PKEY* __real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX*, const char*, const char*, ...);
extern "C" EVP_PKEY* __wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX*, const char*, const char*, ...);
extern "C" EVP_PKEY* __wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX* library, const char* query,
                                              const char* type, ...) {
  if (is_to_fail()) return nullptr;
  va_list rest;
  va_start(rest, type);
  EVP_PKEY* key = nullptr;
  if (std::string_view(type) == "EC") {
    key = __real_EVP_PKEY_Q_keygen(library, query, type, va_arg(rest, char*));
  } else if (std::string_view(type) == "RSA") {
    key = __real_EVP_PKEY_Q_keygen(library, query, type, va_arg(rest, std::size_t));
  } else {
    key = __real_EVP_PKEY_Q_keygen(library, query, type);
  }
  va_end(rest);
  return key;
}
// NOLINTEND

namespace streamkit::crypto {
namespace {

/// Runs `scenario` untouched, then once for every call it made with that call failing. It gives
/// true when it reached its end without an Error.
void fail_each_call(const std::function<bool()>& scenario, int least_calls) {
  fail_call = 0;
  ASSERT_TRUE(scenario());  // what is fetched once, is
  calls = 0;
  ASSERT_TRUE(scenario());
  const int total = calls;
  EXPECT_GE(total, least_calls) << "the calls do not pass through this test";
  for (int n = 1; n <= total; ++n) {
    calls = 0;
    fail_call = n;
    const bool ended = scenario();
    fail_call = 0;
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
