// Relay: puts the parts together: a Peer for clients, the registry of tunnels, the HTTP front for
// visitors. The rules live in the parts; here is who may come in and what starts and ends when.
#include "http_routes.hpp"
#include "services.hpp"
#include "stock_ssh.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/io/file.hpp>
#include <streamkit/peer/peer.hpp>
#include <streamkit/peer/trust.hpp>

#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace streamkit::tunnel {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds(5);

// Whoever may write to this user's configuration folder decides who comes in; read anew each time,
// so that a key made after the relay started works.
bool is_own_key(const std::string& folder, const crypto::PublicKey& key) {
  const auto text = io::read_file(folder + "/id_ed25519.pub");
  if (!text) return false;
  const auto own =
      crypto::PublicKey::from_text(std::string_view(*text).substr(0, text->find('\n')));
  return own && *own == key;
}

Result<Trust> trust_of(const RelayOptions& options, std::vector<std::string>& words) {
  Trust trust;
  trust.same_name_same_key =
      Trust::SameKey::share;  // names of peers mean nothing here; tunnels have their own
  if (!options.authorized_keys_file.empty()) {
    if (auto text = io::read_file(options.authorized_keys_file); !text) return text.error();
    trust.authorized_keys_file = options.authorized_keys_file;
    words.push_back("the keys in " + options.authorized_keys_file);
  }
  if (!options.user_ca_file.empty()) {
    if (auto text = io::read_file(options.user_ca_file); !text) return text.error();
    trust.user_ca_file = options.user_ca_file;
    words.push_back("certificates by the authorities in " + options.user_ca_file);
  }
  if (!options.revoked_keys_file.empty()) {
    // Nobody would come in while it cannot be read: better said at once.
    auto text = io::read_file(options.revoked_keys_file);
    if (!text) return text.error();
    if (auto revoked = RevokedKeys::parse(*text); !revoked)
      return Error(Errc::bad_file, options.revoked_keys_file + ": " + revoked.error().message());
    trust.revoked_keys_file = options.revoked_keys_file;
  }
  trust.authorized_keys = options.authorized_keys;
  if (!options.authorized_keys.empty())
    words.push_back(fmt::format("{} given keys", options.authorized_keys.size()));
  if (words.empty()) {
    const std::string folder = io::config_folder();
    trust.public_key = [folder](const std::string&, const crypto::PublicKey& key) {
      return is_own_key(folder, key);
    };
    trust.authorized_keys_file = folder + "/authorized_keys";
    words = {"this user's key " + folder + "/id_ed25519",
             "the keys in " + folder + "/authorized_keys"};
  }
  return trust;
}

Result<io::Address> http_address_of(const std::string& text) {
  const Endpoint endpoint("tcp://" + text);
  if (!endpoint.check()) {
    return Error(Errc::usage,
                 fmt::format("\"{}\" is no address for HTTP; write HOST:PORT", escape(text, 128)));
  }
  io::Address address;
  address.host = endpoint.host();
  address.port = endpoint.port();
  return address;
}

/// What a stock client would have to ask for to get the same tunnel: the same keys may have it.
ForwardRequest as_forward(const Wish& wish) {
  constexpr std::uint32_t kHttpPort = 80;
  ForwardRequest request;
  request.from = wish.from;
  request.bind = wish.name.empty() ? "localhost" : wish.name;
  request.port = wish.kind == Kind::http ? kHttpPort : wish.port;
  return request;
}

