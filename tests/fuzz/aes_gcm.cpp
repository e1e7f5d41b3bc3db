// AES-GCM by every library that is here against libcrypto's: the same bytes for any key, nonce,
// text and cut into pieces; each opens the other's packets; none opens one that was touched.
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/cipher.hpp>

#include <algorithm>
#include <fuzz/check.hpp>
#include <vector>

using namespace streamkit;
using crypto::AesGcm;

namespace {

constexpr std::size_t kTag = 16;

// What the input's first bytes say; the rest is text.
struct Case {
  const crypto::CipherInfo* cipher;
  AesGcm by;
  std::size_t cut;     // where the second piece begins, and the third is as long
  std::size_t repeat;  // how often the text comes: long packets from short inputs
  std::size_t touched;
  std::byte change;
};

crypto::DirectionKeys keys_of(ByteView seed, const crypto::CipherInfo& cipher) {
  crypto::DirectionKeys keys;
  keys.key = SecretBytes(cipher.key_size), keys.iv = SecretBytes(cipher.iv_size);
  for (SecretBytes* s : {&keys.key, &keys.iv})
    std::copy_n(seed.begin(), std::min(seed.size(), s->size()), s->span().begin());
  return keys;
}

Bytes seal(AesGcm by, const Case& c, const crypto::DirectionKeys& keys,
           const std::vector<ByteView>& pieces) {
  std::size_t size = kTag;
  for (const ByteView piece : pieces) size += piece.size();
  Bytes out(size);
  crypto::DirectionKeys copy{SecretBytes(keys.key.view()), SecretBytes(keys.iv.view()), {}};
  require(bool(
      crypto::make_sealer(*c.cipher, nullptr, std::move(copy), by).value()->seal(0, pieces, out)));
  return out;
}

bool opens(AesGcm by, const Case& c, const crypto::DirectionKeys& keys, Bytes& packet) {
  crypto::DirectionKeys copy{SecretBytes(keys.key.view()), SecretBytes(keys.iv.view()), {}};
  const auto opener = crypto::make_opener(*c.cipher, nullptr, std::move(copy), by).value();
  require(bool(opener->read_length(0, packet)));
  return opener->open(0, packet).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (in.size() < 8) return 0;
  const auto number = [&](std::size_t i) { return std::to_integer<std::size_t>(in[i]); };
  const Case c{
      crypto::find_cipher(number(0) & 1 ? "aes128-gcm@openssh.com" : "aes256-gcm@openssh.com"),
      number(0) & 2 ? AesGcm::ipsec_mb : AesGcm::libcrypto,
      number(1) << 8 | number(2),
      1 + number(3) % 64,
      number(4) << 8 | number(5),
      in[6]};
  if (!crypto::is_available(c.by)) return 0;
  const ByteView text = in.subspan(7);
  Bytes clear(4);
  for (std::size_t i = 0; i < c.repeat; ++i) append(clear, text);
  wire::store_u32(clear.data(), static_cast<std::uint32_t>(clear.size() - 4));

  const crypto::DirectionKeys keys = keys_of(text, *c.cipher);
  const Bytes expected = seal(AesGcm::libcrypto, c, keys, {clear});
  const std::size_t first = 4 + c.cut % (clear.size() - 3);
  const std::size_t second = std::min(c.cut, clear.size() - first);
  Bytes packet = seal(c.by, c, keys,
                      {ByteView(clear).first(first), ByteView(clear).subspan(first, second),
                       ByteView(clear).subspan(first + second)});
  require(packet == expected);
  Bytes touched = packet;
  require(opens(c.by, c, keys, packet));
  require(std::equal(clear.begin(), clear.end(), packet.begin()));

  // The length decides which packet it is; everything behind it is fair game.
  touched[4 + c.touched % (touched.size() - 4)] ^= c.change;
  require(opens(c.by, c, keys, touched) == (c.change == std::byte{0}));
  return 0;
}
