// The request that lets somebody in (RFC 4252 section 7): a good one by a key that the server
// takes, with the changes that the input asks for, before it is signed or after. Only the request
// that was meant is accepted, and it is accepted.
#include <fuzz/check.hpp>
#include <support/raw_peer.hpp>

using namespace streamkit;

namespace {

struct Changes {
  ByteView rest;
  unsigned next() {
    if (rest.empty()) return 0;
    const auto value = std::to_integer<unsigned>(rest[0]);
    rest = rest.subspan(1);
    return value;
  }
  ByteView some() {
    const std::size_t size = next();
    const ByteView out = rest.first(std::min(size, rest.size()));
    rest = rest.subspan(out.size());
    return out;
  }
};

/// Changes a field before it is signed, so that the signature is good for what the server must not
/// take all the same.
void change_fields(Changes& changes, ssh::UserauthRequest& request, bool& is_good) {
  const unsigned what = changes.next() % 8;
  const std::string_view text = as_text(changes.some());
  const ByteView before = request.key;
  if (what == 1) is_good = is_good && text == request.service, request.service = text;
  if (what == 2) is_good = is_good && text == request.algorithm, request.algorithm = text;
  if (what == 3)
    is_good = is_good && std::equal(before.begin(), before.end(), as_bytes(text).begin(),
                                    as_bytes(text).end()),
    request.key = as_bytes(text);
  if (what == 4) request.user = text;  // whom the server lets in is asked below
}

void change_bytes(Changes& changes, Bytes& payload) {
  for (int n = 0; n < 4 && !changes.rest.empty(); ++n) {
    const unsigned kind = changes.next() % 5;
    const unsigned high = changes.next(), low = changes.next();
    const std::size_t at = (high << 8 | low) % payload.size();
    if (kind == 1) payload[at] ^= std::byte(changes.next());
    if (kind == 2) payload.resize(at + 1);
    if (kind == 3) append(payload, changes.some());
    if (kind == 4)
      payload.erase(payload.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(at, 1)));
    if (payload.size() < 2) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Changes changes{std::as_bytes(std::span(data, size))};
  const auto type =
      changes.next() % 2 == 0 ? crypto::KeyType::ed25519 : crypto::KeyType::ecdsa_p256;
  ssh::Config ours = testing::client_config();
  ours.identities = {ssh::Identity(testing::test_key(type))};
  testing::RawPeer peer(ssh::Role::client, std::move(ours), testing::server_config());
  const crypto::PublicKey known = testing::test_key(type).public_key();
  peer.engine.key_answer = [&](const ssh::KeyVerified& e) {
    require(e.key == known);
    return e.user == "ada";
  };
  peer.reach(ssh::State::auth);
  peer.send(ssh::write_text_message(ssh::kMsgServiceRequest, ssh::kServiceAuth));

  bool is_good = true;
  std::string user = "ada";
  Bytes payload = peer.publickey_request([&](ssh::UserauthRequest& request) {
    change_fields(changes, request, is_good);
    user = request.user;
  });
  const Bytes meant = payload;
  change_bytes(changes, payload);
  if (payload.empty()) return 0;
  peer.send(ByteView(payload));
  const bool is_in = peer.engine.transport.is_authenticated();
  // Any byte but 0 is a true boolean (RFC 4251 section 5), so not all that differs means another
  // thing.
  const auto request = ssh::read_userauth_request(payload);
  const bool is_meant =
      payload == meant || (payload[0] == meant[0] && request && request->has_signature &&
                           ssh::write_publickey_request(*request) == meant);
  require(is_in == (is_good && user == "ada" && is_meant));
  require(is_in == peer.received(ssh::kMsgUserauthSuccess));
  require(is_in || peer.engine.payloads.empty());
  require(!is_in || peer.engine.authenticated->key == known);
  require(!peer.broken);
  return 0;
}
