// Names: who may be called what, and for how long. Pure rules without I/O: the time is an argument.
//
// A name belongs to the key that claimed it. The same key takes over at once, another key is told
// who holds it, and nobody is given a name that was not asked for. When a link is lost the name
// lingers for its key. TCP ports follow the same rule under the name "tcp:PORT".
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/crypto/key.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::tunnel {

inline constexpr std::size_t kMaxLabel = 63;         ///< RFC 1035 section 2.3.4
inline constexpr std::size_t kDerivedNameSize = 16;  ///< characters of five bits: 80 bits

/// `text` as the name of a tunnel: one DNS label in lower case (upper case is folded, as DNS does),
/// not one of the reserved ones. Errc::bad_name with a sentence that says what is wrong.
Result<std::string> check_name(std::string_view text);

/// The name that belongs to a key and to no other: the first 80 bits of the SHA-256 of the key's
/// blob in lower-case base32.
Result<std::string> derived_name(const crypto::PublicKey& key);

/// Whether a name has the form of a derived one. Only its own key may claim such a name.
bool has_derived_form(std::string_view name) noexcept;

/// The label before `.domain` in a Host value (a port and a final dot are ignored); empty for the
/// domain itself, nothing for a host that is not below the domain or more than one label deep.
std::optional<std::string> label_of_host(std::string_view host, std::string_view domain);

/// "3 s", "12 min", "5 h", "2 days".
std::string duration_text(Duration duration);

/// One claim of one client on one name; never reused.
using ClaimId = std::uint64_t;

class NameTable {
 public:
  /// Who asks.
  struct Claimant {
    std::string owner;  ///< fingerprint of the key
    std::string from;   ///< address, for people
  };
  struct Entry {
    ClaimId claim = 0;
    std::string owner;
    std::string from;
    TimePoint since{};
    bool lingering = false;    ///< the holder's link was lost
    TimePoint until = kNever;  ///< when a lingering name becomes free
  };
  struct Claimed {
    ClaimId claim = 0;
    ClaimId superseded = 0;  ///< the live claim of the same key that this one ends; 0: none
    bool resumed = false;    ///< the name was lingering for this key
  };

  NameTable(Duration linger, std::size_t max_names_per_owner)
      : linger_(linger), max_per_owner_(max_names_per_owner) {}

  /// Errc::name_taken with a sentence about the holder, or Errc::limit.
  Result<Claimed> claim(const std::string& name, const Claimant& who, TimePoint now);
  /// The holder left in good order: free at once. A superseded claim releases nothing.
  void release(ClaimId claim);
  /// The holder's link was lost: the name waits for its key. False for a superseded claim.
  bool linger(ClaimId claim, TimePoint now);
  /// The entry under `name`, or nullptr. A lingering name past its time is no longer there.
  const Entry* find(std::string_view name, TimePoint now) const;
  /// Drops what lingered long enough, and says which names these were.
  std::vector<std::string> expire(TimePoint now);
  /// When expire() will next have something to do; kNever for never.
  TimePoint next_expiry() const noexcept;
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  std::string taken_text(const std::string& name, const Entry& entry, TimePoint now) const;
  std::size_t count_of(const std::string& owner) const noexcept;

  Duration linger_;
  std::size_t max_per_owner_;
  ClaimId last_claim_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace streamkit::tunnel
