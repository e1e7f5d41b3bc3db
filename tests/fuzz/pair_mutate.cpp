// A good session between two engines, touched on the way: the input says in which pieces of which
// direction what is flipped, cut, doubled or left out. Each side may end; neither may hand up a
// payload that the other did not send, or let anybody in who did not sign.
#include <fuzz/check.hpp>
#include <support/transport_pair.hpp>

using namespace streamkit;

namespace {

struct Script {
  ByteView rest;
  unsigned next() {
    if (rest.empty()) return 0;
    const auto value = std::to_integer<unsigned>(rest[0]);
    rest = rest.subspan(1);
    return value;
  }
};

void touch(Script& script, Bytes& bytes) {
  if (script.rest.empty() || bytes.empty()) return;
  const unsigned kind = script.next();
  const std::size_t at = (script.next() * 256u + script.next()) % bytes.size();
  switch (kind % 8) {
    case 1:
      bytes[at] ^= std::byte(script.next() | 1);
      break;
    case 2:
      bytes.resize(at);
      break;
    case 3:
      bytes.insert(bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
      break;
    case 4:
      bytes.clear();
      break;
    default:
      break;  // most pieces pass as they are
  }
}

Bytes message(unsigned count) {
  Bytes out(1 + count * 37 % 5000, std::byte(count));
  out[0] = std::byte{94};
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Script script{std::as_bytes(std::span(data, size))};
  ssh::Config client = testing::client_config(), server = testing::server_config();
  constexpr const char* kCiphers[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                      "aes128-ctr"};
  client.algorithms.ciphers = {kCiphers[script.next() % 3]};
  client.algorithms.macs = {script.next() % 2 ? "hmac-sha2-256" : "hmac-sha2-256-etm@openssh.com"};
  client.limits.rekey_after_bytes = 3000;
  testing::TransportPair pair(std::move(client), std::move(server));
  pair.chunk = 1 + script.next() * 7;
  pair.wire = [&](bool, Bytes& bytes) { touch(script, bytes); };
  pair.drive();
  for (unsigned count = 0; count < 12 && pair.is_open(); ++count) {
    (void)pair.client.transport.send(message(count), {}, pair.now);
    (void)pair.server.transport.send(message(count), {}, pair.now);
    pair.drive();
  }
  for (testing::PairEnd* end : {&pair.client, &pair.server}) {
    for (std::size_t i = 0; i < end->payloads.size(); ++i)
      require(end->payloads[i] == message(static_cast<unsigned>(i)));
    require(end->payloads.empty() || end->authenticated);
    require(end->transport.is_closed() == end->disconnected.has_value());
  }
  require(!pair.server.authenticated || pair.server.has("key_verified"));
  return 0;
}
