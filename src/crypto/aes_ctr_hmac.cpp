// AES in counter mode (RFC 4344 section 4) with HMAC-SHA-2 (RFC 6668). The counter runs on from
// packet to packet. The MAC is over the sequence number and
//   encrypt-then-MAC (OpenSSH's -etm names): the clear length and the ciphertext, checked first;
//   encrypt-and-MAC (RFC 4253 section 6.4): the plaintext packet, so it must be decrypted to be
//   checked.
// Encrypt-and-MAC encrypts the length too: reading it decrypts the first block in place.
#include "aes_ctr_hmac.hpp"

#include <array>

namespace streamkit::crypto {
namespace {

constexpr std::size_t kBlockSize = 16;

class PacketMac {
 public:
  PacketMac(MacContext context, std::size_t size) noexcept
      : context_(std::move(context)), size_(size) {}
  std::size_t size() const noexcept { return size_; }

  Result<void> make(std::uint32_t sequence, ByteView packet, MutableByteView out) {
    std::byte number[4];
    wire::store_u32(number, sequence);
    std::size_t size = 0;
    if (EVP_MAC_init(context_.get(), nullptr, 0, nullptr) != 1 ||
        EVP_MAC_update(context_.get(), raw(ByteView(number)), sizeof number) != 1 ||
        EVP_MAC_update(context_.get(), raw(packet), packet.size()) != 1 ||
        EVP_MAC_final(context_.get(), raw(out), &size, out.size()) != 1 || size != size_)
      return evp_error("HMAC");
    return {};
  }

  Result<void> verify(std::uint32_t sequence, ByteView packet, ByteView tag) {
    std::array<std::byte, EVP_MAX_MD_SIZE> expected;
    const MutableByteView ours = MutableByteView(expected).first(size_);
    if (auto made = make(sequence, packet, ours); !made) return made;
    if (!equal_constant_time(ours, tag)) return wrong_tag();
    return {};
  }

 private:
  MacContext context_;
  std::size_t size_;
};

/// Counter mode is its own inverse: the same call encrypts and decrypts.
Result<void> crypt(EVP_CIPHER_CTX* c, ByteView from, MutableByteView to) {
  if (from.empty()) return {};
  const int size = static_cast<int>(from.size());
  int n = 0;
  if (EVP_EncryptUpdate(c, raw(to), &n, raw(from), size) != 1 || n != size)
    return evp_error("AES-CTR");
  return {};
}

class CtrSealer final : public Sealer {
 public:
  CtrSealer(CipherContext context, PacketMac mac, bool etm, std::uint64_t packets)
      : context_(std::move(context)), mac_(std::move(mac)), etm_(etm), budget_(packets) {}
  std::size_t tag_size() const noexcept override { return mac_.size(); }
  std::size_t block_size() const noexcept override { return kBlockSize; }
  bool aligns_length() const noexcept override { return !etm_; }

  Result<void> seal(std::uint32_t sequence, std::span<const ByteView> pieces,
                    MutableByteView out) override {
    if (auto fits = check_seal(pieces, out, mac_.size()); !fits) return fits;
    if (auto allowed = budget_.spend(); !allowed) return allowed;
    // The packet is laid out in place first: encrypt-and-MAC reads all of it in clear before it is
    // encrypted, and one pass over one buffer is what libcrypto does fastest.
    const MutableByteView packet = out.first(out.size() - mac_.size());
    MutableByteView to = packet;
    for (const ByteView piece : pieces) {
      if (!piece.empty()) std::memmove(to.data(), piece.data(), piece.size());
      to = to.subspan(piece.size());
    }
    Result<void> done =
        etm_ ? seal_then_mac(sequence, packet, out) : mac_and_seal(sequence, packet, out);
    if (!done) wipe(out);  // it may still be in clear
    return done;
  }

 private:
  Result<void> seal_then_mac(std::uint32_t sequence, MutableByteView packet, MutableByteView out) {
    const MutableByteView body = packet.subspan(kLengthSize);
    if (auto done = crypt(context_.get(), body, body); !done) return done;
    return mac_.make(sequence, packet, out.last(mac_.size()));
  }
  Result<void> mac_and_seal(std::uint32_t sequence, MutableByteView packet, MutableByteView out) {
    if (auto done = mac_.make(sequence, packet, out.last(mac_.size())); !done) return done;
    return crypt(context_.get(), packet, packet);
  }

