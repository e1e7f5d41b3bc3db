// Key exchanges at any time, from both sides at once, between two engines that keep to the rules:
// the input says who sends, who starts an exchange and how many bytes pass when. Nothing may be
// lost, doubled or moved, and nobody may find fault with the other.
#include <fuzz/check.hpp>
#include <support/transport_pair.hpp>

using namespace streamkit;

namespace {

constexpr std::size_t kMostSteps = 600;

Bytes message(std::size_t count, bool from_client) {
  Bytes out(1 + count * 131 % 3000, std::byte(count + (from_client ? 7 : 0)));
  out[0] = std::byte(90 + count % 11);
  return out;
}

class Session {
 public:
  Session(ssh::Config client, ssh::Config server) : pair_(std::move(client), std::move(server)) {
    pair_.drive();
    require(pair_.is_open());
  }

  void step(unsigned what, unsigned with) {
    const bool at_client = what % 2 == 0;
    testing::PairEnd& end = at_client ? pair_.client : pair_.server;
    testing::PairEnd& other = at_client ? pair_.server : pair_.client;
    switch (what / 2 % 4) {
      case 0:
        for (unsigned n = 0; n < 1 + with % 4; ++n) send(end, at_client);
        break;
      case 1:
        require(end.transport.start_rekey(pair_.now).has_value());
        break;
      case 2:
        pass(end, other, 1 + with * 5);
        break;
      default:
        pass(end, other, SIZE_MAX);
    }
    for (const testing::PairEnd* e : {&pair_.client, &pair_.server}) {
      require(!e->disconnected);
      require(e->transport.output().size() < (4u << 20));
    }
  }
  void end() {
    pair_.drive();
    require(pair_.is_open());
    check(pair_.server, true);
    check(pair_.client, false);
    require(pair_.client.transport.info().exchanges == pair_.server.transport.info().exchanges);
    require(to_bytes(pair_.client.transport.session_id()) ==
            to_bytes(pair_.server.transport.session_id()));
  }

 private:
  void send(testing::PairEnd& end, bool from_client) {
    std::size_t& count = sent_[from_client ? 0 : 1];
    if (end.transport.send(message(count, from_client), {}, pair_.now)) ++count;
  }
  void pass(testing::PairEnd& from, testing::PairEnd& to, std::size_t most) {
    const ByteView out = from.transport.output();
    const Bytes bytes = to_bytes(out.first(std::min(most, out.size())));
    from.transport.consume_output(bytes.size());
    to.feed(bytes, pair_.now, 1 + most % 97);
  }
  void check(const testing::PairEnd& end, bool from_client) const {
    require(end.payloads.size() == sent_[from_client ? 0 : 1]);
    for (std::size_t i = 0; i < end.payloads.size(); ++i)
      require(end.payloads[i] == message(i, from_client));
  }

  testing::TransportPair pair_;
  std::size_t sent_[2] = {0, 0};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  ssh::Config client = testing::client_config(), server = testing::server_config();
  constexpr const char* kCiphers[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                      "aes256-ctr"};
  client.algorithms.ciphers = {kCiphers[data[0] % 3]};
  client.limits.rekey_after_bytes = 500 + data[1] * 100u;
  server.limits.rekey_after_bytes = 500 + data[2] * 100u;
  server.limits.rekey_after_packets = 3u + data[3];
  Session session(std::move(client), std::move(server));
  for (std::size_t at = 4; at + 1 < std::min(size, 4 + 2 * kMostSteps); at += 2)
    session.step(data[at], data[at + 1]);
  session.end();
  return 0;
}
