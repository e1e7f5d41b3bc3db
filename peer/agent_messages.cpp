#include "agent_messages.hpp"

#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace streamkit {
namespace {

constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kRequestIdentities = 11, kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13, kSignResponse = 14;
constexpr std::uint8_t kExtension = 27;
constexpr std::uint32_t kFlagSha256 = 2,
                        kFlagSha512 = 4;  // without one, an RSA key signs with SHA-1

Bytes with_length(const Bytes& message) {
  Bytes out;
  wire::Writer(out).string(ByteView(message));
  return out;
}

Error malformed(std::string_view what) {
  return Error(Errc::protocol, "the ssh-agent's answer is no " + std::string(what));
}

}  // namespace

Bytes write_agent_list() {
  return with_length(Bytes{std::byte{kRequestIdentities}});
}

Bytes write_agent_bind(const ssh::HostKeyReceived& session) {
  Bytes message;
  wire::Writer(message)
      .u8(kExtension)
      .string("session-bind@openssh.com")
      .string(session.key.blob())
      .string(ByteView(session.session_id))
      .string(ByteView(session.signature))
      .boolean(false);  // it is not forwarded
  return with_length(message);
}

Bytes write_agent_sign(const ssh::SignatureNeeded& needed) {
  const std::uint32_t flags = needed.algorithm == "rsa-sha2-256"   ? kFlagSha256
                              : needed.algorithm == "rsa-sha2-512" ? kFlagSha512
                                                                   : 0;
  Bytes message;
  wire::Writer(message)
      .u8(kSignRequest)
      .string(needed.key.blob())
      .string(ByteView(needed.data))
      .u32(flags);
  return with_length(message);
}

Result<std::optional<ByteView>> find_agent_answer(ByteView received) {
  if (received.size() < 4) return std::optional<ByteView>();
  const std::size_t size = wire::load_u32(received.data());
  if (size > kMaxAgentAnswer)
    return Error(Errc::limit, "the ssh-agent's answer has more than 256 KiB");
  if (size == 0) return malformed("message");
  if (received.size() < 4 + size) return std::optional<ByteView>();
  if (received.size() > 4 + size)
    return Error(Errc::protocol, "the ssh-agent says more than it was asked");
  return std::optional<ByteView>(received.subspan(4));
}

Result<std::vector<crypto::PublicKey>> read_agent_keys(ByteView answer) {
  wire::Reader in(answer);
  if (in.u8() != kIdentitiesAnswer) return malformed("list of keys");
  const std::uint32_t count = in.u32();
  if (count > in.rest().size() / 8) return malformed("list of keys");  // a key is two strings
  std::vector<crypto::PublicKey> keys;
  for (std::uint32_t i = 0; i < count; ++i) {
    const ByteView blob = in.string();
    in.string();  // the comment
    if (!in.ok()) break;
    if (keys.size() == kMaxAgentKeys) continue;
    Result<crypto::PublicKey> key = crypto::PublicKey::from_blob(blob);
    if (key && std::find(keys.begin(), keys.end(), *key) == keys.end())
      keys.push_back(std::move(*key));
  }
  if (!in.end()) return malformed("list of keys");
  return keys;
}

Result<Bytes> read_agent_signature(ByteView answer) {
  wire::Reader in(answer);
  const std::uint8_t number = in.u8();
  if (number == kFailure) return Error(Errc::refused, "the ssh-agent does not sign with this key");
  const ByteView signature = in.string();
  if (number != kSignResponse || !in.end()) return malformed("signature");
  return to_bytes(signature);
}

}  // namespace streamkit
