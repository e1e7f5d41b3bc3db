// Which message may come when: one table for every state, role and message number. The engine asks
// it for each packet before anything else looks inside, and the tests are generated from it. (RFC
// 4253 sections 7.1 and 11, RFC 4252 section 6, strict key exchange.)
#pragma once

#include <streamkit/ssh/config.hpp>

#include <cstdint>

namespace streamkit::ssh {

enum class Verdict : std::uint8_t {
  act,            ///< look inside
  ignore,         ///< drop it and go on
  unimplemented,  ///< answer SSH_MSG_UNIMPLEMENTED and go on
  disconnect,     ///< a violation: reason 2
};

/// What the peer may send now. Our own KEXINIT does not change it: until the peer's KEXINIT is
/// here, what it sent before is legal.
enum class State : std::uint8_t {
  first_kexinit,  ///< the first KEXINIT is awaited
  exchange,       ///< first exchange: the method's message is awaited
  guess,     ///< first exchange: the peer guessed wrong, one packet of the method is to be skipped
  new_keys,  ///< first exchange: NEWKEYS is awaited
  auth,      ///< keys are on, nobody is authenticated
  open,      ///< authenticated
  rekey_exchange,  ///< the same three in a later exchange
  rekey_guess,
  rekey_new_keys,
};
inline constexpr std::size_t kStates = 9;

/// What to do with `message` from the peer, when we are `role`. `strict`: both sides asked for
/// strict key exchange; it matters in the first exchange only (and cannot be known in
/// first_kexinit, where the engine asks without it and checks afterwards that the KEXINIT was the
/// first packet).
Verdict verdict(State state, Role role, bool strict, std::uint8_t message) noexcept;

}  // namespace streamkit::ssh
