// The binary packet protocol (RFC 4253 section 6): layout, padding, bounds and sequence numbers
// around crypto's Sealer and Opener. Does not know what a payload means, nor when keys change.
#pragma once

#include <streamkit/base/buffer.hpp>
#include <streamkit/base/random.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/crypto/cipher.hpp>

#include <cstdint>
#include <memory>
#include <optional>

namespace streamkit::ssh {

inline constexpr std::size_t kMinPadding = 4;
inline constexpr std::size_t kMinBlock = 8;

/// What one set of keys has protected so far.
struct KeyUse {
  std::uint64_t bytes = 0, packets = 0;
};

/// Makes packets of payloads, one direction.
class PacketSealer {
 public:
  PacketSealer() : sealer_(crypto::make_plain_sealer()) {}

  /// From the next packet on. Strict key exchange starts the sequence numbers again.
  void set_keys(std::unique_ptr<crypto::Sealer> sealer, bool reset_sequence);
  /// Appends the packet with payload `header` + `body` to `out`, encrypting from the caller's
  /// memory. Padding bytes come from `random`. On an error `out` is as before; one of the
  /// cipher is final for these keys.
  Result<void> seal(ByteView header, ByteView body, Random& random, ByteQueue& out);
  /// The largest payload of a packet that has at most `packet_size` bytes in all.
  std::size_t max_payload(std::size_t packet_size) const noexcept;

  std::uint32_t sequence() const noexcept { return sequence_; }  ///< of the next packet
  const KeyUse& use() const noexcept { return use_; }

 private:
  std::unique_ptr<crypto::Sealer> sealer_;
  std::uint32_t sequence_ = 0;
  bool is_broken_ = false;
  KeyUse use_;
};

/// Finds packets in received bytes and opens them in place, one direction.
class PacketOpener {
 public:
  explicit PacketOpener(std::size_t max_packet)
      : opener_(crypto::make_plain_opener()), max_packet_(max_packet) {}

  void set_keys(std::unique_ptr<crypto::Opener> opener, bool reset_sequence);
  /// The largest packet_length believed from now on.
  void set_max_packet(std::size_t bytes) noexcept { max_packet_ = bytes; }

  struct Packet {
    std::size_t payload_at = 0, payload_size = 0;  ///< within the bytes given to open()
    std::size_t size = 0;                          ///< all of the packet, to be consumed
    std::uint32_t sequence = 0;
  };
  /// `input` begins where the last packet ended; nothing when the packet is not whole yet. Errors:
  /// protocol (clear text, or padding), mac (anything wrong under keys), crypto. They are final.
  Result<std::optional<Packet>> open(MutableByteView input);

  std::uint32_t sequence() const noexcept { return sequence_; }  ///< of the next packet
  const KeyUse& use() const noexcept { return use_; }

 private:
  bool is_protected() const noexcept { return opener_->tag_size() != 0; }
  bool hides_length() const noexcept { return is_protected() && opener_->aligns_length(); }
  Result<void> read_length(MutableByteView input);
  Result<std::optional<Packet>> finish(MutableByteView packet);

  std::unique_ptr<crypto::Opener> opener_;
  std::size_t max_packet_;
  std::size_t length_ = 0;   // packet_length of the packet being awaited; 0: not read yet
  bool discarding_ = false;  // the packet is bad, but its sender must not learn where
  std::uint32_t sequence_ = 0;
  KeyUse use_;
};

}  // namespace streamkit::ssh
