// Tunnel: the handle of a TunnelClient and the Peer it works with: options in, keys read, ends in
// order.
#include "tunnel_client.hpp"

#include <streamkit/io/file.hpp>
#include <streamkit/peer/trust.hpp>

#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds(5);

Result<void> check(const TunnelOptions& options) {
  if (auto endpoint = options.relay.check(); !endpoint) return endpoint;
  if (options.target.port == 0 && options.target.path.empty())
    return Error(Errc::usage, "a tunnel needs a target");
  if (options.kind == Kind::tcp && !options.name.empty())
    return Error(Errc::usage, "a TCP tunnel has a port, no name");
  if (options.kind == Kind::http && options.port != 0)
    return Error(Errc::usage, "an HTTP tunnel has a name, no port");
  for (const char c : options.host_header) {
    if (c <= ' ' || c == 0x7f)
      return Error(Errc::usage, "a Host header cannot hold spaces or control characters");
  }
  if (!options.relay_key.empty() && !options.relay_key.starts_with("SHA256:")) {
    return Error(Errc::usage, "a relay's key is given as its fingerprint, SHA256:...");
  }
  return {};
}

Result<crypto::PrivateKey> identity_of(const TunnelOptions& options) {
  if (options.identity) return *options.identity;
  const std::string path =
      options.identity_file.empty() ? io::config_folder() + "/id_ed25519" : options.identity_file;
  crypto::PrivateKey::Passphrase passphrase;
  if (options.passphrase) passphrase = [&] { return options.passphrase(path); };
  return load_or_create_identity(path, passphrase);
}

Trust trust_of(const TunnelOptions& options) {
  Trust trust;
  if (!options.relay_key.empty()) {
    trust.host_keys = Trust::HostKeys::pinned;
    trust.known_host_keys = {options.relay_key};
    // The pin is the relay's; bastions on the way are known by the file, which then says nothing of the relay.
    if (options.relay.via())
      trust.host_key = [relay = options.relay, file = options.known_hosts_file](const Endpoint& at, const crypto::PublicKey& key) {
        const auto text = io::read_file(file);
        return !(at == relay) && text &&
               KnownHosts::parse(*text).check(at.host(), at.port(), key).verdict == KnownHosts::Verdict::known;
      };
    return trust;
  }
  trust.host_keys = Trust::HostKeys::tofu;
  trust.known_hosts_file = options.known_hosts_file;
  return trust;
}

// As it was before connecting, because connecting remembers the key.
std::function<bool(const crypto::PublicKey&)> known_before(const TunnelOptions& options) {
  if (!options.relay_key.empty()) return [](const crypto::PublicKey&) { return true; };
  const auto text = io::read_file(options.known_hosts_file);
  return [hosts = KnownHosts::parse(text ? *text : std::string()), host = options.relay.host(),
          port = options.relay.port()](const crypto::PublicKey& key) {
    return hosts.check(host, port, key).verdict == KnownHosts::Verdict::known;
  };
}

}  // namespace

std::string_view to_string(State state) noexcept {
  switch (state) {
    case State::connecting:
      return "connecting";
    case State::online:
      return "online";
    case State::reconnecting:
      return "reconnecting";
    case State::closed:
      return "closed";
  }
  return "unknown";
}

std::string_view to_string(Ending ending) noexcept {
  switch (ending) {
    case Ending::stopped:
      return "stopped";
    case Ending::unreachable:
      return "unreachable";
    case Ending::unauthorised:
      return "unauthorised";
    case Ending::refused:
      return "refused";
    case Ending::relay_key:
      return "relay_key";
    case Ending::usage:
      return "usage";
  }
  return "unknown";
}

struct Tunnel::Impl {
  std::shared_ptr<io::Context> context;
  std::optional<Peer> peer;
  std::shared_ptr<TunnelClient> client;
  crypto::PublicKey key;
  bool stopped = false;

  Impl() = default;
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  Result<void> start(TunnelOptions options, TunnelEvents events);
  void stop(const Until& grace);
};

Result<void> Tunnel::Impl::start(TunnelOptions options, TunnelEvents events) {
  if (auto checked = check(options); !checked) return checked;
  auto identity = identity_of(options);
  if (!identity) return identity.error();
  if (options.known_hosts_file.empty())
    options.known_hosts_file = io::config_folder() + "/known_hosts";
  key = identity->public_key();
  context = options.context ? options.context : io::Context::make();
  PeerOptions peer_options;
  peer_options.identity = std::move(*identity);
  peer_options.trust = trust_of(options);
  peer_options.agent = options.agent;
  peer_options.limits.connect_timeout = options.connect_timeout;
  peer_options.reconnect.from_start = options.wait_for_relay;
  peer_options.reconnect.first = options.reconnect_first;
  peer_options.reconnect.max = options.reconnect_max;
  peer_options.heartbeat = options.heartbeat;
  peer_options.context = context;
  peer_options.log = events.log;
  auto made = Peer::make(std::move(peer_options));
  if (!made) return made.error();
  peer.emplace(std::move(*made));
  auto known = known_before(options);
  const io::Context::Lock lock(*context);
  client = std::make_shared<TunnelClient>(context, std::move(options), std::move(events),
                                          std::move(known));
  client->start(*peer);
  return {};
}

void Tunnel::Impl::stop(const Until& grace) {
  if (!client || stopped) return;
  stopped = true;
  const Until until =
      grace.deadline == kNever ? Until(after(io::now(), kStopGrace), grace.stop) : grace;
  {
    const io::Context::Lock lock(*context);
    client->stop();
  }
  if (const auto done = peer->shutdown(until); !done) return;  // the deadline passed: cut
}

Tunnel::Impl::~Impl() {
  peer.reset();
  if (!context) return;
  const io::Context::Lock lock(*context);
  client.reset();
}

Tunnel::Tunnel(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tunnel::Tunnel(Tunnel&&) noexcept = default;
Tunnel& Tunnel::operator=(Tunnel&&) noexcept = default;
Tunnel::~Tunnel() = default;

Result<Tunnel> Tunnel::start(TunnelOptions options, TunnelEvents events) {
  auto impl = std::make_shared<Impl>();
  if (auto started = impl->start(std::move(options), std::move(events)); !started)
    return started.error();
  return Tunnel(std::move(impl));
}

State Tunnel::state() const {
  const io::Context::Lock lock(*impl_->context);
  return impl_->client->state();
}

Result<Online> Tunnel::wait_online(Until until) {
  return impl_->client->wait_online(until);
}
const crypto::PublicKey& Tunnel::key() const noexcept {
  return impl_->key;
}
void Tunnel::stop(Until grace) {
  impl_->stop(grace);
}

}  // namespace streamkit::tunnel
