#include "ours.hpp"

#include <fmt/format.h>

namespace streamkit::bench {
namespace {

constexpr auto kConnectPatience = std::chrono::seconds(30);

std::string cipher_of(const Task& task) {
  if (task.variant.starts_with("aes256-gcm")) return "aes256-gcm@openssh.com";
  if (task.variant.starts_with("chacha20")) return "chacha20-poly1305@openssh.com";
  return "aes128-gcm@openssh.com";
}

PeerOptions options(const Task& task) {
  PeerOptions made;
  made.algorithms.ciphers = {cipher_of(task)};
  made.reconnect.on = false;
  // The number of channels and connections is what some rows are about, not what they test.
  made.limits.channels.max_channels = kMaxIdleChannels + 1024;
  made.limits.max_links = kMaxIdleConnections + 1024;
  made.limits.max_half_open_per_source = made.limits.max_half_open;
  return made;
}

}  // namespace

std::string why_not(const Task& task) {
  if (task.variant.ends_with("-fast")) return "the library has one AES-GCM here";
  return {};
}

PeerOptions server_options(const Task& task) {
  PeerOptions made = options(task);
  made.name = kServerName;
  made.trust.public_key = [](const std::string&, const crypto::PublicKey&) { return true; };
  return made;
}

PeerOptions client_options(const Task& task) {
  PeerOptions made = options(task);
  made.trust.host_keys = Trust::HostKeys::any_insecure;
  return made;
}

Server::Server(const Task& task, Control& other) : peer_(Peer::make(server_options(task)).value()) {
  peer_.on_open("idle", [](Incoming incoming) {
    // Held by a completion that waits for its end, as long as the channel lives.
    auto channel = std::make_shared<Channel>(incoming.accept().value());
    channel->async_wait_closed([channel](Result<Closed>) {});
  });
  const Endpoint bound = peer_.bind("tcp://127.0.0.1:0").value();
  other.say({static_cast<double>(bound.port())});
}

Client::Client(const Task& task, Control& other)
    : peer_(Peer::make(client_options(task)).value()),
      endpoint_(fmt::format("tcp://127.0.0.1:{}", static_cast<unsigned>(other.hear()))) {
  peer_.connect(endpoint_, kConnectPatience).value();
  for (std::size_t i = 0; i < task.idle_channels; ++i) idle_channels_.push_back(open("idle"));
  for (std::size_t i = 0; i < task.idle_connections; ++i) {
    PeerOptions made = client_options(task);
    made.context = std::shared_ptr<io::Context>(&peer_.context(), [](io::Context*) {});
    idle_connections_.push_back(Peer::make(std::move(made)).value());
    idle_connections_.back().connect(endpoint_, kConnectPatience).value();
  }
}

Channel Client::open(std::string service, OpenOptions options) {
  return peer_.open(kServerName, std::move(service), std::move(options)).value();
}

}  // namespace streamkit::bench
