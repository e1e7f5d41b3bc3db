// AES-GCM packets (RFC 5647 section 7, negotiated by OpenSSH's names): the length travels in clear
// and is authenticated, the rest is encrypted, the tag is 16 bytes. The nonce is 4 fixed bytes and
// a 64-bit counter that starts where the key exchange says and grows by one a packet; the packet's
// sequence number takes no part. Here are the nonces, the framing and the budget; who encrypts is
// behind GcmCipher.
#include "aes_gcm.hpp"

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
  ByteView view() const noexcept { return bytes_; }
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
  GcmSealer(std::unique_ptr<GcmCipher> cipher, ByteView iv, std::uint64_t packets)
      : cipher_(std::move(cipher)), nonce_(iv), budget_(packets) {}
  std::size_t tag_size() const noexcept override { return kGcmTagSize; }
  std::size_t block_size() const noexcept override { return 16; }
  bool aligns_length() const noexcept override { return false; }
  std::string_view implementation() const noexcept override { return cipher_->implementation(); }

  Result<void> seal(std::uint32_t, std::span<const ByteView> pieces, MutableByteView out) override {
    if (auto fits = check_seal(pieces, out, kGcmTagSize); !fits) return fits;
    if (auto allowed = budget_.spend(); !allowed) return allowed;
    const ByteView first = copy_length(pieces, out);
    Result<void> done = cipher_->seal(nonce_.view(), first, pieces.subspan(1), out);
    nonce_.advance();      // whatever came of it, this one is spent
    if (!done) wipe(out);  // a piece that lay at its own place may still be in clear
    return done;
  }

 private:
  std::unique_ptr<GcmCipher> cipher_;
  Nonce nonce_;
  PacketBudget budget_;
};

class GcmOpener final : public Opener {
 public:
  GcmOpener(std::unique_ptr<GcmCipher> cipher, ByteView iv)
      : cipher_(std::move(cipher)), nonce_(iv) {}
  std::size_t tag_size() const noexcept override { return kGcmTagSize; }
  std::size_t block_size() const noexcept override { return 16; }
  bool aligns_length() const noexcept override { return false; }
  std::string_view implementation() const noexcept override { return cipher_->implementation(); }
  std::size_t length_prefix() const noexcept override { return kLengthSize; }

  Result<std::uint32_t> read_length(std::uint32_t, MutableByteView packet) override {
    if (packet.size() < kLengthSize) return Error(Errc::usage, "read_length: too few bytes");
    return length_.set(wire::load_u32(packet.data()));
  }

  Result<void> open(std::uint32_t, MutableByteView packet) override {
    if (auto fits = length_.take(packet, kGcmTagSize); !fits) return fits;
    Result<void> done = cipher_->open(nonce_.view(), packet);
    nonce_.advance();
    // GCM decrypts before it knows; nobody gets to see that.
    if (!done) wipe(packet.subspan(kLengthSize, packet.size() - kLengthSize - kGcmTagSize));
    return done;
  }

 private:
  std::unique_ptr<GcmCipher> cipher_;
  Nonce nonce_;
  AnnouncedLength length_;
};

bool is_ipsec_mb(AesGcm by) noexcept {
  return by == AesGcm::ipsec_mb || (by == AesGcm::automatic && ipsec_mb_is_fast());
}

Result<std::unique_ptr<GcmCipher>> make_cipher(AesGcm by, Direction direction, ByteView key) {
  if (is_ipsec_mb(by))
    if (auto cipher = make_ipsec_mb_gcm(key)) return cipher;
  if (by == AesGcm::ipsec_mb)
    return Error(Errc::usage,
                 "AES-GCM by ipsec-mb: it is not built in, or this CPU cannot run it; take "
                 "AesGcm::automatic");
  return make_libcrypto_gcm(direction, key);
}

}  // namespace

bool is_available(AesGcm by) noexcept {
  return by != AesGcm::ipsec_mb || ipsec_mb_is_available();
}

std::string_view implementation_of(AesGcm by) noexcept {
  if (is_ipsec_mb(by))
    if (const std::string_view text = ipsec_mb_implementation(); !text.empty()) return text;
  return by == AesGcm::ipsec_mb ? std::string_view() : libcrypto_implementation();
}

std::unique_ptr<Sealer> make_gcm_sealer(std::unique_ptr<GcmCipher> cipher, ByteView iv,
                                        std::uint64_t packets) {
  return std::make_unique<GcmSealer>(std::move(cipher), iv, packets);
}

std::unique_ptr<Opener> make_gcm_opener(std::unique_ptr<GcmCipher> cipher, ByteView iv) {
  return std::make_unique<GcmOpener>(std::move(cipher), iv);
}

Result<std::unique_ptr<Sealer>> make_gcm_sealer(AesGcm by, const DirectionKeys& keys,
                                                std::uint64_t packets) {
  Result<std::unique_ptr<GcmCipher>> cipher = make_cipher(by, Direction::seal, keys.key.view());
  if (!cipher) return cipher.error();
  return make_gcm_sealer(std::move(*cipher), keys.iv.view(), packets);
}

Result<std::unique_ptr<Opener>> make_gcm_opener(AesGcm by, const DirectionKeys& keys) {
  Result<std::unique_ptr<GcmCipher>> cipher = make_cipher(by, Direction::open, keys.key.view());
  if (!cipher) return cipher.error();
  return make_gcm_opener(std::move(*cipher), keys.iv.view());
}

}  // namespace streamkit::crypto
