// AES-GCM by ipsec-mb, which uses VAES and AVX-512 where libcrypto 3.0 does not, and costs little
// on a small packet.
//
// Its README ("Security Considerations & Options for Increased Security") leaves to its users:
//  - SAFE_DATA (registers and stack are cleared before a function returns) and SAFE_PARAM are
//    options of its build: a library without them is not used, and neither is one that failed its
//    self-test.
//  - The direct API returns nothing. SAFE_PARAM turns a wrong argument into a call without effect
//    and says so in imb_errno, one variable of the process that all threads write; it is never read
//    here. Arguments are right by construction, and the tag shows whether the call had an effect.
//  - It computes the tag of what it decrypts and compares nothing: that is done here, in constant
//    time.
//  - Expanded keys are the caller's memory: aligned to 64 bytes, and wiped here.
//  - Tags of less than 96 bits are weak: ours have 128.
// AES and carry-less multiplication are instructions: no table is indexed by a secret.
#include "gcm_ipsec_mb.hpp"

#include "evp.hpp"
#include "protection.hpp"

#include <streamkit/crypto/digest.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace streamkit::crypto {
namespace {

constexpr std::size_t kKeyAlignment = 64;

using Manager = std::unique_ptr<IMB_MGR, Release<&free_mb_mgr>>;

class IpsecMbGcm final : public GcmCipher {
 public:
  IpsecMbGcm(const IpsecMbGcmFunctions& functions, ByteView key) : functions_(functions) {
    functions_.set_key(raw(key), &key_);
  }
  ~IpsecMbGcm() override {
    wipe(std::as_writable_bytes(std::span(&key_, 1)));
    wipe(std::as_writable_bytes(std::span(&context_, 1)));
  }
  IpsecMbGcm(const IpsecMbGcm&) = delete;
  IpsecMbGcm& operator=(const IpsecMbGcm&) = delete;
  std::string_view implementation() const noexcept override { return ipsec_mb_implementation(); }

  Result<void> seal(ByteView nonce, ByteView first, std::span<const ByteView> more,
                    MutableByteView packet) override {
    const MutableByteView tag = packet.last(kGcmTagSize);
    std::fill(tag.begin(), tag.end(), std::byte{0});
    if (more.empty()) {
      functions_.seal(&key_, &context_, raw(packet.subspan(kLengthSize)), raw(first), first.size(),
                      raw(nonce), raw(packet), kLengthSize, raw(tag), kGcmTagSize);
    } else {
      seal_pieces(nonce, first, more, packet);
    }
    // A tag is all zero by chance once in 2^128 packets; it stays so if the call had no effect.
    if (std::all_of(tag.begin(), tag.end(), [](std::byte b) { return b == std::byte{0}; }))
      return Error(Errc::crypto, "AES-GCM: ipsec-mb refused a packet");
    return {};
  }

  Result<void> open(ByteView nonce, MutableByteView packet) override {
    const MutableByteView body =
        packet.subspan(kLengthSize, packet.size() - kLengthSize - kGcmTagSize);
    const ByteView tag = packet.last(kGcmTagSize);
    std::array<std::byte, kGcmTagSize> expected;  // wrong, until the call has had its effect
    std::transform(tag.begin(), tag.end(), expected.begin(), [](std::byte b) { return ~b; });
    functions_.open(&key_, &context_, raw(body), raw(body), body.size(), raw(nonce), raw(packet),
                    kLengthSize, raw(MutableByteView(expected)), kGcmTagSize);
    const bool genuine = equal_constant_time(tag, expected);
    wipe(expected);  // for a forgery it is the tag that would have passed
    if (!genuine) return wrong_tag();
    return {};
  }

