// Doubles for the functions of libcrypto that the library calls. The linker puts them in between (--wrap, see
// CMakeLists.txt, which reads the names from the lines that begin with FAULTY).
#include "faulty_libcrypto.hpp"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <cstdarg>
#include <string_view>

namespace streamkit::testing::libcrypto {
namespace {

int made = 0, refused = 0, signatures = 0, spoiled = 0;
void (*on_secret)(ByteView) = nullptr;

bool is_to_fail() { return ++made == refused; }

void show(const unsigned char* secret, std::size_t size) {
  if (on_secret) on_secret({reinterpret_cast<const std::byte*>(secret), size});
}

void spoil(unsigned char* signature, std::size_t size) {
  if (++signatures == spoiled) signature[size / 2] ^= 1;
}

}  // namespace

void fail_call(int n) noexcept { made = 0, refused = n; }
int calls() noexcept { return made; }
void spoil_signature(int n) noexcept { signatures = 0, spoiled = n; }
void watch_secrets(void (*seen)(ByteView)) noexcept { on_secret = seen; }

}  // namespace streamkit::testing::libcrypto

using streamkit::testing::libcrypto::is_to_fail;
using streamkit::testing::libcrypto::show;
using streamkit::testing::libcrypto::spoil;

// NOLINTBEGIN: the names are the linker's
#define FAULTY(Type, failure, name, parameters, arguments)         \
  extern "C" Type __real_##name parameters;                        \
  extern "C" Type __wrap_##name parameters;                        \
  extern "C" Type __wrap_##name parameters {                       \
    return is_to_fail() ? Type(failure) : __real_##name arguments; \
  }
/// One that gives something out which `after(result, out, size)` is told of.
#define FAULTY_TOLD(name, parameters, arguments, after, out, size)   \
  extern "C" int __real_##name parameters;                           \
  extern "C" int __wrap_##name parameters;                           \
  extern "C" int __wrap_##name parameters {                          \
    const int result = is_to_fail() ? 0 : __real_##name arguments;   \
    if (result == 1 && out) after(out, size);                        \
    return result;                                                   \
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
FAULTY_TOLD(EVP_DigestSign, (MdCtx c, Byte* s, Size* n, const Byte* d, Size m), (c, s, n, d, m), spoil, s, *n)
FAULTY(int, 0, EVP_DigestVerify, (MdCtx c, const Byte* s, Size n, const Byte* d, Size m), (c, s, n, d, m))
FAULTY(KdfCtx, nullptr, EVP_KDF_CTX_new, (EVP_KDF* k), (k))
FAULTY_TOLD(EVP_KDF_derive, (KdfCtx c, Byte* o, Size n, const OSSL_PARAM* p), (c, o, n, p), show, o, n)
FAULTY(int, 0, RAND_bytes, (Byte* o, int n), (o, n))
FAULTY(KeyCtx, nullptr, EVP_PKEY_CTX_new_from_pkey, (OSSL_LIB_CTX* l, Key k, Prop q), (l, k, q))
FAULTY(KeyCtx, nullptr, EVP_PKEY_CTX_new_from_name, (OSSL_LIB_CTX* l, Prop n, Prop q), (l, n, q))
FAULTY(int, 0, EVP_PKEY_fromdata_init, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_fromdata, (KeyCtx c, EVP_PKEY** k, int s, Param p), (c, k, s, p))
FAULTY(int, 0, EVP_PKEY_check, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_public_check, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_derive_init, (KeyCtx c), (c))
FAULTY(int, 0, EVP_PKEY_derive_set_peer, (KeyCtx c, Key k), (c, k))
FAULTY_TOLD(EVP_PKEY_derive, (KeyCtx c, Byte* o, Size* n), (c, o, n), show, o, *n)
FAULTY(int, 0, EVP_PKEY_encapsulate_init, (KeyCtx c, const OSSL_PARAM* p), (c, p))
FAULTY(int, 0, EVP_PKEY_encapsulate, (KeyCtx c, Byte* w, Size* n, Byte* s, Size* m), (c, w, n, s, m))
FAULTY(int, 0, EVP_PKEY_decapsulate_init, (KeyCtx c, const OSSL_PARAM* p), (c, p))
FAULTY(int, 0, EVP_PKEY_decapsulate, (KeyCtx c, Byte* s, Size* n, const Byte* w, Size m), (c, s, n, w, m))
FAULTY(Key, nullptr, EVP_PKEY_new_raw_public_key_ex, (OSSL_LIB_CTX* l, Prop t, Prop q, const Byte* k, Size n), (l, t, q, k, n))
FAULTY(Key, nullptr, EVP_PKEY_new_raw_private_key_ex, (OSSL_LIB_CTX* l, Prop t, Prop q, const Byte* k, Size n), (l, t, q, k, n))
FAULTY(int, 0, EVP_PKEY_get_raw_public_key, (const EVP_PKEY* k, Byte* o, Size* n), (k, o, n))
FAULTY_TOLD(EVP_PKEY_get_raw_private_key, (const EVP_PKEY* k, Byte* o, Size* n), (k, o, n), show, o, *n)
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
