// What is said to an ssh-agent and what it answers (RFC 9987), to bytes and back. Its answers are
// taken apart strictly: an agent is another program, and whoever can reach its socket may be it.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/ssh/transport.hpp>

#include <optional>
#include <vector>

namespace streamkit {

inline constexpr std::size_t kMaxAgentAnswer = 256 * 1024;  ///< bytes behind the length
inline constexpr std::size_t kMaxAgentKeys = 64;            ///< that are used; others are left out

/// Requests come with their length in front.
Bytes write_agent_list();
/// Binds the connection to the agent to one session with one host, so that a key which the agent
/// may use for certain hosts only is not used for others (OpenSSH's session-bind@openssh.com).
Bytes write_agent_bind(const ssh::HostKeyReceived& session);
Bytes write_agent_sign(const ssh::SignatureNeeded& needed);

/// The answer at the beginning of `received`, without its length, or nothing while bytes are
/// missing. Errc::limit for a length above kMaxAgentAnswer, before the rest is there;
/// Errc::protocol for an empty answer, or when something comes behind it.
Result<std::optional<ByteView>> find_agent_answer(ByteView received);
/// The keys of kinds that we know, in the agent's order; each once.
Result<std::vector<crypto::PublicKey>> read_agent_keys(ByteView answer);
/// A signature blob. Errc::refused when the agent does not sign.
Result<Bytes> read_agent_signature(ByteView answer);

}  // namespace streamkit
