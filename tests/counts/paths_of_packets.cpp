// Packets as the transport seals and opens them: layout, padding, AES-GCM and the queues around it.
#include "hot_paths.hpp"
#include "support/transport_pair.hpp"

#include <memory>

namespace streamkit::counts {
namespace {

using testing::TransportPair;

constexpr std::size_t kHeaderSize = 9;  // of a data message: its number, the channel, the length
constexpr std::byte kDataMessage{94};

std::unique_ptr<TransportPair> connected(crypto::AesGcm by) {
  ssh::Config client = testing::client_config();
  ssh::Config server = testing::server_config();
  for (ssh::Config* config : {&client, &server}) {
    config->algorithms.ciphers = {"aes128-gcm@openssh.com"};
    config->algorithms.aes_gcm = by;
  }
  auto pair = std::make_unique<TransportPair>(std::move(client), std::move(server));
  pair->drive();
  require(pair->is_open(), "the transports did not come to an agreement");
  return pair;
}

void send(TransportPair& pair, ByteView body) {
  std::array<std::byte, kHeaderSize> header{};
  header[0] = kDataMessage;
  require(pair.client.transport.send(header, body, pair.now).has_value(), "send() failed");
}

void seal(crypto::AesGcm by, std::size_t size, std::uint64_t operations) {
  const auto pair = connected(by);
  const Bytes body(size);
  ssh::Transport& from = pair->client.transport;
  std::uint64_t sealed = 0;
  counted([&] {
    for (std::uint64_t i = 0; i < operations; ++i) {
      send(*pair, body);
      sealed += from.output().size();
      from.consume_output(from.output().size());
    }
  });
  require(sealed > operations * size, "too little was sealed");
}

// The packets lie in one piece of memory, so that preparing more of them is not more system calls.
void open(crypto::AesGcm by, std::size_t size, std::uint64_t operations) {
  const auto pair = connected(by);
  const Bytes body(size);
  ssh::Transport& from = pair->client.transport;
  Bytes sealed;
  std::size_t packet = 0;
  for (std::uint64_t i = 0; i < operations; ++i) {
    send(*pair, body);
    packet = from.output().size();
    if (sealed.empty()) sealed.reserve(packet * operations);
    append(sealed, from.output());
    from.consume_output(packet);
  }
  require(sealed.size() == packet * operations, "packets of several sizes");
  ssh::Transport& to = pair->server.transport;
  std::uint64_t opened = 0;
  counted([&] {
    for (ByteView rest = sealed; !rest.empty();) {
      const MutableByteView room = to.prepare();
      const std::size_t n = std::min(room.size(), packet - (sealed.size() - rest.size()) % packet);
      std::copy_n(rest.begin(), n, room.begin());
      require(to.handle_input(n, pair->now).has_value(), "handle_input() failed");
      while (to.next_payload(pair->now)) ++opened;
      rest = rest.subspan(n);
    }
  });
  require(opened == operations, "packets were lost");
}

}  // namespace

Paths paths_of_packets() {
  struct Size {
    const char* name;
    std::size_t bytes;
    std::uint64_t operations;
  };
  Paths paths;
  for (const auto& [name, bytes, operations] :
       {Size{"64B", 64, 1000}, Size{"1KiB", 1024, 500}, Size{"32KiB", 32768, 50}}) {
    for (const auto by : {crypto::AesGcm::libcrypto, crypto::AesGcm::ipsec_mb}) {
      const bool is_fast = by == crypto::AesGcm::ipsec_mb;
      const std::string suffix = std::string("-") + name + (is_fast ? "-fast" : "");
      const bool is_available = crypto::is_available(by);
      paths.push_back({"seal" + suffix, operations, !is_fast,
                       [by, size = bytes](std::uint64_t n) { seal(by, size, n); }, is_available});
      paths.push_back({"open" + suffix, operations, !is_fast,
                       [by, size = bytes](std::uint64_t n) { open(by, size, n); }, is_available});
    }
  }
  return paths;
}

}  // namespace streamkit::counts
