// chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305). The nonce is the packet's
// sequence number as 64 bits. Block 0 of the packet key's stream gives the Poly1305 key of this
// packet, blocks 1 and up encrypt what follows the length; the 4 length bytes are encrypted under a
// key of their own; the tag covers the ciphertext of both. This is not the construction of RFC
// 8439.
#include "chacha20_poly1305.hpp"

#include <array>

namespace streamkit::crypto {
namespace {

/// The two streams and the authenticator, set to one packet at a time.
class PacketStreams {
 public:
  static Result<PacketStreams> create(ByteView key) {
    PacketStreams s;
    s.body_.reset(EVP_CIPHER_CTX_new());
    s.length_.reset(EVP_CIPHER_CTX_new());
    s.poly_.reset(EVP_MAC_CTX_new(algorithms().poly1305));
    const EVP_CIPHER* chacha = algorithms().chacha20;
    if (!s.body_ || !s.length_ || !s.poly_ ||
        EVP_EncryptInit_ex2(s.body_.get(), chacha, raw(key), nullptr, nullptr) != 1 ||
        EVP_EncryptInit_ex2(s.length_.get(), chacha, raw(key.subspan(kChaChaKeySize)), nullptr,
                            nullptr) != 1)
      return evp_error("ChaCha20 key");
    return s;
  }

  /// Encrypts or decrypts the 4 length bytes.
  Result<void> crypt_length(std::uint32_t sequence, const std::byte* from, std::byte* to) {
    if (auto set = set_nonce(length_.get(), sequence); !set) return set;
    return crypt(length_.get(), {from, kLengthSize}, {to, kLengthSize});
  }

  /// Turns the body stream and Poly1305 to this packet; the stream then stands at block 1.
  Result<void> begin(std::uint32_t sequence) {
    if (auto set = set_nonce(body_.get(), sequence); !set) return set;
    std::array<std::byte, 64> block{};
    Result<void> made = crypt(body_.get(), block, block);
    if (made && EVP_MAC_init(poly_.get(), raw(ByteView(block)), 32, nullptr) != 1)
      made = evp_error("Poly1305 key");
    wipe(block);
    return made;
  }

  Result<void> crypt_body(ByteView from, MutableByteView to) {
    return crypt(body_.get(), from, to);
  }

  /// The tag over the whole ciphertext.
  Result<void> tag(ByteView ciphertext, std::span<std::byte, kPolyTagSize> out) {
    std::size_t size = 0;
    if (EVP_MAC_update(poly_.get(), raw(ciphertext), ciphertext.size()) != 1 ||
        EVP_MAC_final(poly_.get(), raw(MutableByteView(out)), &size, out.size()) != 1 ||
        size != out.size())
      return evp_error("Poly1305");
    return {};
  }

 private:
  static Result<void> set_nonce(EVP_CIPHER_CTX* c, std::uint32_t sequence) {
    std::array<std::byte, 16>
        counter_and_nonce{};  // block counter (little-endian) 0, then the nonce
    wire::store_u32(counter_and_nonce.data() + 12, sequence);
    if (EVP_EncryptInit_ex2(c, nullptr, nullptr, raw(ByteView(counter_and_nonce)), nullptr) != 1)
      return evp_error("ChaCha20 nonce");
    return {};
  }

  static Result<void> crypt(EVP_CIPHER_CTX* c, ByteView from, MutableByteView to) {
    if (from.empty()) return {};
    const int size = static_cast<int>(from.size());
    int n = 0;
    if (EVP_EncryptUpdate(c, raw(to), &n, raw(from), size) != 1 || n != size)
      return evp_error("ChaCha20");
    return {};
  }

  CipherContext body_, length_;
  MacContext poly_;
};

class ChaChaSealer final : public Sealer {
 public:
  ChaChaSealer(PacketStreams streams, std::uint64_t packets)
      : streams_(std::move(streams)), budget_(packets) {}
  std::size_t tag_size() const noexcept override { return kPolyTagSize; }
  std::size_t block_size() const noexcept override { return 8; }
  bool aligns_length() const noexcept override { return false; }

  Result<void> seal(std::uint32_t sequence, std::span<const ByteView> pieces,
                    MutableByteView out) override {
    if (auto fits = check_seal(pieces, out, kPolyTagSize); !fits) return fits;
    if (last_ && sequence != static_cast<std::uint32_t>(*last_ + 1))
      return Error(Errc::usage, "seal: sequence numbers follow one another; a nonce is used once");
    if (auto allowed = budget_.spend(); !allowed) return allowed;
    last_ = sequence;

    if (auto begun = streams_.begin(sequence); !begun) return begun;
    if (auto done = streams_.crypt_length(sequence, pieces[0].data(), out.data()); !done)
      return done;
    MutableByteView to = out.subspan(kLengthSize);
    ByteView rest = pieces[0].subspan(kLengthSize);
    for (std::size_t i = 0;;) {
      if (auto done = streams_.crypt_body(rest, to); !done) return done;
      to = to.subspan(rest.size());
      if (++i == pieces.size()) break;
      rest = pieces[i];
    }
    return streams_.tag(out.first(out.size() - kPolyTagSize), out.last<kPolyTagSize>());
  }

 private:
  PacketStreams streams_;
  PacketBudget budget_;
  std::optional<std::uint32_t> last_;
};

class ChaChaOpener final : public Opener {
 public:
  explicit ChaChaOpener(PacketStreams streams) : streams_(std::move(streams)) {}
  std::size_t tag_size() const noexcept override { return kPolyTagSize; }
  std::size_t block_size() const noexcept override { return 8; }
  bool aligns_length() const noexcept override { return false; }
  std::size_t length_prefix() const noexcept override { return kLengthSize; }

  Result<std::uint32_t> read_length(std::uint32_t sequence, MutableByteView packet) override {
    if (packet.size() < kLengthSize) return Error(Errc::usage, "read_length: too few bytes");
    std::byte clear[kLengthSize];  // the packet keeps its ciphertext: the tag is over that
    if (auto done = streams_.crypt_length(sequence, packet.data(), clear); !done)
      return done.error();
    return length_.set(wire::load_u32(clear));
  }

  Result<void> open(std::uint32_t sequence, MutableByteView packet) override {
    if (auto fits = length_.take(packet, kPolyTagSize); !fits) return fits;
    if (auto begun = streams_.begin(sequence); !begun) return begun;
    const MutableByteView sealed = packet.first(packet.size() - kPolyTagSize);
    std::array<std::byte, kPolyTagSize> expected;
    if (auto made = streams_.tag(sealed, expected); !made) return made;
    if (!equal_constant_time(expected, packet.last(kPolyTagSize))) return wrong_tag();
    const MutableByteView body = sealed.subspan(kLengthSize);
    Result<void> done = streams_.crypt_body(body, body);
    if (!done) wipe(body);
    return done;
  }

 private:
  PacketStreams streams_;
  AnnouncedLength length_;
};

}  // namespace

Result<std::unique_ptr<Sealer>> make_chacha_sealer(const DirectionKeys& keys,
                                                   std::uint64_t packets) {
  Result<PacketStreams> streams = PacketStreams::create(keys.key.view());
  if (!streams) return streams.error();
  return std::unique_ptr<Sealer>(new ChaChaSealer(std::move(*streams), packets));
}

Result<std::unique_ptr<Opener>> make_chacha_opener(const DirectionKeys& keys) {
  Result<PacketStreams> streams = PacketStreams::create(keys.key.view());
  if (!streams) return streams.error();
  return std::unique_ptr<Opener>(new ChaChaOpener(std::move(*streams)));
}

}  // namespace streamkit::crypto
