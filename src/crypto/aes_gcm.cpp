// AES-GCM packets (RFC 5647 section 7, negotiated by OpenSSH's names): the length travels in clear
// and is authenticated, the rest is encrypted, the tag is 16 bytes. The nonce is 4 fixed bytes and
// a 64-bit counter that starts where the key exchange says and grows by one a packet; the packet's
// sequence number takes no part.
#include "aes_gcm.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>

namespace streamkit::crypto {
namespace {

class Nonce {
 public:
  explicit Nonce(ByteView iv) noexcept { std::copy_n(iv.begin(), kGcmNonceSize, bytes_.begin()); }
  ~Nonce() { wipe(bytes_); }
  Nonce(const Nonce&) = delete;
  Nonce& operator=(const Nonce&) = delete;
  const unsigned char* data() const noexcept { return raw(ByteView(bytes_)); }
  /// The counter is the last 8 bytes; it wraps and never carries into the fixed 4.
  void advance() noexcept {
    for (std::size_t i = kGcmNonceSize; i-- > 4;) {
      bytes_[i] = std::byte(std::to_integer<unsigned>(bytes_[i]) + 1);
      if (bytes_[i] != std::byte{0}) return;
    }
  }

 private:
  std::array<std::byte, kGcmNonceSize> bytes_{};
};

class GcmSealer final : public Sealer {
 public:
  GcmSealer(CipherContext context, ByteView iv, std::uint64_t packets)
      : context_(std::move(context)), nonce_(iv), budget_(packets) {}
  std::size_t tag_size() const noexcept override { return kGcmTagSize; }
  std::size_t block_size() const noexcept override { return 16; }
  bool aligns_length() const noexcept override { return false; }

  Result<void> seal(std::uint32_t, std::span<const ByteView> pieces, MutableByteView out) override {
    if (auto fits = check_seal(pieces, out, kGcmTagSize); !fits) return fits;
    if (auto allowed = budget_.spend(); !allowed) return allowed;
    EVP_CIPHER_CTX* c = context_.get();
    int n = 0;
    if (EVP_EncryptInit_ex2(c, nullptr, nullptr, nonce_.data(), nullptr) != 1)
      return evp_error("AES-GCM nonce");
    nonce_.advance();  // whatever follows, this one is spent

    ByteView rest = copy_length(pieces, out);
    if (EVP_EncryptUpdate(c, nullptr, &n, raw(out), kLengthSize) != 1)
      return evp_error("AES-GCM length");
    MutableByteView to = out.subspan(kLengthSize);
    for (std::size_t i = 0;;) {
      if (!rest.empty()) {
        const int size = static_cast<int>(rest.size());
        if (EVP_EncryptUpdate(c, raw(to), &n, raw(rest), size) != 1 || n != size)
          return evp_error("AES-GCM encryption");
        to = to.subspan(rest.size());
      }
      if (++i == pieces.size()) break;
      rest = pieces[i];
    }
    if (EVP_EncryptFinal_ex(c, raw(to), &n) != 1 || n != 0 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, to.data()) != 1)
      return evp_error("AES-GCM tag");
    return {};
  }

 private:
  CipherContext context_;
  Nonce nonce_;
  PacketBudget budget_;
};

class GcmOpener final : public Opener {
 public:
  GcmOpener(CipherContext context, ByteView iv) : context_(std::move(context)), nonce_(iv) {}
  std::size_t tag_size() const noexcept override { return kGcmTagSize; }
  std::size_t block_size() const noexcept override { return 16; }
  bool aligns_length() const noexcept override { return false; }
  std::size_t length_prefix() const noexcept override { return kLengthSize; }

  Result<std::uint32_t> read_length(std::uint32_t, MutableByteView packet) override {
    if (packet.size() < kLengthSize) return Error(Errc::usage, "read_length: too few bytes");
    return length_.set(wire::load_u32(packet.data()));
  }

  Result<void> open(std::uint32_t, MutableByteView packet) override {
    if (auto fits = length_.take(packet, kGcmTagSize); !fits) return fits;
    EVP_CIPHER_CTX* c = context_.get();
    const MutableByteView body =
        packet.subspan(kLengthSize, packet.size() - kLengthSize - kGcmTagSize);
    const MutableByteView tag = packet.last(kGcmTagSize);
    int n = 0;
    if (EVP_DecryptInit_ex2(c, nullptr, nullptr, nonce_.data(), nullptr) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, tag.data()) != 1 ||
        EVP_DecryptUpdate(c, nullptr, &n, raw(packet), kLengthSize) != 1)
      return evp_error("AES-GCM nonce");
    nonce_.advance();
    const int size = static_cast<int>(body.size());
    if (size > 0 && (EVP_DecryptUpdate(c, raw(body), &n, raw(body), size) != 1 || n != size)) {
      wipe(body);
      return evp_error("AES-GCM decryption");
    }
    if (EVP_DecryptFinal_ex(c, raw(tag), &n) != 1) {
      wipe(body);  // GCM decrypts before it knows; nobody gets to see that
      ERR_clear_error();
      return wrong_tag();
    }
    return {};
  }

 private:
  CipherContext context_;
  Nonce nonce_;
  AnnouncedLength length_;
};

}  // namespace

Result<std::unique_ptr<Sealer>> make_gcm_sealer(const EVP_CIPHER* cipher, const DirectionKeys& keys,
                                                std::uint64_t packets) {
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), cipher, raw(keys.key.view()), nullptr, nullptr) != 1)
    return evp_error("AES-GCM key");
  return std::unique_ptr<Sealer>(new GcmSealer(std::move(context), keys.iv.view(), packets));
}

Result<std::unique_ptr<Opener>> make_gcm_opener(const EVP_CIPHER* cipher,
                                                const DirectionKeys& keys) {
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!context ||
      EVP_DecryptInit_ex2(context.get(), cipher, raw(keys.key.view()), nullptr, nullptr) != 1)
    return evp_error("AES-GCM key");
  return std::unique_ptr<Opener>(new GcmOpener(std::move(context), keys.iv.view()));
}

}  // namespace streamkit::crypto
