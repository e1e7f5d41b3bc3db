// A server that keeps to no rules, against a client: nothing of authentication leaves before the
// keys of a proven and accepted host are on, and nothing comes up before the client asked and was
// answered.
#include "ssh_script.hpp"

using namespace streamkit;

namespace {

std::string seen_in_pieces_of(ByteView in, std::size_t chunk) {
  ssh::Config options = testing::client_config();
  options.identities.emplace_back(testing::test_key(crypto::KeyType::ecdsa_p256).public_key());
  options.password = "open sesame";
  options.interactive = true;
  testing::RawPeer peer(ssh::Role::server, testing::server_config(), std::move(options));
  peer.engine.signature_answer = [](const ssh::SignatureNeeded& e) {
    return testing::test_key(crypto::KeyType::ecdsa_p256).sign(e.algorithm, e.data).value();
  };
  peer.engine.prompts_answer = [](const ssh::InfoRequest& asked) {
    return std::vector<std::string>(asked.prompts.size(), "open sesame");
  };
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
      const bool keys = peer.engine.transport.info().exchanges > 0;
      require(keys || (!peer.received(ssh::kMsgServiceRequest) &&
                       !peer.received(ssh::kMsgUserauthRequest)));
      require(!peer.engine.has("authenticated") || peer.received(ssh::kMsgUserauthRequest));
      require(peer.engine.payloads.empty() || peer.engine.has("authenticated"));
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
