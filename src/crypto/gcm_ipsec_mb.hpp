// The functions of Intel's Multi-Buffer Crypto for IPsec Library ("ipsec-mb") that this room uses.
// Only where it is built in (STREAMKIT_IPSEC_MB).
#pragma once

#include "gcm_cipher.hpp"

#include <cstdint>
#include <intel-ipsec-mb.h>
#include <optional>

namespace streamkit::crypto {

/// The direct API of AES-GCM. These functions work on the key and the context that they are given
/// and on nothing else that anybody reads, so any number of threads may be in them, each with its
/// own.
struct IpsecMbGcmFunctions {
  aes_gcm_pre_t set_key;
  aes_gcm_enc_dec_t seal, open;  // a message at once
  aes_gcm_init_t begin;          // a message in pieces
  aes_gcm_enc_dec_update_t seal_piece;
  aes_gcm_enc_dec_finalize_t end;
};
struct IpsecMb {
  IpsecMbGcmFunctions aes128, aes256;
};

/// Features are ipsec-mb's IMB_FEATURE_ bits.
bool is_runnable(std::uint64_t features) noexcept;
bool is_fast(std::uint64_t features) noexcept;
bool is_trustworthy(std::uint64_t features) noexcept;

/// Has ipsec-mb look at the CPU, test itself and hand out its functions. Every time; the room does
/// it once.
std::optional<IpsecMb> load_ipsec_mb() noexcept;

std::unique_ptr<GcmCipher> make_ipsec_mb_gcm(const IpsecMbGcmFunctions& functions, ByteView key);

}  // namespace streamkit::crypto
