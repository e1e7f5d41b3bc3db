// What the packet protections of this room share: where a packet's parts lie, and how many packets
// one key may protect. Private to src/crypto; the public face is <streamkit/crypto/cipher.hpp>.
#pragma once

#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/cipher.hpp>

#include <cstring>
#include <optional>

namespace streamkit::crypto {

inline constexpr std::size_t kLengthSize = 4;

/// No packet, sealed or opened, is longer than this (libcrypto counts in int). The limits that the
/// protocol sets are far below.
inline constexpr std::size_t kMaxSealedPacket = 16 * 1024 * 1024;

/// RFC 4344 section 3.1 and the nonce of chacha20-poly1305@openssh.com both end here: keys change
/// before, and a Sealer that was not given new ones stops.
inline constexpr std::uint64_t kMaxPacketsPerKey = std::uint64_t{1} << 31;

/// Counts the packets of one key.
class PacketBudget {
 public:
  explicit PacketBudget(std::uint64_t packets) noexcept : left_(packets) {}
  Result<void> spend() {
    if (left_ == 0)
      return Error(Errc::limit,
                   "this key has protected all the packets it may; exchange keys sooner");
    --left_;
    return {};
  }

 private:
  std::uint64_t left_;
};

/// The pieces and the place for tag fit `out` exactly, and the length is whole in the first piece.
inline Result<void> check_seal(std::span<const ByteView> pieces, MutableByteView out,
                               std::size_t tag) {
  if (out.size() > kMaxSealedPacket) return Error(Errc::usage, "seal: the packet is too long");
  std::size_t room = out.size();
  for (const ByteView piece : pieces) {
    if (piece.size() > room) return Error(Errc::usage, "seal: the pieces do not fit the output");
    room -= piece.size();
  }
  if (room != tag || pieces.empty() || pieces[0].size() < kLengthSize)
    return Error(Errc::usage, "seal: pieces and tag must fill the output");
  return {};
}

/// Remembers between read_length() and open() what the packet announced.
class AnnouncedLength {
 public:
  std::uint32_t set(std::uint32_t length) noexcept {
    length_ = length;
    return length;
  }
  /// Whether `packet` is exactly the packet that was announced. Each announcement serves once.
  Result<void> take(ByteView packet, std::size_t tag) {
    const std::optional<std::uint32_t> length = std::exchange(length_, std::nullopt);
    if (!length || packet.size() > kMaxSealedPacket ||
        packet.size() != kLengthSize + std::uint64_t{*length} + tag)
      return Error(Errc::usage, "open: not the packet whose length was read");
    return {};
  }

 private:
  std::optional<std::uint32_t> length_;
};

/// Copies the length of the first piece to `out` (it may be there already) and gives the rest of
/// it.
inline ByteView copy_length(std::span<const ByteView> pieces, MutableByteView out) noexcept {
  std::memmove(out.data(), pieces[0].data(), kLengthSize);
  return pieces[0].subspan(kLengthSize);
}

inline Error wrong_tag() {
  return Error(Errc::mac);
}

}  // namespace streamkit::crypto