// Our own client's registration. The channel lives as long as somebody may call on it.
void serve_client(const std::shared_ptr<Registry>& registry, const Peer& peer,
                  Duration open_timeout, Kind kind, Incoming incoming) {
  const ChannelInfo& info = incoming.info();
  const auto channel = std::make_shared<Channel>();
  Wish wish;
  wish.kind = kind;
  wish.from = *info.remote;
  wish.name = info.headers.get_or(kNameHeader, {});
  wish.target = info.headers.get_or(kTargetHeader, {});
  wish.host_header = info.headers.get_or(kHostHeader, {});
  if (const auto port = info.headers.get(kPortHeader)) {
    const auto [end, failure] =
        std::from_chars(port->data(), port->data() + port->size(), wish.port);
    if (failure != std::errc() || end != port->data() + port->size()) {
      return incoming.refuse(Code::permission_denied, "the port has to be a number up to 65535");
    }
  }
  if (auto may = peer.may_forward(as_forward(wish)); !may) {
    registry->refused(wish.from, may.error().message());
    return incoming.refuse(Code::permission_denied, may.error().message());
  }
  wish.open = [channel, open_timeout](const io::Address& visitor, Completion<Channel> done) {
    OpenOptions open;
    open.headers.add(std::string(kVisitorHeader), visitor.text());
    channel->async_open(std::string(kVisitorService), std::move(open),
                        Until(after(io::now(), open_timeout)), std::move(done));
  };
  wish.end = [channel](const Status& why) {
    if (!channel->close(why)) channel->reset();
  };
  auto granted = registry->claim(std::move(wish));
  if (!granted) {
    const Code code =
        granted.error().is(Errc::limit) ? Code::resource_exhausted : Code::permission_denied;
    return incoming.refuse(code, granted.error().message());
  }
  Headers answer = {{std::string(kUrlHeader), granted->info.url}};
  if (kind == Kind::http) answer.add(std::string(kNameHeader), granted->info.name);
  if (kind == Kind::tcp) answer.add(std::string(kPortHeader), std::to_string(granted->info.port));
  auto accepted = incoming.accept(answer);
  if (!accepted) return registry->release(granted->claim);
  *channel = std::move(*accepted);
  channel->async_wait_closed(
      [weak = std::weak_ptr(registry), channel, claim = granted->claim](Result<Closed> end) {
        const auto self = weak.lock();
        if (!self) return;
        if (end) {
          self->release(claim);
        } else {
          self->lost(claim);
        }
        if (!channel->close()) channel->reset();
      });
}

}  // namespace

struct Relay::Impl {
  RelayOptions options;
  RelayEvents events;
  std::shared_ptr<io::Context> context;
  std::optional<Peer> peer;
  std::shared_ptr<Registry> registry;
  std::shared_ptr<StockClients> stock;
  std::unique_ptr<HttpRoutes> routes;
  std::unique_ptr<HttpFront> front;
  std::vector<Endpoint> endpoints;
  std::string http_address, identity_file;
  std::vector<std::string> trusted;
  bool stopped = false;

  Impl(RelayOptions o, RelayEvents e) : options(std::move(o)), events(std::move(e)) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> start();
  Result<void> make_peer();
  void take_clients();
  Result<void> start_http();
  void log_request(const RequestLog& request) const;
  void stop(const Until& grace);
};

Result<void> Relay::Impl::make_peer() {
  PeerOptions peer_options;
  peer_options.name = "relay";
  if (options.identity) {
    peer_options.identity = options.identity;
  } else {
    identity_file = options.identity_file.empty() ? io::config_folder() + "/relay_ed25519"
                                                  : options.identity_file;
    crypto::PrivateKey::Passphrase passphrase;
    if (options.passphrase) passphrase = [this] { return options.passphrase(identity_file); };
    auto key = load_or_create_identity(identity_file, passphrase);
    if (!key) return key.error();
    peer_options.identity = std::move(*key);
  }
  auto trust = trust_of(options, trusted);
  if (!trust) return trust.error();
  peer_options.trust = std::move(*trust);
  peer_options.heartbeat = options.heartbeat;
  peer_options.context = context;
  peer_options.log = events.log;
  auto made = Peer::make(std::move(peer_options));
  if (!made) return made.error();
  peer.emplace(std::move(*made));
  return {};
}

void Relay::Impl::take_clients() {
  const std::weak_ptr<Registry> weak = registry;
  const std::weak_ptr<StockClients> weak_stock = stock;
  PeerEvents peer_events;
  peer_events.disconnected = [weak_stock](const PeerInfo& who, const Error& why) {
    if (const auto clients = weak_stock.lock()) clients->disconnected(who, why);
  };
  peer_events.turned_away = [refused = events.refused](const std::string& address,
                                                       const Error& why) {
    if (refused) refused(address, why.message());
  };
  peer->events(std::move(peer_events));
  peer->on_forward([weak_stock](const ForwardRequest& request) -> Result<std::uint32_t> {
    const auto clients = weak_stock.lock();
    if (!clients) return Error(Errc::shutting_down);
    return clients->forward(request);
  });
  for (const Kind kind : {Kind::http, Kind::tcp}) {
    peer->on_open(std::string(kind == Kind::http ? kHttpService : kTcpService),
                  [this, weak, kind](Incoming incoming) {
                    if (const auto tunnels = weak.lock())
                      serve_client(tunnels, *peer, options.limits.open_timeout, kind,
                                   std::move(incoming));
                  });
  }
  peer->on_open("shell", [weak_stock](Incoming incoming) {
    if (const auto clients = weak_stock.lock()) clients->session(std::move(incoming));
  });
  peer->on_open("*", [](Incoming incoming) {
    incoming.refuse(Code::not_found,
                    "this relay serves tunnels only (tunnel.http, tunnel.tcp, ssh -R)");
  });
}

