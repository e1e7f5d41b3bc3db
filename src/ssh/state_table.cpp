// The table itself. Read a row as: these message numbers, in each column of kColumns.
//   A act, I ignore, U unimplemented, X disconnect, K as the stage of the key exchange says
#include "state_table.hpp"

#include "numbers.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace streamkit::ssh {
namespace {

enum Column : std::size_t {
  kFirstStrict,
  kFirst,
  kAuthServer,
  kAuthClient,
  kOpenServer,
  kOpenClient,
  kRekey,
  kColumns,
};

struct Row {
  unsigned first, last;
  char columns[kColumns + 1];
};

// clang-format off
constexpr Row kRows[] = {
    //           strict | first | auth: server, client | open: server, client | rekey
    {0, 0,       "XXXXXXX"},
    {1, 1,       "AAAAAAA"},  // DISCONNECT
    {2, 4,       "XIIIIII"},  // IGNORE, UNIMPLEMENTED, DEBUG
    {5, 5,       "XXAXXXX"},  // SERVICE_REQUEST
    {6, 6,       "XXXAXXX"},  // SERVICE_ACCEPT
    {7, 7,       "XXAAXXX"},  // EXT_INFO: where exactly is for its handler to say
    {8, 8,       "XXXXXXX"},  // NEWCOMPRESS: never asked for
    {9, 19,      "XUXUUUX"},
    {20, 20,     "KKAAAAX"},  // KEXINIT
    {21, 21,     "KKXXXXK"},  // NEWKEYS
    {22, 29,     "XUXUUUX"},
    {30, 49,     "KKXXXXK"},  // the key exchange method
    {50, 50,     "XXAXAXX"},  // USERAUTH_REQUEST: after authentication dropped, and counted
    {51, 52,     "XXXAXXX"},  // FAILURE, SUCCESS
    {53, 53,     "XXXAXIX"},  // BANNER
    {54, 59,     "XXXXXXX"},
    {60, 60,     "XXXAXXX"},  // the reply that belongs to the method that is pending
    {61, 61,     "XXAXXXX"},  // INFO_RESPONSE: whether prompts are out is for its handler to say
    {62, 79,     "XXXXXXX"},
    {80, 82,     "XXXXAAX"},  // global requests and their replies
    {83, 89,     "XXXXUUX"},
    {90, 100,    "XXXXAAX"},  // channels
    {101, 191,   "XUXUUUX"},
    {192, 192,   "XIIIAAI"},  // PING
    {193, 193,   "XIIIIII"},  // PONG
    {194, 255,   "XUXUUUX"},
};
// clang-format on

constexpr Column column_of(State state, Role role, bool strict) {
  switch (state) {
    case State::first_kexinit:
    case State::exchange:
    case State::guess:
    case State::new_keys:
      return strict ? kFirstStrict : kFirst;
    case State::auth:
      return role == Role::server ? kAuthServer : kAuthClient;
    case State::open:
      return role == Role::server ? kOpenServer : kOpenClient;
    case State::rekey_exchange:
    case State::rekey_guess:
    case State::rekey_new_keys:
      break;
  }
  return kRekey;
}

/// Exactly one message moves an exchange on; after a wrong guess one of the method is dropped
/// first.
constexpr Verdict stage_verdict(State state, Role role, unsigned message) {
  const auto only = [&](unsigned wanted) {
    return message == wanted ? Verdict::act : Verdict::disconnect;
  };
  switch (state) {
    case State::first_kexinit:
      return only(kMsgKexInit);
    case State::exchange:
    case State::rekey_exchange:
      return only(role == Role::server ? kMsgKexEcdhInit : kMsgKexEcdhReply);
    case State::guess:
    case State::rekey_guess:
      return message >= kMsgKexMethodFirst && message <= kMsgKexMethodLast ? Verdict::ignore
                                                                           : Verdict::disconnect;
    default:  // the other states have no K in their columns
      return only(kMsgNewKeys);
  }
}

constexpr bool every_message_has_its_row() {
  unsigned next = 0;
  for (const Row& row : kRows) {
    if (row.first != next || row.last < row.first) return false;
    next = row.last + 1;
  }
  return next == 256;
}
static_assert(every_message_has_its_row());

Verdict decide(State state, Role role, bool strict, unsigned message) {
  const Row& row = *std::find_if(std::begin(kRows), std::end(kRows),
                                 [=](const Row& r) { return message <= r.last; });
  switch (row.columns[column_of(state, role, strict)]) {
    case 'A':
      return Verdict::act;
    case 'I':
      return Verdict::ignore;
    case 'U':
      return Verdict::unimplemented;
    case 'K':
      return stage_verdict(state, role, message);
    default:
      return Verdict::disconnect;
  }
}

using Table = std::array<std::array<Verdict, 256>, kStates * 4>;

constexpr std::size_t index_of(State state, Role role, bool strict) {
  return static_cast<std::size_t>(state) * 4 + (role == Role::server ? 2u : 0u) +
         (strict ? 1u : 0u);
}

Table make_table() {
  Table table{};
  for (std::size_t s = 0; s < kStates; ++s)
    for (const Role role : {Role::client, Role::server})
      for (const bool strict : {false, true})
        for (unsigned m = 0; m < 256; ++m)
          table[index_of(State(s), role, strict)][m] = decide(State(s), role, strict, m);
  return table;
}

}  // namespace

Verdict verdict(State state, Role role, bool strict, std::uint8_t message) noexcept {
  static const Table table = make_table();
  return table[index_of(state, role, strict)][message];
}

}  // namespace streamkit::ssh
