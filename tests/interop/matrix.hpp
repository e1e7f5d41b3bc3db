// The matrix that `./run interop` prints: what a test says about the cell that it is, and the
// values that the columns have. A cell is a test whose name is
// IMPLEMENTATION/ROLECOLUMN.sentence/value.
#pragma once

#include "login.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::testing {

/// Says which cell the running test is: "Dropbear", "client", "kex", "curve25519-sha256".
void cell(std::string_view implementation, std::string_view role, std::string_view column,
          std::string_view value);
/// Says that the other side cannot do this, and why. The test has to return after it.
void not_supported(std::string_view reason);

/// Whether a negotiation failed because the other side did not offer this name. `text` has the
/// error of ours that shows what both sides offered. Empty: no, or nothing of the kind is in the
/// text.
std::string not_offered(std::string_view text, std::string_view other_role, std::string_view name);

/// An implementation that a test needs, and the Debian package that it comes in.
struct Need {
  std::string program;  ///< a name to look up, or the whole path of a file
  std::string package;
};
/// What to say when one of them is missing; else empty.
std::string missing(const std::vector<Need>& needs);

/// What an implementation cannot do, as far as it does not say so itself: "kex curve25519-sha256",
/// "service environment" -> a reason.
using Lacks = std::map<std::string, std::string>;

/// A column's values: key exchanges and ciphers (that this build has), MACs, algorithms of host
/// keys, and ways in which a user logs in.
std::vector<std::string> kex_values();
std::vector<std::string> cipher_values();
std::vector<std::string> mac_values();
std::vector<std::string> host_key_values();
std::vector<std::string> auth_values();

/// The first of kex_values() that the OpenSSH here has: what we agree on when both offer all.
std::string best_kex_with_openssh();

/// The type of key that an algorithm of host_key_values() or auth_values() is for.
crypto::KeyType key_type_of(std::string_view algorithm);

inline constexpr std::uint64_t kNeverRekey = 1ull << 40;
inline constexpr std::uint64_t kOften = 64 << 10;  ///< bytes, of a transfer of a megabyte

/// What our peer says of somebody who sends data in the middle of a key exchange, and what it is
/// then.
inline constexpr const char* kNotInKex = "message 94 is not allowed at this point";
inline constexpr const char* kSendsInKex =
    "sends data in the middle of a key exchange, which RFC 4253 section 7.1 forbids";

/// One name in one of the lists, and everything else as usual.
ssh::Algorithms only(std::vector<std::string> ssh::Algorithms::* list, std::string_view name);
/// AES in counter mode with one MAC.
ssh::Algorithms ctr_with(std::string_view mac);

/// A value as a part of a test's name.
std::string value_name(std::string_view value);

}  // namespace streamkit::testing