Result<void> Relay::Impl::start_http() {
  if (options.http.empty()) return {};
  auto at = http_address_of(options.http);
  if (!at) return at.error();
  routes = std::make_unique<HttpRoutes>(*context, registry, options.domain);
  HttpFrontOptions front_options;
  front_options.max_visitors = options.limits.http_connections;
  HttpFront::OnRequest on_request;
  if (events.request) on_request = [this](const RequestLog& request) { log_request(request); };
  front = std::make_unique<HttpFront>(*context, *routes, front_options, std::move(on_request));
  registry->on_gone = [this](ClaimId claim) {
    if (front) front->drop_upstreams(HttpRoutes::pool_key(claim));
  };
  auto bound = front->listen(*at);
  if (!bound) return bound.error();
  http_address = bound->text();
  registry->set_http_port(bound->port);
  return {};
}

void Relay::Impl::log_request(const RequestLog& request) const {
  RequestInfo info;
  info.name = label_of_host(request.host, options.domain).value_or("");
  info.name = escape(info.name, kMaxLabel);
  info.visitor = request.visitor.text();
  info.method = escape(request.method, 32);
  info.path = escape(request.path);
  info.status = request.status;
  info.error = request.error;
  info.duration = request.duration;
  info.bytes_in = request.bytes_in;
  info.bytes_out = request.bytes_out;
  events.request(info);
}

Result<void> Relay::Impl::start() {
  if (options.domain.empty() || options.domain.front() == '.') {
    return Error(Errc::usage, "the domain must be a name such as localhost or t.example.com");
  }
  if (options.min_port == 0 || options.min_port > options.max_port) {
    return Error(Errc::usage, "the range of ports is empty");
  }
  if (options.tcp_bind == "*") options.tcp_bind.clear();
  context = options.context ? options.context : io::Context::make();
  if (auto made = make_peer(); !made) return made;
  {
    const io::Context::Lock lock(*context);
    registry = std::make_shared<Registry>(*context, options, events);
    stock = std::make_shared<StockClients>(registry, *peer, options.domain,
                                           options.limits.open_timeout);
    if (auto started = start_http(); !started) return started;
  }
  take_clients();
  for (const Endpoint& endpoint : options.listen) {
    auto bound = peer->bind(endpoint);
    if (!bound) return bound.error();
    endpoints.push_back(std::move(*bound));
  }
  return {};
}

void Relay::Impl::stop(const Until& grace) {
  if (!peer || stopped) return;
  stopped = true;
  const Until until =
      grace.deadline == kNever ? Until(after(io::now(), kStopGrace), grace.stop) : grace;
  {
    const io::Context::Lock lock(*context);
    if (front) front->drain();
    stock->close("the relay is stopping");
    registry->close(
        Status(Code::unavailable, std::string(kShutdownReason), "the relay is stopping"));
  }
  if (const auto done = peer->shutdown(until); !done && events.log) {
    events.log("warning", "shutdown: " + done.error().message());
  }
}

Relay::Impl::~Impl() {
  if (!context) return;
  if (registry) {
    const io::Context::Lock lock(*context);
    registry->on_gone = {};
    front.reset();
    routes.reset();
  }
  peer.reset();
  const io::Context::Lock lock(*context);
  stock.reset();
  registry.reset();
}

Relay::Relay(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Relay::Relay(Relay&&) noexcept = default;
Relay& Relay::operator=(Relay&&) noexcept = default;
Relay::~Relay() = default;

Result<Relay> Relay::start(RelayOptions options, RelayEvents events) {
  auto impl = std::make_shared<Impl>(std::move(options), std::move(events));
  if (auto started = impl->start(); !started) return started.error();
  return Relay(std::move(impl));
}

const std::vector<Endpoint>& Relay::endpoints() const noexcept {
  return impl_->endpoints;
}
const std::string& Relay::http_address() const noexcept {
  return impl_->http_address;
}
const crypto::PublicKey& Relay::key() const noexcept {
  return impl_->peer->key();
}
const std::string& Relay::identity_file() const noexcept {
  return impl_->identity_file;
}
const std::vector<std::string>& Relay::trusted() const noexcept {
  return impl_->trusted;
}
std::string Relay::url_of(std::string_view name) const {
  return impl_->registry->url_of(name);
}

std::vector<TunnelInfo> Relay::tunnels() const {
  const io::Context::Lock lock(*impl_->context);
  return impl_->registry->tunnels();
}

Result<void> Relay::reload_trust() {
  return impl_->peer->reload_trust();
}

void Relay::stop(Until grace) {
  impl_->stop(grace);
}

}  // namespace streamkit::tunnel