  CipherContext context_;
  PacketMac mac_;
  bool etm_;
  PacketBudget budget_;
};

class EtmOpener final : public Opener {
 public:
  EtmOpener(CipherContext context, PacketMac mac)
      : context_(std::move(context)), mac_(std::move(mac)) {}
  std::size_t tag_size() const noexcept override { return mac_.size(); }
  std::size_t block_size() const noexcept override { return kBlockSize; }
  bool aligns_length() const noexcept override { return false; }
  std::size_t length_prefix() const noexcept override { return kLengthSize; }

  Result<std::uint32_t> read_length(std::uint32_t, MutableByteView packet) override {
    if (packet.size() < kLengthSize) return Error(Errc::usage, "read_length: too few bytes");
    return length_.set(wire::load_u32(packet.data()));
  }

  Result<void> open(std::uint32_t sequence, MutableByteView packet) override {
    if (auto fits = length_.take(packet, mac_.size()); !fits) return fits;
    const MutableByteView sealed = packet.first(packet.size() - mac_.size());
    if (auto genuine = mac_.verify(sequence, sealed, packet.last(mac_.size())); !genuine)
      return genuine;
    const MutableByteView body = sealed.subspan(kLengthSize);
    Result<void> done = crypt(context_.get(), body, body);
    if (!done) wipe(body);
    return done;
  }

 private:
  CipherContext context_;
  PacketMac mac_;
  AnnouncedLength length_;
};

class EncryptAndMacOpener final : public Opener {
 public:
  EncryptAndMacOpener(CipherContext context, PacketMac mac)
      : context_(std::move(context)), mac_(std::move(mac)) {}
  std::size_t tag_size() const noexcept override { return mac_.size(); }
  std::size_t block_size() const noexcept override { return kBlockSize; }
  bool aligns_length() const noexcept override { return true; }
  std::size_t length_prefix() const noexcept override { return kBlockSize; }

  Result<std::uint32_t> read_length(std::uint32_t, MutableByteView packet) override {
    if (packet.size() < kBlockSize) return Error(Errc::usage, "read_length: too few bytes");
    const MutableByteView block = packet.first(kBlockSize);
    if (auto done = crypt(context_.get(), block, block); !done) return done.error();
    return length_.set(wire::load_u32(packet.data()));
  }

  Result<void> open(std::uint32_t sequence, MutableByteView packet) override {
    if (auto fits = length_.take(packet, mac_.size()); !fits) return fits;
    const MutableByteView clear = packet.first(packet.size() - mac_.size());
    if (clear.size() < kBlockSize) return wrong_tag();  // shorter than what read_length() decrypted
    const MutableByteView rest = clear.subspan(kBlockSize);
    Result<void> done = crypt(context_.get(), rest, rest);
    if (done) done = mac_.verify(sequence, clear, packet.last(mac_.size()));
    if (!done) wipe(clear);
    return done;
  }

 private:
  CipherContext context_;
  PacketMac mac_;
  AnnouncedLength length_;
};

struct Parts {
  CipherContext context;
  PacketMac mac;
};

Result<Parts> make_parts(const EVP_CIPHER* cipher, Hash hash, const DirectionKeys& keys) {
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!context || EVP_EncryptInit_ex2(context.get(), cipher, raw(keys.key.view()),
                                      raw(keys.iv.view()), nullptr) != 1)
    return evp_error("AES-CTR key");
  Result<MacContext> mac = make_hmac(hash, keys.mac_key.view());
  if (!mac) return mac.error();
  return Parts{std::move(context), PacketMac(std::move(*mac), hash_size(hash))};
}

}  // namespace

Result<std::unique_ptr<Sealer>> make_ctr_sealer(const EVP_CIPHER* cipher, Hash hash, bool etm,
                                                const DirectionKeys& keys, std::uint64_t packets) {
  Result<Parts> parts = make_parts(cipher, hash, keys);
  if (!parts) return parts.error();
  return std::unique_ptr<Sealer>(
      new CtrSealer(std::move(parts->context), std::move(parts->mac), etm, packets));
}

Result<std::unique_ptr<Opener>> make_ctr_opener(const EVP_CIPHER* cipher, Hash hash, bool etm,
                                                const DirectionKeys& keys) {
  Result<Parts> parts = make_parts(cipher, hash, keys);
  if (!parts) return parts.error();
  if (etm)
    return std::unique_ptr<Opener>(new EtmOpener(std::move(parts->context), std::move(parts->mac)));
  return std::unique_ptr<Opener>(
      new EncryptAndMacOpener(std::move(parts->context), std::move(parts->mac)));
}

}  // namespace streamkit::crypto
