// Binary packets (RFC 4253 section 6) under every protection: input that is no packet is refused,
// and a packet that was touched never opens. The first byte picks the protection, the second what
// to do.
#include "packet.hpp"

#include <fuzz/check.hpp>
#include <support/fixed_random.hpp>

using namespace streamkit;

namespace {

constexpr std::size_t kMax = 64 * 1024;

struct Names {
  std::string_view cipher, mac;
};
constexpr Names kNames[] = {
    {"", ""},
    {"aes128-gcm@openssh.com", ""},
    {"aes256-gcm@openssh.com", ""},
    {"chacha20-poly1305@openssh.com", ""},
    {"aes128-ctr", "hmac-sha2-256-etm@openssh.com"},
    {"aes256-ctr", "hmac-sha2-512-etm@openssh.com"},
    {"aes128-ctr", "hmac-sha2-256"},
    {"aes256-ctr", "hmac-sha2-512"},
};

crypto::DirectionKeys keys(const crypto::CipherInfo& cipher, const crypto::MacInfo* mac) {
  testing::FixedRandom random(5);
  crypto::DirectionKeys out;
  out.key = SecretBytes(cipher.key_size), out.iv = SecretBytes(cipher.iv_size);
  out.mac_key = SecretBytes(mac ? mac->key_size : 0);
  for (SecretBytes* s : {&out.key, &out.iv, &out.mac_key}) (void)random.fill(s->span());
  return out;
}

void set_keys(const Names& names, ssh::PacketSealer& sealer, ssh::PacketOpener& opener) {
  const crypto::CipherInfo* cipher = crypto::find_cipher(names.cipher);
  if (!cipher) return;
  const crypto::MacInfo* mac = crypto::find_mac(names.mac);
  sealer.set_keys(crypto::make_sealer(*cipher, mac, keys(*cipher, mac)).value(), true);
  opener.set_keys(crypto::make_opener(*cipher, mac, keys(*cipher, mac)).value(), true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (in.size() < 6) return 0;
  const Names& names = kNames[std::to_integer<unsigned>(in[0]) % std::size(kNames)];
  ssh::PacketSealer sealer;
  ssh::PacketOpener opener(kMax);
  set_keys(names, sealer, opener);
  const auto mode = std::to_integer<unsigned>(in[1]) % 2;
  if (mode == 0) {  // bytes as they are
    Bytes bytes = to_bytes(in.subspan(2));
    const auto packet = opener.open(bytes);
    if (!packet || !*packet) return 0;
    require(names.cipher.empty());  // nobody forges a tag
    require((*packet)->payload_size > 0 &&
            (*packet)->payload_at + (*packet)->payload_size + 4 <= (*packet)->size);
    return 0;
  }
  // A good packet, with one byte changed where the input says.
  const ByteView payload = in.subspan(5);
  testing::FixedRandom random;
  ByteQueue out;
  require(bool(sealer.seal(payload, {}, random, out)));
  Bytes packet = to_bytes(std::as_const(out).data());
  const std::size_t at =
      (std::to_integer<std::size_t>(in[2]) << 8 | std::to_integer<std::size_t>(in[3])) %
      packet.size();
  packet[at] ^= in[4];
  packet.resize(packet.size() + kMax + 256);
  const auto opened = opener.open(packet);
  if (in[4] == std::byte{0}) {
    require(opened && *opened && (*opened)->payload_size == payload.size());
    const ByteView plain = ByteView(packet).subspan((*opened)->payload_at, (*opened)->payload_size);
    require(std::equal(plain.begin(), plain.end(), payload.begin()));
  } else if (!names.cipher.empty()) {
    require(!opened && opened.error().is(Errc::mac));
  }
  return 0;
}
