// X25519 by libcrypto, and curve25519-sha256 (RFC 8731): the public values are 32 bytes, K is the
// mpint of the shared point's 32 bytes read as a big-endian number.
#include "x25519.hpp"

#include "shared_secret.hpp"

#include <algorithm>
#include <optional>

namespace streamkit::crypto {

Result<X25519Key> X25519Key::adopt(Pkey key) {
  X25519Key out;
  out.public_.resize(kX25519Size);
  std::size_t size = kX25519Size;
  if (EVP_PKEY_get_raw_public_key(key.get(), raw(MutableByteView(out.public_)), &size) != 1 ||
      size != kX25519Size)
    return evp_error("X25519 key");
  out.key_ = std::move(key);
  return out;
}

Result<X25519Key> X25519Key::generate() {
  Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  if (!key) return evp_error("X25519 key generation");
  return adopt(std::move(key));
}

Result<X25519Key> X25519Key::from_private(ByteView scalar) {
  Pkey key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, raw(scalar), scalar.size()));
  if (!key) return evp_error("X25519 key");
  return adopt(std::move(key));
}

Result<SecretBytes> X25519Key::agree(ByteView other) const {
  if (other.size() != kX25519Size)
    return Error(Errc::key_exchange, "X25519: the public value must have 32 bytes");
  const Pkey peer(
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, raw(other), other.size()));
  if (!peer) return evp_error("X25519 public value", Errc::key_exchange);
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  if (!context || EVP_PKEY_derive_init(context.get()) != 1) return evp_error("X25519");
  SecretBytes shared(kX25519Size);
  std::size_t size = shared.size();
  if (EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), raw(shared.span()), &size) != 1 || size != kX25519Size)
    return evp_error("X25519: unusable public value", Errc::key_exchange);
  const Bytes zero(kX25519Size);  // RFC 7748 section 6.1; libcrypto refuses it too
  if (equal_constant_time(shared.view(), zero))
    return Error(Errc::key_exchange, "X25519: the public value has small order");
  return shared;
}

namespace {

class X25519Kex final : public KexMethod {
 public:
  Hash hash() const noexcept override { return Hash::sha256; }

  Result<Bytes> init() override {
    if (used_) return Error(Errc::usage, "a key exchange method serves once");
    used_ = true;
    Result<X25519Key> key = X25519Key::generate();
    if (!key) return key.error();
    key_ = std::move(*key);
    return to_bytes(key_->public_value());
  }

  Result<SecretBytes> finish(ByteView server_blob) override {
    if (!key_) return Error(Errc::usage, "finish() comes once, after init()");
    const X25519Key key = *std::exchange(key_, std::nullopt);
    const Result<SecretBytes> shared = key.agree(server_blob);
    if (!shared) return shared.error();
    return secret_mpint(shared->view());
  }

  Result<Response> respond(ByteView client_blob) override {
    if (used_) return Error(Errc::usage, "a key exchange method serves once");
    used_ = true;
    const Result<X25519Key> key = X25519Key::generate();
    if (!key) return key.error();
    const Result<SecretBytes> shared = key->agree(client_blob);
    if (!shared) return shared.error();
    return Response{to_bytes(key->public_value()), secret_mpint(shared->view())};
  }

 private:
  bool used_ = false;
  std::optional<X25519Key> key_;
};

}  // namespace

std::unique_ptr<KexMethod> make_x25519_kex() {
  return std::make_unique<X25519Kex>();
}

}  // namespace streamkit::crypto
