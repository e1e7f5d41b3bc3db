// Every way that this build protects packets, and pairs of a Sealer and an Opener for one.
#pragma once

#include "vectors.hpp"

#include <streamkit/crypto/cipher.hpp>

#include <memory>
#include <string>
#include <vector>

namespace streamkit::crypto::test {

struct Suite {
  const CipherInfo* cipher;
  const MacInfo* mac;
  AesGcm aes_gcm = AesGcm::automatic;
  std::string name() const {
    return std::string(cipher->name) + (mac ? " with " + std::string(mac->name) : std::string()) +
           (is_gcm() ? " by " + std::string(implementation_of(aes_gcm)) : std::string());
  }
  bool is_gcm() const { return cipher->aead && cipher->iv_size != 0; }
};

/// Who can compute AES-GCM here: libcrypto, and ipsec-mb where it is built in.
inline std::vector<AesGcm> all_aes_gcm() {
  std::vector<AesGcm> out = {AesGcm::libcrypto};
  if (is_available(AesGcm::ipsec_mb)) out.push_back(AesGcm::ipsec_mb);
  return out;
}

inline std::vector<Suite> all_suites() {
  std::vector<Suite> out;
  for (const std::string_view name : cipher_names()) {
    const CipherInfo* cipher = find_cipher(name);
    if (const Suite alone{cipher, nullptr}; alone.is_gcm()) {
      for (const AesGcm by : all_aes_gcm()) out.push_back({cipher, nullptr, by});
      continue;
    }
    if (cipher->aead) {
      out.push_back({cipher, nullptr});
      continue;
    }
    for (const std::string_view mac : mac_names()) out.push_back({cipher, find_mac(mac)});
  }
  return out;
}

/// The same keys for the same seed.
inline DirectionKeys keys_for(const Suite& suite, unsigned seed = 1) {
  std::mt19937 generator(seed);
  DirectionKeys keys;
  keys.key = SecretBytes(some_bytes(generator, suite.cipher->key_size));
  keys.iv = SecretBytes(some_bytes(generator, suite.cipher->iv_size));
  if (suite.mac) keys.mac_key = SecretBytes(some_bytes(generator, suite.mac->key_size));
  return keys;
}

inline std::unique_ptr<Sealer> sealer_for(const Suite& suite, unsigned seed = 1) {
  return make_sealer(*suite.cipher, suite.mac, keys_for(suite, seed), suite.aes_gcm).value();
}
inline std::unique_ptr<Opener> opener_for(const Suite& suite, unsigned seed = 1) {
  return make_opener(*suite.cipher, suite.mac, keys_for(suite, seed), suite.aes_gcm).value();
}

/// A packet in clear: uint32 length, then `body` random bytes.
inline Bytes clear_packet(std::mt19937& generator, std::size_t body) {
  Bytes packet = some_bytes(generator, 4 + body);
  for (std::size_t i = 0; i < 4; ++i) packet[i] = std::byte(body >> (24 - 8 * i) & 0xff);
  return packet;
}

inline Result<Bytes> seal_whole(Sealer& sealer, std::uint32_t sequence, ByteView packet) {
  Bytes out(packet.size() + sealer.tag_size());
  const ByteView pieces[] = {packet};
  if (auto sealed = sealer.seal(sequence, pieces, out); !sealed) return sealed.error();
  return out;
}

}  // namespace streamkit::crypto::test
