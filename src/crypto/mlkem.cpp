// mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex): the client sends an ML-KEM-768
// encapsulation key and an X25519 value, the server a ciphertext and an X25519 value; K is the
// string SHA256(K_PQ || K_CL). ML-KEM itself is libcrypto's, found at run time through calls that
// OpenSSL 3.0 already declares, so that one binary uses it where it is there. A ciphertext that was
// tampered with gives another K, not an error (FIPS 203): the server's signature is what then
// fails.
#include "mlkem.hpp"

#include "evp.hpp"
#include "shared_secret.hpp"
#include "x25519.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <optional>

namespace streamkit::crypto {
namespace {

constexpr const char* kName = "ML-KEM-768";
constexpr std::size_t kPublicSize = 1184, kCiphertextSize = 1088, kSecretSize = 32;

Result<SecretBytes> combine(ByteView post_quantum, ByteView classical) {
  Result<Bytes> mixed = digest(Hash::sha256, {post_quantum, classical});
  if (!mixed) return mixed.error();
  const SecretBytes owned(std::move(*mixed));
  return secret_string(owned.view());
}

Result<Bytes> public_value(const EVP_PKEY* key) {
  Bytes out(kPublicSize);
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, raw(MutableByteView(out)),
                                      out.size(), &size) != 1 ||
      size != kPublicSize)
    return evp_error("ML-KEM public value");
  return out;
}

Result<SecretBytes> decapsulate(EVP_PKEY* key, ByteView ciphertext) {
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  SecretBytes secret(kSecretSize);
  std::size_t size = secret.size();
  if (!context || EVP_PKEY_decapsulate_init(context.get(), nullptr) != 1 ||
      EVP_PKEY_decapsulate(context.get(), raw(secret.span()), &size, raw(ciphertext),
                           ciphertext.size()) != 1 ||
      size != kSecretSize)
    return evp_error("ML-KEM decapsulation", Errc::key_exchange);
  return secret;
}

struct Encapsulated {
  Bytes ciphertext;
  SecretBytes secret;
};

/// libcrypto refuses an encapsulation key with a coefficient that is not reduced (FIPS 203
/// section 7.2).
Result<Encapsulated> encapsulate(ByteView encapsulation_key) {
  const PkeyContext maker(EVP_PKEY_CTX_new_from_name(nullptr, kName, nullptr));
  if (!maker || EVP_PKEY_fromdata_init(maker.get()) != 1) return evp_error("ML-KEM");
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<std::byte*>(encapsulation_key.data()),
                                        encapsulation_key.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata(maker.get(), &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
    return evp_error("ML-KEM public value", Errc::key_exchange);
  const Pkey key(made);
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  Encapsulated out{Bytes(kCiphertextSize), SecretBytes(kSecretSize)};
  std::size_t wrapped = kCiphertextSize, size = kSecretSize;
  if (!context || EVP_PKEY_encapsulate_init(context.get(), nullptr) != 1 ||
      EVP_PKEY_encapsulate(context.get(), raw(MutableByteView(out.ciphertext)), &wrapped,
                           raw(out.secret.span()), &size) != 1 ||
      wrapped != kCiphertextSize || size != kSecretSize)
    return evp_error("ML-KEM encapsulation", Errc::key_exchange);
  return out;
}

class HybridKex final : public KexMethod {
 public:
  Hash hash() const noexcept override { return Hash::sha256; }

  Result<Bytes> init() override {
    if (used_) return Error(Errc::usage, "a key exchange method serves once");
    used_ = true;
    Result<X25519Key> classical = X25519Key::generate();
    if (!classical) return classical.error();
    mlkem_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, kName));
    if (!mlkem_) return evp_error("ML-KEM key generation");
    Result<Bytes> blob = public_value(mlkem_.get());
    if (!blob) return blob.error();
    append(*blob, classical->public_value());
    classical_ = std::move(*classical);
    return blob;
  }

  Result<SecretBytes> finish(ByteView server_blob) override {
    if (!classical_ || !mlkem_) return Error(Errc::usage, "finish() comes once, after init()");
    const X25519Key classical = *std::exchange(classical_, std::nullopt);
    const Pkey mlkem = std::exchange(mlkem_, nullptr);
    if (server_blob.size() != kCiphertextSize + kX25519Size) return wrong_size();
    const Result<SecretBytes> cl = classical.agree(server_blob.subspan(kCiphertextSize));
    if (!cl) return cl.error();
    const Result<SecretBytes> pq = decapsulate(mlkem.get(), server_blob.first(kCiphertextSize));
    if (!pq) return pq.error();
    return combine(pq->view(), cl->view());
  }

  Result<Response> respond(ByteView client_blob) override {
    if (used_) return Error(Errc::usage, "a key exchange method serves once");
    used_ = true;
    if (client_blob.size() != kPublicSize + kX25519Size) return wrong_size();
    const Result<X25519Key> classical = X25519Key::generate();
    if (!classical) return classical.error();
    const Result<SecretBytes> cl = classical->agree(client_blob.subspan(kPublicSize));
    if (!cl) return cl.error();
    Result<Encapsulated> pq = encapsulate(client_blob.first(kPublicSize));
    if (!pq) return pq.error();
    Result<SecretBytes> secret = combine(pq->secret.view(), cl->view());
    if (!secret) return secret.error();
    append(pq->ciphertext, classical->public_value());
    return Response{std::move(pq->ciphertext), std::move(*secret)};
  }

 private:
  static Error wrong_size() {
    return Error(Errc::key_exchange, "mlkem768x25519: a public value of the wrong length");
  }
  bool used_ = false;
  std::optional<X25519Key> classical_;
  Pkey mlkem_;
};

}  // namespace

bool has_mlkem768() noexcept {
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kName, nullptr));
  ERR_clear_error();
  return context != nullptr;
}

std::unique_ptr<KexMethod> make_mlkem768_x25519_kex() {
  return std::make_unique<HybridKex>();
}

}  // namespace streamkit::crypto
