// Which message may come for a channel in which state, as one table (RFC 4254 sections 5.1 to 5.4).
// The dispatch asks it before any message is acted upon, and the tests walk every cell of it.
#pragma once

#include "numbers.hpp"

#include <array>
#include <cstddef>

namespace streamkit::channel {

/// Where a channel stands, as far as what may come for it is concerned.
enum class Standing : std::uint8_t {
  opening,        ///< we sent OPEN and have no answer
  abandoned,      ///< the same, but nobody waits for the answer any more
  incoming,       ///< they sent OPEN, and we have not answered: they do not know our number yet
  open,           ///< both directions are alive
  ended,          ///< they sent EOF
  closing,        ///< we sent CLOSE, they did not yet
  closing_ended,  ///< the same, after their EOF
  finished,       ///< both have sent CLOSE; the number waits to be freed
};
inline constexpr std::size_t kStandings = 8;

enum class Verdict : std::uint8_t {
  act,        ///< it is expected: handle it
  discard,    ///< it crossed our CLOSE: legal, without effect
  drop,       ///< nothing asked for it: count it and go on
  violation,  ///< the other side broke RFC 4254: the link ends
};

namespace table {
inline constexpr Verdict A = Verdict::act, I = Verdict::discard, N = Verdict::drop,
                         X = Verdict::violation;

// Each row is a message, 91 to 100; each column a Standing, in the order above.
// Replies that nobody asked for are dropped, never matched to a later request. A second EOF says
// nothing new and is dropped as well. After their CLOSE nothing more may come.
inline constexpr std::array<std::array<Verdict, kStandings>, 10> kRules{{
    // opening abandoned incoming open ended closing closing_ended finished
    {A, A, X, X, X, X, X, X},  // 91 OPEN_CONFIRMATION
    {A, A, X, X, X, X, X, X},  // 92 OPEN_FAILURE
    {X, X, X, A, A, I, I, X},  // 93 WINDOW_ADJUST
    {X, X, X, A, X, I, X, X},  // 94 DATA
    {X, X, X, A, X, I, X, X},  // 95 EXTENDED_DATA
    {X, X, X, A, N, A, N, X},  // 96 EOF
    {X, X, X, A, A, A, A, X},  // 97 CLOSE
    {X, X, X, A, A, A, A, X},  // 98 CHANNEL_REQUEST (after our CLOSE: never answered)
    {N, N, X, A, A, I, I, X},  // 99 CHANNEL_SUCCESS
    {N, N, X, A, A, I, I, X},  // 100 CHANNEL_FAILURE
}};
}  // namespace table

/// `number` is one of 91 to 100.
constexpr Verdict verdict(Number number, Standing standing) noexcept {
  const auto row = static_cast<std::size_t>(number) - 91;
  return table::kRules[row][static_cast<std::size_t>(standing)];
}

}  // namespace streamkit::channel
