// The table of ciphers and MACs, and the packet form before the first key exchange (RFC 4253
// section 6: cipher none, MAC none). How each cipher protects a packet stands in aes_gcm,
// chacha20_poly1305 and aes_ctr_hmac.
#include "aes_ctr_hmac.hpp"
#include "aes_gcm.hpp"
#include "chacha20_poly1305.hpp"

#include <streamkit/crypto/cipher.hpp>

#include <array>

namespace streamkit::crypto {
namespace {

using Fetched = EVP_CIPHER* Algorithms::*;

struct CipherRow {
  CipherInfo info;
  Fetched method;
};
struct MacRow {
  MacInfo info;
  Hash hash;
};

// In our order of preference. GCM stands first because it alone is not exposed to prefix truncation
// where the other side has no strict key exchange.
constexpr std::array<CipherRow, 6> kCiphers = {{
    {{"aes128-gcm@openssh.com", 16, 12, 16, true}, &Algorithms::aes128_gcm},
    {{"aes256-gcm@openssh.com", 32, 12, 16, true}, &Algorithms::aes256_gcm},
    {{"chacha20-poly1305@openssh.com", 64, 0, 8, true}, &Algorithms::chacha20},
    {{"aes128-ctr", 16, 16, 16, false}, &Algorithms::aes128_ctr},
    {{"aes192-ctr", 24, 16, 16, false}, &Algorithms::aes192_ctr},
    {{"aes256-ctr", 32, 16, 16, false}, &Algorithms::aes256_ctr},
}};
constexpr std::array<MacRow, 4> kMacs = {{
    {{"hmac-sha2-256-etm@openssh.com", 32, 32, true}, Hash::sha256},
    {{"hmac-sha2-512-etm@openssh.com", 64, 64, true}, Hash::sha512},
    {{"hmac-sha2-256", 32, 32, false}, Hash::sha256},
    {{"hmac-sha2-512", 64, 64, false}, Hash::sha512},
}};

bool is_available(const CipherRow& row) noexcept {
  const Algorithms& known = algorithms();
  return known.*row.method && (row.method != &Algorithms::chacha20 || known.poly1305);
}

const CipherRow* find_row(std::string_view name) noexcept {
  for (const CipherRow& row : kCiphers)
    if (row.info.name == name) return is_available(row) ? &row : nullptr;
  return nullptr;
}

/// The row and the hash for a pair of infos, once the pair and the keys' sizes are as they must be.
struct Choice {
  const CipherRow* cipher;
  Hash hash;
};
Result<Choice> choose(const CipherInfo& cipher, const MacInfo* mac, const DirectionKeys& keys) {
  const CipherRow* row = find_row(cipher.name);
  if (!row) return Error(Errc::usage, "no such cipher: take one that find_cipher() gave");
  if (row->info.aead != (mac == nullptr))
    return Error(Errc::usage, "an AEAD cipher takes no MAC, every other cipher takes one");
  if (keys.key.size() != row->info.key_size || keys.iv.size() != row->info.iv_size ||
      keys.mac_key.size() != (mac ? mac->key_size : 0))
    return Error(Errc::usage, "keys of the wrong size for this cipher and MAC");
  if (!mac) return Choice{row, Hash::sha256};
  for (const MacRow& m : kMacs)
    if (m.info.name == mac->name && m.info.key_size == mac->key_size) return Choice{row, m.hash};
  return Error(Errc::usage, "no such MAC: take one that find_mac() gave");
}

class PlainSealer final : public Sealer {
 public:
  std::size_t tag_size() const noexcept override { return 0; }
  std::size_t block_size() const noexcept override { return 8; }
  bool aligns_length() const noexcept override { return true; }
  std::string_view implementation() const noexcept override { return {}; }
  Result<void> seal(std::uint32_t, std::span<const ByteView> pieces, MutableByteView out) override {
    if (auto fits = check_seal(pieces, out, 0); !fits) return fits;
    for (const ByteView piece : pieces) {
      if (!piece.empty()) std::memmove(out.data(), piece.data(), piece.size());
      out = out.subspan(piece.size());
    }
    return {};
  }
};

class PlainOpener final : public Opener {
 public:
  std::size_t tag_size() const noexcept override { return 0; }
  std::size_t block_size() const noexcept override { return 8; }
  bool aligns_length() const noexcept override { return true; }
  std::string_view implementation() const noexcept override { return {}; }
  std::size_t length_prefix() const noexcept override { return kLengthSize; }
  Result<std::uint32_t> read_length(std::uint32_t, MutableByteView packet) override {
    if (packet.size() < kLengthSize) return Error(Errc::usage, "read_length: too few bytes");
    return length_.set(wire::load_u32(packet.data()));
  }
  Result<void> open(std::uint32_t, MutableByteView packet) override {
    return length_.take(packet, 0);
  }

 private:
  AnnouncedLength length_;
};

}  // namespace

const CipherInfo* find_cipher(std::string_view name) noexcept {
  const CipherRow* row = find_row(name);
  return row ? &row->info : nullptr;
}

const MacInfo* find_mac(std::string_view name) noexcept {
  for (const MacRow& row : kMacs)
    if (row.info.name == name) return algorithms().hmac ? &row.info : nullptr;
  return nullptr;
}

const std::vector<std::string_view>& cipher_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const CipherRow& row : kCiphers)
      if (is_available(row)) out.push_back(row.info.name);
    return out;
  }();
  return names;
}

const std::vector<std::string_view>& mac_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const MacRow& row : kMacs)
      if (algorithms().hmac) out.push_back(row.info.name);
    return out;
  }();
  return names;
}

Result<std::unique_ptr<Sealer>> make_sealer(const CipherInfo& cipher, const MacInfo* mac,
                                            DirectionKeys keys, AesGcm aes_gcm) {
  const Result<Choice> choice = choose(cipher, mac, keys);
  if (!choice) return choice.error();
  const Fetched method = choice->cipher->method;
  if (mac) return make_ctr_sealer(algorithms().*method, choice->hash, mac->etm, keys);
  if (method == &Algorithms::chacha20) return make_chacha_sealer(keys);
  return make_gcm_sealer(aes_gcm, keys);
}

Result<std::unique_ptr<Opener>> make_opener(const CipherInfo& cipher, const MacInfo* mac,
                                            DirectionKeys keys, AesGcm aes_gcm) {
  const Result<Choice> choice = choose(cipher, mac, keys);
  if (!choice) return choice.error();
  const Fetched method = choice->cipher->method;
  if (mac) return make_ctr_opener(algorithms().*method, choice->hash, mac->etm, keys);
  if (method == &Algorithms::chacha20) return make_chacha_opener(keys);
  return make_gcm_opener(aes_gcm, keys);
}

std::unique_ptr<Sealer> make_plain_sealer() {
  return std::make_unique<PlainSealer>();
}
std::unique_ptr<Opener> make_plain_opener() {
  return std::make_unique<PlainOpener>();
}

}  // namespace streamkit::crypto
