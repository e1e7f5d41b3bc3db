// SSH_MSG_KEXINIT and the choice of algorithms (RFC 4253 section 7.1, RFC 8308 section 2.1, strict
// key exchange). Reads, writes and compares proposals; does no key exchange.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/ssh/config.hpp>

#include <array>
#include <string>
#include <vector>

namespace streamkit::ssh {

inline constexpr std::size_t kMaxKexInit = 32 * 1024;  ///< bytes of a KEXINIT payload
using Cookie = std::array<std::byte, 16>;

/// What one side offers. The names that are no algorithms are flags here, so that they can never be
/// chosen.
struct Proposal {
  using Names = std::vector<std::string>;
  Names kex, host_keys;
  Names ciphers_to_server, ciphers_to_client, macs_to_server, macs_to_client;
  Names compression_to_server, compression_to_client;
  bool follows = false;   ///< first_kex_packet_follows
  bool ext_info = false;  ///< wants EXT_INFO
  bool strict = false;    ///< offers strict key exchange
};

/// The names that Config asks for, checked: unknown ones are Errc::usage. Lists that are empty
/// there are everything the crypto room has; a server offers only host key algorithms it has keys
/// (and certificates) for.
Result<Proposal> make_proposal(Role ours, const Config& config);

/// `first`: the names that are no algorithms are written in the first exchange only.
Bytes write_kexinit(const Proposal& proposal, Role sender, bool first, const Cookie& cookie);
Result<Proposal> read_kexinit(ByteView payload, Role sender);

struct Agreement {
  std::string kex, host_key;
  std::string cipher_to_server, cipher_to_client;
  std::string mac_to_server, mac_to_client;  ///< empty with an AEAD cipher
  bool guess_was_right = false;              ///< of whichever side guessed
};
/// Errc::negotiation names the list that has nothing in common.
Result<Agreement> negotiate(const Proposal& client, const Proposal& server);
/// The ciphers that a peer without strict key exchange makes unsafe (CVE-2023-48795): refused
/// unless allowed.
Result<void> check_strictness(const Agreement& agreed, bool strict, const Algorithms& policy);

}  // namespace streamkit::ssh
