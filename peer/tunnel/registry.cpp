// Registry: grants names and ports, and leads visitors of TCP tunnels to their client. Ours and
// stock ssh clients are the same here: each brings two functions (Wish::open, Wish::end).
#include "registry.hpp"

#include "services.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

constexpr std::size_t kMaxTargetText = 256;
constexpr std::size_t kMaxHostHeader = 255;
constexpr int kPortAttempts = 200;

// What may stand in a Host field: it is put into requests as it is.
bool is_field_value(std::string_view text) {
  return text.size() <= kMaxHostHeader &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string port_key(std::uint16_t port) {
  return fmt::format("tcp:{}", port);
}

}  // namespace

Registry::Registry(io::Context& context, RelayOptions options, RelayEvents events)
    : context_(context),
      options_(std::move(options)),
      events_(std::move(events)),
      names_(options_.limits.linger, options_.limits.tunnels_per_key),
      expiry_(context) {}

std::string Registry::url_of(std::string_view name) const {
  const std::uint16_t port = options_.public_port != 0 ? options_.public_port : http_port_;
  return port == 80 ? fmt::format("http://{}.{}", name, options_.domain)
                    : fmt::format("http://{}.{}:{}", name, options_.domain, port);
}

void Registry::refused(const PeerInfo& who, const std::string& why) const {
  if (events_.refused)
    events_.refused(fmt::format("{} ({})", who.address, who.key.fingerprint()), why);
}

// ------------------------------------------------------------------------------------- claiming

Result<Registry::Granted> Registry::claim(Wish wish) {
  const PeerInfo from = wish.from;
  if (from.key.is_empty()) return Error(Errc::refused, "tunnels need a client with a key");
  auto granted = wish.kind == Kind::http ? claim_http(std::move(wish)) : claim_tcp(std::move(wish));
  if (!granted) {
    refused(from, granted.error().message());
    return granted;
  }
  arm_expiry();
  if (events_.claimed) events_.claimed(granted->info);
  return granted;
}

Result<Registry::Granted> Registry::claim_http(Wish wish) {
  if (options_.http.empty()) return Error(Errc::refused, "this relay has no HTTP tunnels");
  if (!is_field_value(wish.host_header)) {
    return Error(Errc::refused, "that host-header cannot be a Host field");
  }
  auto own = derived_name(wish.from.key);
  if (!own) return own.error();
  auto name = wish.name.empty() ? own : check_name(wish.name);
  if (!name) return name.error();
  if (has_derived_form(*name) && *name != *own) {
    return Error(Errc::bad_name,
                 fmt::format("\"{}\" has the form of a name that belongs to one key, and "
                             "it is not yours; choose another, or none",
                             *name));
  }
  auto claimed = names_.claim(*name, {wish.from.key.fingerprint(), wish.from.address}, io::now());
  if (!claimed) return claimed.error();
  TunnelInfo info;
  info.name = *name;
  info.url = url_of(*name);
  return grant(*claimed, *name, std::move(info), std::move(wish));
}

Result<Registry::Granted> Registry::claim_tcp(Wish wish) {
  std::uint16_t port = wish.port;
  if (port == 0) {
    auto chosen = listen_anywhere();
    if (!chosen) return chosen.error();
    port = *chosen;
  } else if (port < options_.min_port || port > options_.max_port) {
    return Error(Errc::refused,
                 fmt::format("port {} is not allowed here; this relay gives {} to {}", port,
                             options_.min_port, options_.max_port));
  }
  auto claimed =
      names_.claim(port_key(port), {wish.from.key.fingerprint(), wish.from.address}, io::now());
  if (!claimed) {
    if (wish.port == 0) drop_listener(port);
    return claimed.error();
  }
  if (auto listening = listen(port); !listening) {
    names_.release(claimed->claim);
    return listening.error();
  }
  TunnelInfo info;
  info.kind = Kind::tcp;
  info.port = port;
  info.url = fmt::format("tcp://{}:{}", options_.domain, port);
  return grant(*claimed, port_key(port), std::move(info), std::move(wish));
}

Registry::Granted Registry::grant(const NameTable::Claimed& claimed, std::string key,
                                  TunnelInfo info, Wish wish) {
  if (const auto old = tunnels_.find(claimed.superseded); old != tunnels_.end()) {
    const TunnelInfo was = old->second.info;
    auto end = std::move(old->second.wish.end);
    tunnels_.erase(old);
    if (on_gone) on_gone(claimed.superseded);
    if (events_.released) events_.released(was, kSuperseded);
    end(Status(Code::aborted, std::string(kSuperseded),
               fmt::format("another client with the same key took over {}, from {}", was.url,
                           wish.from.address)));
  }
  info.key = wish.from.key.fingerprint();
  info.address = wish.from.address;
  info.target = escape(wish.target, kMaxTargetText);
  info.stock_ssh = wish.stock_ssh;
  tunnels_.emplace(claimed.claim, Tunnel{std::move(key), info, std::move(wish)});
  return Granted{claimed.claim, std::move(info)};
}

// ------------------------------------------------------------------------------------- letting go

void Registry::forget(ClaimId claim, std::string_view why) {
  const auto at = tunnels_.find(claim);
  if (at == tunnels_.end()) return;
  const TunnelInfo info = at->second.info;
  tunnels_.erase(at);
  if (on_gone) on_gone(claim);
  if (events_.released) events_.released(info, why);
}

