// A script for a RawPeer out of fuzz input: the first byte picks the state to begin in, then each
// record is a length byte and a payload to seal and send; a length of 255 runs one good step of the
// protocol instead.
#pragma once

#include <fuzz/check.hpp>
#include <support/raw_peer.hpp>

namespace streamkit::fuzz {

inline void good_step(testing::RawPeer& peer, unsigned which) {
  switch (which % 4) {
    case 0:
      peer.send_kexinit();
      break;
    case 1:
      if (!peer.method_message.empty()) peer.send_method();
      break;
    case 2:
      if (peer.kex()) peer.send_new_keys();
      break;
    default:
      peer.send(std::uint8_t{ssh::kMsgIgnore});
  }
}

/// The engine's events and the numbers of what it sent, in order.
inline std::string seen_by(const testing::RawPeer& peer) {
  std::string out;
  for (const std::string& event : peer.engine.log) out += event + " ";
  for (const Bytes& payload : peer.inbox)
    out += std::to_string(std::to_integer<unsigned>(payload[0])) + " ";
  return out + std::to_string(peer.engine.payload_bytes);
}

/// Runs the rest of `in` against the engine; `check` after every record.
template <class Check>
void run_script(testing::RawPeer& peer, ByteView in, Check check) {
  while (!in.empty() && peer.is_live()) {
    const auto size = std::to_integer<std::size_t>(in[0]);
    in = in.subspan(1);
    if (size == 255) {
      good_step(peer, in.empty() ? 0 : std::to_integer<unsigned>(in[0]));
      if (!in.empty()) in = in.subspan(1);
    } else if (size == 254) {  // raw bytes on the wire, unsealed
      peer.send_bytes(in);
      in = {};
    } else if (size > 0) {
      const ByteView payload = in.first(std::min(size, in.size()));
      in = in.subspan(payload.size());
      if (!payload.empty()) peer.send(payload);
    }
    check();
  }
  require(peer.engine.transport.is_closed() == peer.engine.disconnected.has_value());
  require(!peer.broken);  // whatever happens, what the engine sends is well-formed
}

}  // namespace streamkit::fuzz
