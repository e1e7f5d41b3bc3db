// AES-GCM by libcrypto: the one that is always there, and that the other one is measured against.
#include "evp.hpp"
#include "gcm_cipher.hpp"
#include "protection.hpp"

#include <openssl/err.h>

namespace streamkit::crypto {
namespace {

class LibcryptoGcm final : public GcmCipher {
 public:
  explicit LibcryptoGcm(CipherContext context) : context_(std::move(context)) {}
  std::string_view implementation() const noexcept override { return libcrypto_implementation(); }

  Result<void> seal(ByteView nonce, ByteView first, std::span<const ByteView> more,
                    MutableByteView packet) override {
    EVP_CIPHER_CTX* c = context_.get();
    int n = 0;
    if (EVP_EncryptInit_ex2(c, nullptr, nullptr, raw(nonce), nullptr) != 1)
      return evp_error("AES-GCM nonce");
    if (EVP_EncryptUpdate(c, nullptr, &n, raw(packet), kLengthSize) != 1)
      return evp_error("AES-GCM length");
    MutableByteView to = packet.subspan(kLengthSize);
    if (auto done = encrypt(first, to); !done) return done;
    for (const ByteView piece : more)
      if (auto done = encrypt(piece, to); !done) return done;
    if (EVP_EncryptFinal_ex(c, raw(to), &n) != 1 || n != 0 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, to.data()) != 1)
      return evp_error("AES-GCM tag");
    return {};
  }

  Result<void> open(ByteView nonce, MutableByteView packet) override {
    EVP_CIPHER_CTX* c = context_.get();
    const MutableByteView body =
        packet.subspan(kLengthSize, packet.size() - kLengthSize - kGcmTagSize);
    const MutableByteView tag = packet.last(kGcmTagSize);
    int n = 0;
    if (EVP_DecryptInit_ex2(c, nullptr, nullptr, raw(nonce), nullptr) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, tag.data()) != 1 ||
        EVP_DecryptUpdate(c, nullptr, &n, raw(packet), kLengthSize) != 1)
      return evp_error("AES-GCM nonce");
    const int size = static_cast<int>(body.size());
    if (size > 0 && (EVP_DecryptUpdate(c, raw(body), &n, raw(body), size) != 1 || n != size))
      return evp_error("AES-GCM decryption");
    if (EVP_DecryptFinal_ex(c, raw(tag), &n) != 1) {
      ERR_clear_error();
      return wrong_tag();
    }
    return {};
  }

 private:
  /// Encrypts `piece` to the beginning of `to`, and leaves the rest in `to`.
  Result<void> encrypt(ByteView piece, MutableByteView& to) {
    if (piece.empty()) return {};
    const int size = static_cast<int>(piece.size());
    int n = 0;
    if (EVP_EncryptUpdate(context_.get(), raw(to), &n, raw(piece), size) != 1 || n != size)
      return evp_error("AES-GCM encryption");
    to = to.subspan(piece.size());
    return {};
  }

  CipherContext context_;
};

}  // namespace

Result<std::unique_ptr<GcmCipher>> make_libcrypto_gcm(Direction direction, ByteView key) {
  const EVP_CIPHER* method = key.size() == 16 ? algorithms().aes128_gcm : algorithms().aes256_gcm;
  const auto set_key = direction == Direction::seal ? &EVP_EncryptInit_ex2 : &EVP_DecryptInit_ex2;
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!context || set_key(context.get(), method, raw(key), nullptr, nullptr) != 1)
    return evp_error("AES-GCM key");
  return std::unique_ptr<GcmCipher>(new LibcryptoGcm(std::move(context)));
}

}  // namespace streamkit::crypto