void Registry::release(ClaimId claim) {
  const auto at = tunnels_.find(claim);
  if (at == tunnels_.end()) return;
  if (at->second.info.kind == Kind::tcp) drop_listener(at->second.info.port);
  names_.release(claim);
  forget(claim, "closed");
}

void Registry::lost(ClaimId claim) {
  if (!names_.linger(claim, io::now())) return;
  forget(claim, "lost");
  arm_expiry();
}

void Registry::close(const Status& why) {
  expiry_.cancel();
  listeners_.clear();
  auto tunnels = std::exchange(tunnels_, {});
  for (auto& [claim, tunnel] : tunnels) tunnel.wish.end(why);
}

void Registry::arm_expiry() {
  const TimePoint at = names_.next_expiry();
  if (at == kNever) return expiry_.cancel();
  expiry_.start(at, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->expire();
  });
}

void Registry::expire() {
  for (const std::string& name : names_.expire(io::now())) {
    if (name.starts_with("tcp:"))
      drop_listener(static_cast<std::uint16_t>(std::stoul(name.substr(4))));
  }
  arm_expiry();
}

// ------------------------------------------------------------------------------------- finding

Registry::Found Registry::find_http(const std::string& name) const {
  Found found;
  const auto* entry = names_.find(name, io::now());
  if (entry == nullptr) return found;
  const auto at = tunnels_.find(entry->claim);
  if (entry->lingering || at == tunnels_.end()) {
    found.presence = Presence::lingering;
    return found;
  }
  found.presence = Presence::live;
  found.target = at->second.info.target;
  found.host_header = at->second.wish.host_header;
  found.claim = entry->claim;
  return found;
}

void Registry::open(ClaimId claim, const io::Address& visitor, Completion<Channel> done) {
  const auto at = tunnels_.find(claim);
  if (at != tunnels_.end()) return at->second.wish.open(visitor, std::move(done));
  context_.post([done = std::move(done)]() mutable {
    done(Error(Errc::peer_not_connected, "the tunnel's client has just gone"));
  });
}

std::vector<TunnelInfo> Registry::tunnels() const {
  std::vector<TunnelInfo> all;
  for (const auto& [claim, tunnel] : tunnels_) all.push_back(tunnel.info);
  return all;
}

// ------------------------------------------------------------------------------------- TCP

Result<void> Registry::listen(std::uint16_t port) {
  if (listeners_.contains(port)) return {};
  io::Address at;
  at.host = options_.tcp_bind;
  at.port = port;
  auto listener = io::Listener::listen(context_, at, [weak = weak_from_this(), port](auto stream) {
    if (const auto self = weak.lock()) self->accept_tcp(port, std::move(stream));
  });
  if (!listener) return listener.error();
  listeners_.emplace(port, std::move(*listener));
  return {};
}

// The system's choice where it lies in the allowed range, else the first free one of a few.
Result<std::uint16_t> Registry::listen_anywhere() {
  io::Address any;
  any.host = options_.tcp_bind;
  auto probe = io::Listener::listen(context_, any, [](auto) {});
  if (!probe) return probe.error();
  const std::uint16_t chosen = (*probe)->address().port;
  (*probe)->close();
  probe->reset();
  if (chosen >= options_.min_port && chosen <= options_.max_port && listen(chosen)) return chosen;
  const int range = options_.max_port - options_.min_port + 1;
  for (int i = 0; i < std::min(range, kPortAttempts); ++i) {
    const auto port = static_cast<std::uint16_t>(options_.min_port + (chosen + i) % range);
    if (!listeners_.contains(port) && names_.find(port_key(port), io::now()) == nullptr &&
        listen(port)) {
      return port;
    }
  }
  return Error(Errc::limit, fmt::format("no port of {} to {} is free on this relay",
                                        options_.min_port, options_.max_port));
}

void Registry::drop_listener(std::uint16_t port) {
  listeners_.erase(port);
}

void Registry::accept_tcp(std::uint16_t port, std::unique_ptr<io::Stream> stream) {
  const auto* entry = names_.find(port_key(port), io::now());
  const auto at = entry == nullptr ? tunnels_.end() : tunnels_.find(entry->claim);
  if (at == tunnels_.end() || at->second.visitors >= options_.limits.visitors_per_tunnel) {
    return stream->close(true);
  }
  const ClaimId claim = at->first;
  const io::Address visitor = stream->remote_address();
  ++at->second.visitors;
  if (events_.visited) events_.visited(at->second.info, visitor.text());
  at->second.wish.open(visitor, [weak = weak_from_this(), claim,
                                 stream = std::move(stream)](Result<Channel> channel) mutable {
    const auto self = weak.lock();
    if (!self) return;
    if (channel) return self->join_tcp(claim, std::move(*channel), std::move(stream));
    stream->close(true);
    self->visit_over(claim);
  });
}

// From here on the join owns both.
void Registry::join_tcp(ClaimId claim, Channel channel, std::unique_ptr<io::Stream> stream) {
  channel.async_join(std::move(stream), [weak = weak_from_this(), claim](Result<JoinStats>) {
    if (const auto self = weak.lock()) self->visit_over(claim);
  });
}

void Registry::visit_over(ClaimId claim) {
  if (const auto at = tunnels_.find(claim); at != tunnels_.end()) --at->second.visitors;
}

}  // namespace streamkit::tunnel
