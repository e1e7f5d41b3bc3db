// The links of a Peer: binding, connecting, coming up and going down.
#include "control_link.hpp"
#include "peer_impl.hpp"
#include "ssh_link.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/channel/metadata.hpp>
#include <streamkit/crypto/kex_method.hpp>

#include <algorithm>

namespace streamkit {
namespace {

// What a server offers unless it is told. Auditors count the curves of NIST as a failure, and every
// client of note has X25519; one that may use nothing else (FIPS 140 before 2024) needs them named.
std::vector<std::string> kex_of_servers() {
  std::vector<std::string> names;
  for (const std::string_view name : crypto::kex_names())
    if (!name.starts_with("ecdh-sha2-nistp")) names.emplace_back(name);
  return names;
}

// SSH software takes a user name for one word: percent-encode what it would choke on.
std::string user_name(const std::string& name) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : name) {
    const auto b = static_cast<unsigned char>(c);
    if (b <= 0x20 || b == 0x7f || c == '%' || c == '@' || c == ':') {
      out += '%';
      out += kDigits[b >> 4];
      out += kDigits[b & 15];
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

// ---------------------------------------------------------------- binding

Result<Endpoint> Peer::Impl::bind(const Endpoint& endpoint) {
  if (is_shut) return Errc::shutting_down;
  if (Result<void> r = endpoint.check(); !r) return r.error();
  if (endpoint.via() || !endpoint.user().empty() || endpoint.kind() == Endpoint::Kind::mux)
    return Error(Errc::bad_endpoint, endpoint.text() + " is for connecting, not for listening");
  const std::weak_ptr<Impl> weak = weak_from_this();
  if (endpoint.kind() == Endpoint::Kind::inproc) {
    auto entry = std::make_shared<InprocRegistry::Entry>();
    entry->context = context;
    entry->key = identity.public_key();
    entry->on_connect = [weak, endpoint, context = context](std::unique_ptr<InprocLink> link, const crypto::PublicKey& from) {
      context->post([weak, endpoint, link = std::move(link), from]() mutable {
        if (const auto self = weak.lock()) self->came_in_process(endpoint.text(), std::move(link), from);
      });
    };
    if (Result<void> r = InprocRegistry::bind(endpoint.name(), std::move(entry)); !r) return r.error();
    bound.push_back({endpoint, nullptr, true});
    return endpoint;
  }
  if (Result<void> r = check_server(endpoint.text()); !r) return r.error();
  auto text = std::make_shared<std::string>(endpoint.text());
  Result<std::unique_ptr<io::Listener>> listener =
      io::Listener::listen(*context, address_of(endpoint), [weak, text](std::unique_ptr<io::Stream> stream) {
        if (const auto self = weak.lock()) self->came_in(*text, std::move(stream));
      });
  if (!listener) return listener.error();
  Endpoint actual = endpoint;
  if (endpoint.kind() == Endpoint::Kind::tcp) {
    const std::string host = endpoint.host().find(':') != std::string::npos ? "[" + endpoint.host() + "]" : endpoint.host();
    const std::string wire = endpoint.wire() == channel::Wire::duplex ? endpoint.text().substr(endpoint.text().rfind('?')) : "";
    actual = Endpoint("tcp://" + (host.empty() ? "*" : host) + ":" + std::to_string((*listener)->address().port) + wire);
  }
  *text = actual.text();
  bound.push_back({actual, std::move(*listener), false});
  return actual;
}

Result<void> Peer::Impl::unbind(const Endpoint& endpoint) {
  const auto it = std::find_if(bound.begin(), bound.end(), [&](const Bound& b) { return b.endpoint == endpoint; });
  if (it == bound.end()) return Error(Errc::usage, endpoint.text() + " is not bound by this peer");
  if (it->is_inproc) InprocRegistry::unbind(endpoint.name());
  bound.erase(it);
  return {};
}

void Peer::Impl::came_in(const std::string& endpoint, std::unique_ptr<io::Stream> stream) {
  if (is_shut) return;
  const io::Address remote = stream->remote_address();
  const std::string source = remote.kind == io::Address::Kind::tcp ? io::source_of(remote.host) : std::string();
  const PeerLimits& limits = options.limits;
  make_room();
  const Result<void> room = connections.size() < limits.max_links
                                ? admission.check(source, limits, io::now())
                                : Error(Errc::limit, "max_links (" + std::to_string(limits.max_links) + ") reached");
  if (!room) {
    turned_away(remote.text(), source, room.error());
    return stream->close(true);
  }
  const auto connection = Connection::make(context, this, settings_for(endpoint, remote.text(), false));
  Result<std::unique_ptr<SshLink>> link =
      SshLink::make(*connection, context, std::move(stream), ssh::Role::server, ssh_config(endpoint, false));
  if (!link) return log("warning", "cannot serve " + remote.text() + ": " + link.error().message());
  const std::uint64_t id = connection->settings().id;
  connections[id] = connection;
  admission.begin(id, source, io::now());
  connection->start(std::move(*link));
}

// Keys are exchanged in a few round trips by whoever wants to come in; a login may take a human's time.
void Peer::Impl::make_room() {
  for (const std::uint64_t id : admission.overdue(options.limits, io::now())) {
    const auto it = connections.find(id);
    if (it == connections.end()) continue;
    const std::shared_ptr<Connection> connection = it->second;
    if (connection->ssh() != nullptr && connection->ssh()->exchanges > 0) continue;
    connection->fail(Error(Errc::timeout, "no keys were exchanged in handshake_timeout_crowded, and others came"));
  }
}

void Peer::Impl::turned_away(const std::string& address, const std::string& source, const Error& why) {
  if (refusals.add(source.empty() ? address : source, why, io::now())) return tell_turned_away(address, why);
  if (!refusal_timer) refusal_timer.emplace(*context);
  refusal_timer->start(refusals.due(), [this] { tell_counted(); });
}

void Peer::Impl::tell_turned_away(const std::string& address, const Error& why) {
  log("warning", "turned away " + address + ": " + why.message());
  if (events.turned_away) events.turned_away(address, why);
}

void Peer::Impl::tell_counted() {
  for (const RefusalNotices::Notice& notice : refusals.take()) tell_turned_away(notice.address, notice.why);
}

void Peer::Impl::came_in_process(const std::string& endpoint, std::unique_ptr<InprocLink> link, const crypto::PublicKey& from) {
  if (is_shut) return link->close(Error(Errc::shutting_down));
  Connection::Settings settings = settings_for(endpoint, "this process", false);
  settings.is_inproc = true;
  settings.inproc_key = from;
  const auto connection = Connection::make(context, this, std::move(settings));
  connections[connection->settings().id] = connection;
  link->attach(*connection, connection);
  connection->start(std::move(link));
}

// ---------------------------------------------------------------- connecting

void Peer::Impl::connect(const Endpoint& endpoint, const Until& until, Completion<PeerInfo> done) {
  const auto fail = [&](const Error& error) {
    context->post([done = std::move(done), error]() mutable { done(error); });
  };
  if (is_shut) return fail(Errc::shutting_down);
  if (Result<void> r = endpoint.check(); !r) return fail(r.error());
  for (const auto& dialer : dialers)
    if (dialer->endpoint() == endpoint && !dialer->is_stopped())
      return fail(Error(Errc::usage, "already connecting or connected to " + endpoint.text()));
  dialers.push_back(std::make_unique<Dialer>(context, *this, endpoint,
                                             Dialer::Policy{options.reconnect, options.limits.connect_timeout},
                                             until.deadline, std::move(done)));
  dialers.back()->start();
}

Result<void> Peer::Impl::disconnect(const Endpoint& endpoint, const Error& why) {
  for (auto it = dialers.begin(); it != dialers.end(); ++it) {
    if (!((*it)->endpoint() == endpoint)) continue;
    std::unique_ptr<Dialer> dialer = std::move(*it);
    dialers.erase(it);
    const std::shared_ptr<Connection> connection = dialer->connection();
    dialer->stop(why);
    if (connection) connection->fail(Error(Errc::closed, "the other side disconnected"));
    context->keep(std::move(dialer));  // we may have been called from inside it
    return {};
  }
  return Error(Errc::usage, "not connected to " + endpoint.text());
}

std::unique_ptr<io::Connect> Peer::Impl::dial(const Endpoint& to, Duration timeout, io::Connect::Done done) {
  if (!to.via()) return io::Connect::start(*context, address_of(to), after(io::now(), timeout), std::move(done));
  bastions.push_back(std::make_shared<Bastion>(*this, *context, to, timeout, std::move(done)));
  return bastions.back()->start();
}

// As client, to a bastion or to where a dialer goes.
Result<std::shared_ptr<Connection>> Peer::Impl::make_link(ConnectionOwner& owner, const Endpoint& to,
                                                          std::unique_ptr<io::Stream> stream) {
  const bool is_bastion = &owner != static_cast<ConnectionOwner*>(this);
  Connection::Settings settings = settings_for(to.text(), stream->remote_address().text(), true);
  if (!to.user().empty()) settings.hello.peer_name = to.user();
  settings.is_shared = to.kind() == Endpoint::Kind::mux;
  if (settings.is_shared) settings.heartbeat = Duration::zero();  // the ssh asks whether its server is there
  const auto connection = Connection::make(context, &owner, std::move(settings));
  std::unique_ptr<Link> link;
  if (connection->settings().is_shared) {
    link = std::make_unique<ControlLink>(*connection, std::move(stream));
  } else {
    ssh::Config config = ssh_config(to.text(), true);
    if (is_bastion) config.password.clear();  // it is meant for whoever is behind
    Result<std::unique_ptr<SshLink>> made =
        SshLink::make(*connection, context, std::move(stream), ssh::Role::client, std::move(config), options.agent);
    if (!made) return made.error();
    link = std::move(*made);
  }
  if (!is_bastion) connections[connection->settings().id] = connection;
  connection->start(std::move(link));
  return connection;
}

void Peer::Impl::bastion_ended(Bastion& bastion) {
  bastions.remove_if([&](const std::shared_ptr<Bastion>& b) { return b.get() == &bastion; });
}

Result<std::shared_ptr<Connection>> Peer::Impl::dialed(Dialer& dialer, std::unique_ptr<io::Stream> stream) {
  return make_link(*this, dialer.endpoint(), std::move(stream));
}

Result<std::shared_ptr<Connection>> Peer::Impl::dial_inproc(Dialer& dialer) {
  const std::shared_ptr<const InprocRegistry::Entry> entry = InprocRegistry::find(dialer.endpoint().name());
  if (!entry) return Error(Errc::peer_not_connected, "nothing is bound to " + dialer.endpoint().text() + " in this process");
  Connection::Settings settings = settings_for(dialer.endpoint().text(), "this process", true);
  settings.is_inproc = true;
  settings.inproc_key = entry->key;
  const auto connection = Connection::make(context, this, std::move(settings));
  auto [ours, theirs] = InprocLink::pair(context, entry->context);
  connections[connection->settings().id] = connection;
  ours->attach(*connection, connection);
  entry->on_connect(std::move(theirs), identity.public_key());
  connection->start(std::move(ours));
  return connection;
}

void Peer::Impl::dialer_waits(Dialer& dialer, const Error& error, Duration wait) {
  log("info", dialer.endpoint().text() + ": " + error.message() + "; trying again in " +
                  std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count()) + " ms");
  if (events.reconnecting) events.reconnecting(dialer.endpoint(), error, wait);
}

void Peer::Impl::dialer_gave_up(Dialer& dialer, const Error& error) {
  log("warning", dialer.endpoint().text() + ": " + error.message());
  const Endpoint endpoint = dialer.endpoint();
  const bool was_up = dialer.was_up();
  // The dialer is what calls us: it goes when that call has returned.
  context->post([weak = weak_from_this(), gone = &dialer] {
    if (const auto self = weak.lock())
      self->dialers.remove_if([gone](const std::unique_ptr<Dialer>& d) { return d.get() == gone && d->is_stopped(); });
  });
  if (was_up && events.gave_up) events.gave_up(endpoint, error);
}

// ---------------------------------------------------------------- up and down

Connection::Settings Peer::Impl::settings_for(const std::string& endpoint, const std::string& address, bool outgoing) {
  Connection::Settings s;
  s.id = ++last_link;
  s.endpoint = endpoint;
  s.wire = Endpoint(endpoint).wire();
  s.address = address;
  s.outgoing = outgoing;
  s.hello.peer_name = options.name;
  s.hello.instance_id = instance_id;
  s.hello.app = options.app;
  s.hello.max_frame = static_cast<std::uint32_t>(std::min<std::size_t>(options.limits.max_frame, 0xffffffff));
  s.channels = options.limits.channels;
  s.max_frame = options.limits.max_frame;
  s.accept_backlog = options.accept_backlog;
  s.heartbeat = options.heartbeat;
  s.hello_timeout = options.limits.hello_timeout;
  s.greeting_timeout = options.limits.greeting_timeout;
  return s;
}

ssh::Config Peer::Impl::ssh_config(const std::string& endpoint, bool outgoing) {
  ssh::Config config;
  config.algorithms = options.algorithms;
  config.limits = options.limits.ssh;
  const Endpoint at(endpoint);
  const bool is_duplex = at.wire() == channel::Wire::duplex;
  if (!is_duplex) config.extensions = {{std::string(channel::kPeerExtension), "1"}};
  if (outgoing) {
    const std::string& user = at.user().empty() ? options.name : at.user();
    config.user = is_duplex ? user : user_name(user);
    config.identities = {ssh::Identity(identity)};
    config.identities[0].certificate = own_certificate(crypto::CertificateType::user);
    config.judges_authorities = knows_authority(at);
    config.password = options.trust.present_password;
    config.interactive = static_cast<bool>(options.trust.answer_prompts);
  } else {
    config.host_keys = {identity};
    if (auto certificate = own_certificate(crypto::CertificateType::host)) config.host_certificates = {std::move(*certificate)};
    if (config.algorithms.kex.empty()) config.algorithms.kex = kex_of_servers();
    config.offer_password = static_cast<bool>(options.trust.password);
    config.offer_interactive = static_cast<bool>(options.trust.interactive);
    config.authentication_methods = options.trust.authentication_methods;
  }
  return config;
}

// What would end every link is said before there is one.
Result<void> Peer::Impl::check_server(const std::string& endpoint) {
  ssh::Config config = ssh_config(endpoint, false);
  config.random = &crypto::system_random();
  const auto transport = ssh::Transport::make(ssh::Role::server, std::move(config), io::now());
  return transport ? Result<void>() : transport.error();
}

Dialer* Peer::Impl::dialer_of(const Connection& connection) {
  for (const auto& dialer : dialers)
    if (dialer->connection().get() == &connection) return dialer.get();
  // A connection may come up while its dialer is still inside the call that makes it.
  if (connection.settings().outgoing)
    for (const auto& dialer : dialers)
      if (!dialer->connection() && dialer->endpoint().text() == connection.settings().endpoint) return dialer.get();
  return nullptr;
}

void Peer::Impl::connection_up(Connection& connection) {
  admission.authenticated(connection.settings().id);
  const PeerInfo info = connection.info();
  names.emplace(info.name, connection.settings().id);
  if (info.native && options.trust.same_name_same_key == Trust::SameKey::replace) {
    for (const auto& link : up_links(info.name)) {
      if (link.get() == &connection || !link->is_native()) continue;
      // Two links between the same two peers, one dialed from each side, are no replacement.
      if (link->settings().outgoing != connection.settings().outgoing) continue;
      link->fail(Error(Errc::closed, "superseded by a new link under the same name and key"));
    }
  }
  bool again = false;
  if (Dialer* dialer = dialer_of(connection)) {
    again = dialer->was_up();
    dialer->link_up(info);
  }
  log("info", std::string(again ? "reconnected: " : "connected: ") + escape(info.name) + " at " + info.address + " " + info.key.fingerprint());
  if (again && events.reconnected) {
    events.reconnected(info);
  } else if (!again && events.connected) {
    events.connected(info);
  }
  for (auto it = pending_opens.begin(); it != pending_opens.end();) {
    const bool is_it = it->to.is_anyone() || it->to.name() == info.name;
    if (!is_it) {
      ++it;
      continue;
    }
    PendingOpen open = std::move(*it);
    it = pending_opens.erase(it);
    connection.open(std::move(open.service), std::move(open.options), nullptr, std::move(open.done));
  }
}

void Peer::Impl::connection_down(Connection& connection, const Error& error) {
  const std::uint64_t id = connection.settings().id;
  const auto it = connections.find(id);
  if (it == connections.end()) return;
  const std::shared_ptr<Connection> hold = it->second;
  connections.erase(it);
  const auto [first, last] = names.equal_range(connection.info().name);
  for (auto named = first; named != last; ++named) {
    if (named->second != id) continue;
    names.erase(named);
    break;
  }
  const std::string source = admission.source_of(id);
  const bool was_half_open = admission.end(id);
  const bool was_up = connection.info().link != 0 && connection.was_up();
  const Error why = explain(connection, error);
  if (was_up) {
    log("info", "disconnected: " + escape(connection.info().name) + ": " + why.message());
    if (const ssh::ConnectionInfo* ssh = connection.ssh())
      log("debug", "the link to " + escape(connection.info().name) + " ended after " +
                       std::to_string(ssh->exchanges) + " key exchanges, " + std::to_string(ssh->bytes_in) +
                       " bytes in, " + std::to_string(ssh->bytes_out) + " bytes out");
    if (events.disconnected) events.disconnected(connection.info(), why);
  } else if (was_half_open) {
    if (why.is(Errc::timeout)) admission.was_slow(source, options.limits, io::now());
    turned_away(connection.settings().address, source, why);
  }
  if (Dialer* dialer = dialer_of(connection)) dialer->link_down(why);
  if (on_change) on_change();
}

std::vector<std::shared_ptr<Connection>> Peer::Impl::up_links() const {
  std::vector<std::shared_ptr<Connection>> links;
  for (const auto& [id, connection] : connections)
    if (connection->is_up()) links.push_back(connection);
  return links;
}

std::vector<std::shared_ptr<Connection>> Peer::Impl::up_links(const std::string& name) const {
  std::vector<std::shared_ptr<Connection>> links;
  const auto [first, last] = names.equal_range(name);
  for (auto named = first; named != last; ++named)
    if (auto link = find_link(named->second)) links.push_back(std::move(link));
  return links;
}

std::shared_ptr<Connection> Peer::Impl::find_link(std::uint64_t id) const {
  const auto it = connections.find(id);
  return it != connections.end() && it->second->is_up() ? it->second : nullptr;
}

std::shared_ptr<Connection> Peer::Impl::pick(const To& to) {
  if (to.link() != 0) return find_link(to.link());
  if (!to.is_anyone()) {
    std::shared_ptr<Connection> stock;
    for (const auto& link : up_links(to.name())) {
      if (link->is_native()) return link;
      stock = link;
    }
    return stock;
  }
  // Links are in the order of their numbers: the first one behind the last turn, else from the start.
  const auto take_turn = [this](auto from, auto end) -> std::shared_ptr<Connection> {
    const auto it = std::find_if(from, end, [](const auto& entry) { return entry.second->is_up(); });
    if (it == end) return nullptr;
    last_turn = it->first;
    return it->second;
  };
  const auto next = connections.upper_bound(last_turn);
  if (auto link = take_turn(next, connections.end())) return link;
  return take_turn(connections.begin(), next);
}

}  // namespace streamkit
