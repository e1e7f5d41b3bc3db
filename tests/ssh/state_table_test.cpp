// Every message number in every state, both roles, strict or not: the table's verdict against what
// the engine does.
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::RawPeer;

constexpr State kAll[] = {State::first_kexinit,  State::exchange,    State::guess,
                          State::new_keys,       State::auth,        State::open,
                          State::rekey_exchange, State::rekey_guess, State::rekey_new_keys};

Role other(Role role) {
  return role == Role::client ? Role::server : Role::client;
}

bool is_alike(Verdict v) {
  return v == Verdict::ignore || v == Verdict::unimplemented;
}

struct Situation {
  State state;
  Role engine;
  bool strict;

  std::string words(unsigned number) const {
    return "state " + std::to_string(int(state)) +
           (engine == Role::client ? " client" : " server") + (strict ? " strict" : "") +
           " message " + std::to_string(number);
  }
  std::unique_ptr<RawPeer> peer() const {
    const bool raw_is_client = engine == Role::server;
    Config options = raw_is_client ? testing::server_config() : testing::client_config();
    options.algorithms.ciphers = {"aes128-gcm@openssh.com"};
    auto raw = std::make_unique<RawPeer>(
        other(engine), raw_is_client ? testing::client_config() : testing::server_config(),
        std::move(options));
    raw->proposal.strict = strict;
    raw->reach(state);
    raw->inbox.clear();
    raw->engine.log.clear();
    return raw;
  }
};

/// What the engine does with `number`, as far as it can be seen from outside.
void expect_verdict(const Situation& at, RawPeer& peer, std::uint8_t number) {
  const bool strict_now = at.strict && at.state != State::first_kexinit;
  const Verdict wanted = verdict(at.state, at.engine, strict_now, number);
  const std::uint32_t sequence = peer.sealer().sequence();
  peer.inbox.clear();
  peer.send(number);
  SCOPED_TRACE(at.words(number));
  switch (wanted) {
    case Verdict::disconnect:
      EXPECT_FALSE(peer.is_live());
      EXPECT_EQ(peer.reason(), 2u);
      EXPECT_EQ(peer.engine.log, std::vector<std::string>{"disconnected"});
      EXPECT_TRUE(peer.engine.payloads.empty());
      break;
    case Verdict::ignore:
      EXPECT_TRUE(peer.is_live());
      EXPECT_TRUE(peer.inbox.empty());
      EXPECT_TRUE(peer.engine.log.empty());
      break;
    case Verdict::unimplemented:
      EXPECT_TRUE(peer.is_live());
      ASSERT_EQ(peer.inbox.size(), 1u);
      EXPECT_EQ(peer.inbox[0], write_unimplemented(sequence));
      break;
    case Verdict::act:
      EXPECT_FALSE(peer.received(kMsgUnimplemented));
      break;
  }
}

/// How many numbers ended the connection.
int run_table(State state, Role engine, bool strict) {
  const Situation at{state, engine, strict};
  std::unique_ptr<RawPeer> peer;
  int used = 0, refused = 0;
  for (unsigned number = 0; number < 256; ++number) {
    const bool strict_now = strict && state != State::first_kexinit;
    const Verdict wanted = verdict(state, engine, strict_now, static_cast<std::uint8_t>(number));
    // A connection that lives on is used again: not for ever (UNIMPLEMENTED is counted), and never
    // after a message that changes the state.
    const bool fresh = !peer || !peer->is_live() || ++used > 12;
    if (fresh) peer = at.peer(), used = 0;
    EXPECT_TRUE(peer->is_live()) << at.words(number);
    expect_verdict(at, *peer, static_cast<std::uint8_t>(number));
    if (wanted == Verdict::disconnect && peer->reason() == 2) ++refused;
    const bool guessed = state == State::guess || state == State::rekey_guess;
    if (!is_alike(wanted) || (guessed && number >= 30 && number <= 49)) peer.reset();
  }
  return refused;
}

/// Of all 256 numbers.
int refusing_cells(State state, Role engine, bool strict) {
  int cells = 0;
  for (unsigned n = 0; n < 256; ++n)
    cells += verdict(state, engine, strict && state != State::first_kexinit,
                     static_cast<std::uint8_t>(n)) == Verdict::disconnect;
  return cells;
}

class EveryState : public ::testing::TestWithParam<State> {};

TEST_P(EveryState, decides_for_every_message_and_each_refusing_cell_is_hit) {
  for (const Role engine : {Role::server, Role::client})
    for (const bool strict : {false, true}) {
      const int cells = refusing_cells(GetParam(), engine, strict);
      EXPECT_GE(cells, 50);
      EXPECT_EQ(run_table(GetParam(), engine, strict), cells);
    }
}

INSTANTIATE_TEST_SUITE_P(StateTable, EveryState, ::testing::ValuesIn(kAll));

TEST(StateTable, a2_knows_no_way_around_authentication) {
  for (const State state : kAll) {
    if (state == State::open) continue;
    for (const Role role : {Role::client, Role::server})
      for (const bool strict : {false, true})
        for (unsigned n = 80; n <= 100; ++n)
          EXPECT_EQ(verdict(state, role, strict, static_cast<std::uint8_t>(n)),
                    Verdict::disconnect);
  }
}

TEST(StateTable, a6_allows_exactly_one_message_in_a_strict_exchange_beside_disconnect) {
  for (const State state : {State::first_kexinit, State::exchange, State::new_keys})
    for (const Role role : {Role::client, Role::server}) {
      int allowed = 0;
      for (unsigned n = 0; n < 256; ++n)
        allowed += verdict(state, role, true, static_cast<std::uint8_t>(n)) != Verdict::disconnect;
      EXPECT_EQ(allowed, 2);
    }
}

TEST(StateTable, a1_a_server_never_acts_on_what_only_servers_send) {
  for (const State state : kAll)
    for (const int n : {6, 31, 51, 52, 53, 60})
      EXPECT_NE(verdict(state, Role::server, false, static_cast<std::uint8_t>(n)), Verdict::act)
          << n;
}

}  // namespace
}  // namespace streamkit::ssh
