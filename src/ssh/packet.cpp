// Packets out and in. The send path touches a payload once: the cipher reads it where the caller
// has it and writes where the stream will take it from.
#include "packet.hpp"

#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace streamkit::ssh {
namespace {

/// Below this a copy into place and one call of the cipher beat two calls.
constexpr std::size_t kCopyBelow = 512;
constexpr std::size_t kFixed = 5;  // packet_length and padding_length

std::size_t padding_for(std::size_t payload, std::size_t block, bool with_length) {
  const std::size_t padded = (with_length ? kFixed : 1) + payload;
  const std::size_t padding = block - padded % block;
  return padding < kMinPadding ? padding + block : padding;
}

void copy(MutableByteView to, ByteView from) {
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace

void PacketSealer::set_keys(std::unique_ptr<crypto::Sealer> sealer, bool reset_sequence) {
  sealer_ = std::move(sealer);
  is_broken_ = false;
  use_ = {};
  if (reset_sequence) sequence_ = 0;
}

std::size_t PacketSealer::max_payload(std::size_t packet_size) const noexcept {
  const std::size_t block = std::max(kMinBlock, sealer_->block_size());
  const std::size_t around = kFixed + kMinPadding + block + sealer_->tag_size();
  return packet_size > around ? packet_size - around : 0;
}

Result<void> PacketSealer::seal(ByteView header, ByteView body, Random& random, ByteQueue& out) {
  if (is_broken_) return Error(Errc::crypto, "a cipher that has failed once");
  const std::size_t payload = header.size() + body.size();
  const std::size_t block = std::max(kMinBlock, sealer_->block_size());
  const std::size_t padding = padding_for(payload, block, sealer_->aligns_length());
  const std::size_t plain = kFixed + payload + padding;
  const std::size_t whole = plain + sealer_->tag_size();

  const MutableByteView packet = out.prepare(whole).first(whole);
  wire::store_u32(packet.data(), static_cast<std::uint32_t>(plain - 4));
  packet[4] = std::byte(padding);
  copy(packet.subspan(kFixed), header);
  const MutableByteView pad = packet.subspan(kFixed + payload, padding);
  if (auto filled = random.fill(pad); !filled) return filled.error();

  Result<void> sealed;
  if (body.size() < kCopyBelow) {
    copy(packet.subspan(kFixed + header.size()), body);
    const std::array<ByteView, 1> pieces = {packet.first(plain)};
    sealed = sealer_->seal(sequence_, pieces, packet);
  } else {
    const std::array<ByteView, 3> pieces = {packet.first(kFixed + header.size()), body, pad};
    sealed = sealer_->seal(sequence_, pieces, packet);
  }
  if (!sealed) {
    // Who has begun a packet and not ended it does not know where its key stream stands.
    is_broken_ = true;
    return sealed.error();
  }
  out.commit(whole);
  ++sequence_;
  ++use_.packets;
  use_.bytes += whole;
  return {};
}

void PacketOpener::set_keys(std::unique_ptr<crypto::Opener> opener, bool reset_sequence) {
  opener_ = std::move(opener);
  use_ = {};
  if (reset_sequence) sequence_ = 0;
}

Result<void> PacketOpener::read_length(MutableByteView input) {
  Result<std::uint32_t> length = opener_->read_length(sequence_, input);
  if (!length) return length.error();
  const std::size_t block = std::max(kMinBlock, opener_->block_size());
  const std::size_t aligned = *length + std::size_t{opener_->aligns_length() ? 4u : 0u};
  const bool good = *length >= kFixed && *length <= max_packet_ && aligned % block == 0;
  if (good) {
    length_ = *length;
  } else if (hides_length()) {
    discarding_ = true;
  } else if (is_protected()) {
    return Error(Errc::mac, "a packet failed its integrity check");
  } else {
    return Error(Errc::protocol, "a packet of a length that is not allowed");
  }
  return {};
}

Result<std::optional<PacketOpener::Packet>> PacketOpener::open(MutableByteView input) {
  if (length_ == 0 && !discarding_) {
    if (input.size() < opener_->length_prefix()) return std::optional<Packet>();
    if (auto read = read_length(input); !read) return read.error();
  }
  if (!discarding_) {
    const std::size_t whole = 4 + length_ + opener_->tag_size();
    if (input.size() < whole) return std::optional<Packet>();
    Result<std::optional<Packet>> packet = finish(input.first(whole));
    // With an encrypted length, how many bytes are read before a failure would tell an attacker
    // what his ciphertext decrypts to (CVE-2008-5161). So a bad packet always takes as many as the
    // longest.
    if (packet || !packet.error().is(Errc::mac) || !hides_length()) return packet;
    discarding_ = true;
  }
  if (input.size() < 4 + max_packet_ + opener_->tag_size()) return std::optional<Packet>();
  return Error(Errc::mac, "a packet failed its integrity check");
}

Result<std::optional<PacketOpener::Packet>> PacketOpener::finish(MutableByteView packet) {
  if (auto opened = opener_->open(sequence_, packet); !opened) return opened.error();
  const auto padding = std::to_integer<std::size_t>(packet[4]);
  if (padding < kMinPadding || padding + 2 > length_)
    return Error(Errc::protocol, "a packet with wrong padding or without a payload");
  Packet out;
  out.payload_at = kFixed;
  out.payload_size = length_ - 1 - padding;
  out.size = packet.size();
  out.sequence = sequence_++;
  length_ = 0;
  ++use_.packets;
  use_.bytes += packet.size();
  return std::optional<Packet>(out);
}

}  // namespace streamkit::ssh
