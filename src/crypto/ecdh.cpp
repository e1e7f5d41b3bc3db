// Diffie-Hellman on the NIST curves (RFC 5656 section 4) by libcrypto: public values are
// uncompressed points, K is the mpint of the shared point's x coordinate.
#include "ecdh.hpp"

#include "shared_secret.hpp"

#include <openssl/core_names.h>

namespace streamkit::crypto {

Result<Bytes> ec_point(const EVP_PKEY* key, const Curve& curve) {
  Bytes point(curve.point_size());
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, raw(MutableByteView(point)),
                                      point.size(), &size) != 1 ||
      size != point.size() || point[0] != std::byte{4})
    return evp_error("EC public point");
  return point;
}

Result<Pkey> ec_public(const Curve& curve, ByteView point, Errc error) {
  if (point.size() != curve.point_size() || point[0] != std::byte{4})
    return Error(error, "an EC point must be uncompressed and of its curve's exact length");
  const PkeyContext maker(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  if (!maker || EVP_PKEY_fromdata_init(maker.get()) != 1) return evp_error("EC key");
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(curve.group),
                                       0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<std::byte*>(point.data()), point.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata(maker.get(), &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
    return evp_error("an EC point that is not on its curve", error);
  Pkey key(made);
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!context || EVP_PKEY_public_check(context.get()) != 1)
    return evp_error("an EC point that is not on its curve", error);
  return key;
}

namespace {

class EcdhKex final : public KexMethod {
 public:
  explicit EcdhKex(const Curve& curve) noexcept : curve_(curve) {}
  Hash hash() const noexcept override { return curve_.hash; }

  Result<Bytes> init() override {
    if (auto made = generate(); !made) return made.error();
    return ec_point(key_.get(), curve_);
  }

  Result<SecretBytes> finish(ByteView server_blob) override {
    if (!key_) return Error(Errc::usage, "finish() comes once, after init()");
    const Pkey key = std::exchange(key_, nullptr);
    return agree(key.get(), server_blob);
  }

  Result<Response> respond(ByteView client_blob) override {
    if (auto made = generate(); !made) return made.error();
    const Pkey key = std::exchange(key_, nullptr);
    Result<Bytes> blob = ec_point(key.get(), curve_);
    if (!blob) return blob.error();
    Result<SecretBytes> shared = agree(key.get(), client_blob);
    if (!shared) return shared.error();
    return Response{std::move(*blob), std::move(*shared)};
  }

 private:
  Result<void> generate() {
    if (used_) return Error(Errc::usage, "a key exchange method serves once");
    used_ = true;
    key_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve_.group));
    if (!key_) return evp_error("EC key generation");
    return {};
  }

  Result<SecretBytes> agree(EVP_PKEY* key, ByteView other) const {
    const Result<Pkey> peer = ec_public(curve_, other, Errc::key_exchange);
    if (!peer) return peer.error();
    const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    if (!context || EVP_PKEY_derive_init(context.get()) != 1) return evp_error("ECDH");
    SecretBytes shared(curve_.field_size);
    std::size_t size = shared.size();
    if (EVP_PKEY_derive_set_peer(context.get(), peer->get()) != 1 ||
        EVP_PKEY_derive(context.get(), raw(shared.span()), &size) != 1 || size != shared.size())
      return evp_error("ECDH: unusable public value", Errc::key_exchange);
    return secret_mpint(shared.view());
  }

  const Curve& curve_;
  bool used_ = false;
  Pkey key_;
};

}  // namespace

std::unique_ptr<KexMethod> make_ecdh_kex(const Curve& curve) {
  return std::make_unique<EcdhKex>(curve);
}

}  // namespace streamkit::crypto
