// A client that keeps to no rules, against a server: nobody is ever authenticated without a
// signature by a key that the server accepted, no payload comes up, and what waits in memory stays
// small. The same bytes in other pieces give the same events and answers.
#include "ssh_script.hpp"

using namespace streamkit;

namespace {

std::string seen_in_pieces_of(ByteView in, std::size_t chunk) {
  ssh::Config options = testing::server_config();
  options.offer_password = options.offer_interactive = true;
  testing::RawPeer peer(ssh::Role::client, testing::client_config(), std::move(options));
  bool accepted = false;
  peer.engine.password_answer = [&](const ssh::PasswordOffered& e) {
    return accepted = as_text(e.password.view()) == "open sesame";
  };
  peer.engine.interactive_answer = [](const auto&) {
    return testing::PairEnd::Reply(ssh::InfoRequest{"", "", {{"first", true}, {"second", false}}});
  };
  peer.engine.response_answer = [&](const ssh::InfoResponse& e) {
    require(e.answers.size() == 2);
    return testing::PairEnd::Reply(accepted = as_text(e.answers[1].view()) == "open sesame");
  };
  peer.engine.key_answer = [&](const auto&) { return accepted = true; };
  constexpr ssh::State kStarts[] = {ssh::State::first_kexinit, ssh::State::exchange,
                                    ssh::State::guess, ssh::State::new_keys, ssh::State::auth};
  const auto first = std::to_integer<unsigned>(in[0]);
  peer.chunk = chunk;
  peer.proposal.strict = (first & 1) != 0;
  if (first / 2 % 6 == 5) {
    peer.send_bytes(in.subspan(1));
  } else {
    peer.reach(kStarts[first / 2 % 6]);
    fuzz::run_script(peer, in.subspan(1), [&] {
      require(accepted || !peer.engine.transport.is_authenticated());
      require(accepted || peer.engine.payloads.empty());
      require(peer.engine.transport.output().size() < (4u << 20));
    });
  }
  return fuzz::seen_by(peer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (in.empty()) return 0;
  const std::string whole = seen_in_pieces_of(in, std::size_t(-1));
  require(whole == seen_in_pieces_of(in, 1 + data[0] / 12u));
  return 0;
}