 private:
  void seal_pieces(ByteView nonce, ByteView first, std::span<const ByteView> more,
                   MutableByteView packet) {
    functions_.begin(&key_, &context_, raw(nonce), raw(packet), kLengthSize);
    MutableByteView to = packet.subspan(kLengthSize);
    const auto put = [&](ByteView piece) {
      if (piece.empty()) return;
      functions_.seal_piece(&key_, &context_, raw(to), raw(piece), piece.size());
      to = to.subspan(piece.size());
    };
    put(first);
    for (const ByteView piece : more) put(piece);
    functions_.end(&key_, &context_, raw(to), kGcmTagSize);
  }

  alignas(kKeyAlignment) gcm_key_data key_{};
  gcm_context_data context_{};
  IpsecMbGcmFunctions functions_;
};

/// Found once. Nothing of it ever changes, so threads share it.
const IpsecMb* ipsec_mb() noexcept {
  static const std::optional<IpsecMb> loaded = load_ipsec_mb();
  return loaded ? &*loaded : nullptr;
}

constexpr bool has(std::uint64_t features, std::uint64_t wanted) noexcept {
  return (features & wanted) == wanted;
}

}  // namespace

bool is_runnable(std::uint64_t features) noexcept {
  if (!has(features, IMB_CPUFLAGS_SSE)) return false;  // else it may emulate AES, with tables
  // ipsec-mb asks the CPU, but not whether the operating system saves these registers.
  __builtin_cpu_init();
  return (!has(features, IMB_FEATURE_AVX) || __builtin_cpu_supports("avx")) &&
         (!has(features, IMB_FEATURE_AVX2) || __builtin_cpu_supports("avx2")) &&
         (!has(features, IMB_FEATURE_AVX512F) || __builtin_cpu_supports("avx512f"));
}

bool is_fast(std::uint64_t features) noexcept {
  // What it wants to have before it takes its VAES code for GCM.
  return has(features, IMB_CPUFLAGS_AVX512_T2);
}

bool is_trustworthy(std::uint64_t features) noexcept {
  return has(features, IMB_FEATURE_SAFE_DATA | IMB_FEATURE_SAFE_PARAM | IMB_FEATURE_SELF_TEST_PASS);
}

std::optional<IpsecMb> load_ipsec_mb() noexcept {
  if (!is_runnable(imb_get_feature_flags())) return std::nullopt;
  const Manager manager(alloc_mb_mgr(0));
  if (!manager) return std::nullopt;
  init_mb_mgr_auto(manager.get(), nullptr);  // chooses the code for this CPU, and tests it
  const IMB_MGR& m = *manager;
  if (!is_trustworthy(m.features)) return std::nullopt;
  // The manager's own work is queues of jobs, which we have none of; its functions outlive it.
  return IpsecMb{{m.gcm128_pre, m.gcm128_enc, m.gcm128_dec, m.gcm128_init, m.gcm128_enc_update,
                  m.gcm128_enc_finalize},
                 {m.gcm256_pre, m.gcm256_enc, m.gcm256_dec, m.gcm256_init, m.gcm256_enc_update,
                  m.gcm256_enc_finalize}};
}

std::unique_ptr<GcmCipher> make_ipsec_mb_gcm(const IpsecMbGcmFunctions& functions, ByteView key) {
  return std::make_unique<IpsecMbGcm>(functions, key);
}

std::unique_ptr<GcmCipher> make_ipsec_mb_gcm(ByteView key) {
  const IpsecMb* library = ipsec_mb();
  if (!library) return nullptr;
  return make_ipsec_mb_gcm(key.size() == 16 ? library->aes128 : library->aes256, key);
}

bool ipsec_mb_is_available() noexcept {
  return ipsec_mb() != nullptr;
}

bool ipsec_mb_is_fast() noexcept {
  static const bool fast = is_fast(imb_get_feature_flags());
  return fast;
}

std::string_view ipsec_mb_implementation() noexcept {
  static const std::string text =
      ipsec_mb() ? std::string("ipsec-mb ") + imb_get_version_str() : std::string();
  return text;
}

}  // namespace streamkit::crypto
