#include "ours.hpp"

#include <streamkit/crypto/implementation.hpp>

#include <fmt/format.h>

namespace streamkit::bench {
namespace {

constexpr auto kConnectPatience = std::chrono::seconds(30);

std::string cipher_of(const Task& task) {
  if (task.variant.starts_with("aes256-gcm")) return "aes256-gcm@openssh.com";
  if (task.variant.starts_with("chacha20")) return "chacha20-poly1305@openssh.com";
  return "aes128-gcm@openssh.com";
}

crypto::AesGcm aes_gcm_of(const Task& task) {
  return task.variant.ends_with("-fast") ? crypto::AesGcm::ipsec_mb : crypto::AesGcm::libcrypto;
}

PeerOptions options(const Task& task) {
  PeerOptions made;
  made.algorithms.ciphers = {cipher_of(task)};
  made.algorithms.aes_gcm = aes_gcm_of(task);
  made.reconnect.on = false;
  // The number of channels and connections is what some rows are about, not what they test.
  made.limits.channels.max_channels = kMaxIdleChannels + 1024;
  made.limits.max_links = kMaxIdleConnections + 1024;
  made.limits.max_half_open_per_source = made.limits.early_drop_start = made.limits.max_half_open;
  made.limits.kex_rate_per_source = 0;
  made.trust.same_name_same_key = Trust::SameKey::share;  // connections beside each other
  return made;
}

}  // namespace

std::string why_not(const Task& task) {
  if (crypto::is_available(aes_gcm_of(task))) return {};
  return "AES-GCM by ipsec-mb is not built in, or not for this CPU";
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

Server::Server(const Task& task) : peer_(Peer::make(server_options(task)).value()) {
  peer_.on_open("idle", [](Incoming incoming) {
    // Its end is what the handle waits for, so it lives as long as the channel.
    const auto channel = std::make_shared<Channel>(incoming.accept().value());
    channel->async_wait_closed([channel](Result<Closed>) {});
  });
}

void Server::listen_more(Control& other, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    other.say({static_cast<double>(peer_.bind("tcp://127.0.0.1:0").value().port())});
}

namespace {

PeerInfo connect_next(Peer& peer, Control& other) {
  const Endpoint endpoint(fmt::format("tcp://127.0.0.1:{}", static_cast<unsigned>(other.hear())));
  return peer.connect(endpoint, kConnectPatience).value();
}

}  // namespace

Client::Client(const Task& task, Control& other)
    : peer_(Peer::make(client_options(task)).value()), link_(connect_next(peer_, other).link) {
  connect_more(other, task.idle_connections);
  open_idle(task.idle_channels);
}

Channel Client::open(std::string service, OpenOptions options) {
  return peer_.open(server(), std::move(service), std::move(options)).value();
}

void Client::connect_more(Control& other, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) connect_next(peer_, other);
}

void Client::open_idle(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) idle_.push_back(open("idle"));
}

}  // namespace streamkit::bench
