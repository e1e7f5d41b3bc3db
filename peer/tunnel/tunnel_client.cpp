// TunnelClient: registers, takes visitors, keeps at it. What is fatal and what is not is decided by
// ending_of() and may_pass() alone.
#include "tunnel_client.hpp"

#include "services.hpp"

#include <streamkit/base/text.hpp>

#include <charconv>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

constexpr Duration kRegisterTimeout = std::chrono::seconds(15);
constexpr Duration kHandshakeAllowance = std::chrono::seconds(20);

std::uint16_t port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failure == std::errc() && end == text.data() + text.size() ? port : std::uint16_t{0};
}

// A refusal's text begins with its Code's name, for stock software that shows nothing else.
std::string without_code(const std::string& text) {
  const std::size_t colon = text.find(": ");
  if (colon == std::string::npos) return text;
  for (int code = 0; code <= static_cast<int>(Code::unauthenticated); ++code) {
    if (text.compare(0, colon, to_string(static_cast<Code>(code))) == 0)
      return text.substr(colon + 2);
  }
  return text;
}

// The relay's own words when it said some.
Error worded(const Error& error) {
  if (const Status* remote = error.remote(); remote != nullptr && !remote->message.empty()) {
    return Error(error.code(), escape(remote->message));
  }
  return Error(error.code(), without_code(error.message()));
}

}  // namespace

Ending ending_of(const Error& error) noexcept {
  static constexpr std::pair<Errc, Ending> kEndings[] = {
      {Errc::host_key_unknown, Ending::relay_key},
      {Errc::host_key_mismatch, Ending::relay_key},
      {Errc::auth_denied, Ending::unauthorised},
      {Errc::refused, Ending::refused},
      {Errc::name_taken, Ending::refused},
      {Errc::bad_name, Ending::refused},
      {Errc::limit, Ending::refused},
      {Errc::no_such_service, Ending::refused},
      {Errc::version_mismatch, Ending::refused},
      {Errc::usage, Ending::usage},
      {Errc::bad_endpoint, Ending::usage},
      {Errc::bad_key, Ending::usage},
      {Errc::bad_file, Ending::usage},
      {Errc::key_encrypted, Ending::usage},
  };
  for (const auto& [code, ending] : kEndings) {
    if (error.is(code)) return ending;
  }
  return Ending::unreachable;
}

bool may_pass(const Error& error) noexcept {
  return ending_of(error) == Ending::unreachable || error.is(Errc::limit);
}

TunnelClient::TunnelClient(std::shared_ptr<io::Context> context, TunnelOptions options,
                           TunnelEvents events,
                           std::function<bool(const crypto::PublicKey&)> known_before)
    : context_(std::move(context)),
      options_(std::move(options)),
      events_(std::move(events)),
      known_before_(std::move(known_before)),
      port_(options_.port),
      retry_(*context_) {}

void TunnelClient::log(std::string_view level, const std::string& line) const {
  if (events_.log) events_.log(level, line);
}

// ------------------------------------------------------------------------------------- the link

void TunnelClient::start(Peer& peer) {
  peer_ = &peer;
  peer.events(peer_events());
  const Until until = options_.wait_for_relay
                          ? Until{}
                          : Until(after(io::now(), options_.connect_timeout + kHandshakeAllowance));
  peer.async_connect(options_.relay, until, [weak = weak_from_this()](Result<PeerInfo> connected) {
    const auto self = weak.lock();
    if (self && !connected && !self->was_online_) {
      self->finish(ending_of(connected.error()), worded(connected.error()));
    }
  });
}

PeerEvents TunnelClient::peer_events() {
  PeerEvents events;
  const auto weak = weak_from_this();
  events.connected = events.reconnected = [weak](const PeerInfo& relay) {
    if (const auto self = weak.lock()) self->link_up(relay);
  };
  events.disconnected = [weak](const PeerInfo& relay, const Error& why) {
    const auto self = weak.lock();
    if (self && relay.link == self->relay_.link) self->link_down(why);
  };
  events.reconnecting = [weak](const Endpoint&, const Error& why, Duration wait) {
    const auto self = weak.lock();
    if (self && self->state_ != State::closed && self->events_.reconnecting) {
      self->events_.reconnecting(why, wait);
    }
  };
  events.gave_up = [weak](const Endpoint&, const Error& why) {
    if (const auto self = weak.lock()) self->finish(ending_of(why), worded(why));
  };
  return events;
}

void TunnelClient::link_up(const PeerInfo& relay) {
  if (state_ == State::closed) return;
  relay_ = relay;
  if (!was_online_) first_contact_ = !known_before_(relay.key);
  retry_wait_ = options_.reconnect_first;
  register_tunnel();
}

void TunnelClient::link_down(const Error& why) {
  relay_ = {};
  ++attempt_;
  retry_.cancel();
  registration_.reset();
  if (state_ != State::closed && was_online_) state_ = State::reconnecting;
  log("info", "link to the relay lost: " + why.message());
}

// ------------------------------------------------------------------------------------- registering

OpenOptions TunnelClient::wish() const {
  OpenOptions open;
  open.headers.add(std::string(kTargetHeader), options_.target.text());
  if (options_.kind == Kind::tcp) {
    if (port_ != 0) open.headers.add(std::string(kPortHeader), std::to_string(port_));
    return open;
  }
  if (!options_.name.empty()) open.headers.add(std::string(kNameHeader), options_.name);
  const bool rewrite = options_.host_header.empty() ? options_.target.is_loopback()
                                                    : options_.host_header == "localhost";
  if (rewrite) {
    open.headers.add(std::string(kHostHeader),
                     options_.target.path.empty()
                         ? fmt::format("localhost:{}", options_.target.port)
                         : std::string("localhost"));
  } else if (!options_.host_header.empty() && options_.host_header != "keep") {
    open.headers.add(std::string(kHostHeader), options_.host_header);
  }
  return open;
}

void TunnelClient::register_tunnel() {
  const std::uint64_t attempt = ++attempt_;
  const auto service = options_.kind == Kind::http ? kHttpService : kTcpService;
  peer_->async_open(To::link(relay_.link), std::string(service), wish(),
                    Until(after(io::now(), kRegisterTimeout)),
                    [weak = weak_from_this(), attempt](Result<Channel> channel) {
                      const auto self = weak.lock();
                      if (!self || self->attempt_ != attempt || self->state_ == State::closed)
                        return;
                      if (channel) {
                        self->registered(std::move(*channel));
                      } else {
                        self->registration_failed(channel.error());
                      }
                    });
}

void TunnelClient::registered(Channel channel) {
  registration_.emplace(std::move(channel));
  const Headers& answer = registration_->response_headers();
  Online online;
  online.url = escape(answer.get_or(kUrlHeader, {}));
  online.name = escape(answer.get_or(kNameHeader, {}));
  online.port = port_of(answer.get_or(kPortHeader, {}));
  online.relay_key = relay_.key.fingerprint();
  online.first_contact = first_contact_ && !was_online_;
  online.again = was_online_;
  port_ = online.port;
  was_online_ = true;
  state_ = State::online;
  retry_wait_ = options_.reconnect_first;
  registration_->async_wait_closed(
      [weak = weak_from_this(), attempt = attempt_](Result<Closed> end) {
        const auto self = weak.lock();
        if (self && self->attempt_ == attempt) self->registration_ended(end);
      });
  accept_next();
  {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = online;
    changed_.notify_all();
  }
  if (events_.online) events_.online(online);
}

void TunnelClient::registration_failed(const Error& error) {
  const Error words = worded(error);
  const bool is_refused = ending_of(error) == Ending::refused && !may_pass(error);
  if (is_refused && was_online_ && options_.port == 0 && port_ != 0) {  // by now somebody else has it
    log("warning", fmt::format("port {} is gone, asking for another: {}", port_, words.message()));
    port_ = 0;
    return register_tunnel();
  }
  if (!may_pass(error) || (!was_online_ && !options_.wait_for_relay))
    return finish(ending_of(error), words);
  retry_later(words);
}

void TunnelClient::registration_ended(const Result<Closed>& end) {
  registration_.reset();
  if (end && end->status.reason == kSuperseded) {
    return finish(Ending::refused, Error(Errc::name_taken, escape(end->status.message)));
  }
  retry_later(
      end ? Error(Errc::closed, escape(end->status.message.empty() ? "the relay ended the tunnel"
                                                                   : end->status.message))
          : worded(end.error()));
}

// Asks again on the same link; when the link goes too, link_up() does it instead.
void TunnelClient::retry_later(const Error& why) {
  if (state_ == State::closed || relay_.link == 0) return;
  if (was_online_) state_ = State::reconnecting;
  if (events_.reconnecting) events_.reconnecting(why, retry_wait_);
  retry_.start(after(io::now(), retry_wait_), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->relay_.link != 0) self->register_tunnel();
  });
  retry_wait_ = std::min(options_.reconnect_max, retry_wait_ * 2);
}

// ------------------------------------------------------------------------------------- visitors

void TunnelClient::accept_next() {
  registration_->async_accept(
      [weak = weak_from_this(), attempt = attempt_](Result<Channel> channel) {
        const auto self = weak.lock();
        if (!self || !channel || self->attempt_ != attempt || !self->registration_) return;
        self->begin(std::move(*channel));
        self->accept_next();
      });
}

void TunnelClient::begin(Channel channel) {
  const std::uint64_t number = ++last_visit_;
  Active& active = visits_[number];
  active.visit.number = number;
  active.visit.visitor = escape(channel.info().headers.get_or(kVisitorHeader, "unknown"), 128);
  active.channel = std::move(channel);
  io::Address to;
  to.kind = options_.target.path.empty() ? io::Address::Kind::tcp : io::Address::Kind::unix_path;
  to.host = options_.target.host;
  to.port = options_.target.port;
  to.path = options_.target.path;
  active.connect = io::Connect::start(*context_, to, after(io::now(), options_.target_timeout),
                                      [weak = weak_from_this(), number](auto stream) {
                                        if (const auto self = weak.lock())
                                          self->connected(number, std::move(stream));
                                      });
  if (events_.visit_began) events_.visit_began(active.visit);
}

void TunnelClient::connected(std::uint64_t number, Result<std::unique_ptr<io::Stream>> stream) {
  const auto at = visits_.find(number);
  if (at == visits_.end()) return;
  Active& active = at->second;
  active.connect.reset();
  if (!stream) {
    const std::string text =
        fmt::format("connect to {}: {}", options_.target.text(), connect_problem(stream.error()));
    if (!active.channel.close(Status(Code::unavailable, std::string(kConnectReason), text)))
      active.channel.reset();
    if (events_.target_failed)
      events_.target_failed(active.visit, Error(stream.error().code(), text));
    return ended(number, nullptr);
  }
  // From here on the join owns both.
  active.channel.async_join(std::move(*stream),
                            [weak = weak_from_this(), number](Result<JoinStats> stats) {
                              if (const auto self = weak.lock())
                                self->ended(number, stats ? &*stats : nullptr);
                            });
}

void TunnelClient::ended(std::uint64_t number, const JoinStats* stats) {
  auto node = visits_.extract(number);
  if (node.empty()) return;
  Active& active = node.mapped();
  if (stats != nullptr) {
    active.visit.bytes_in = stats->from_channel;
    active.visit.bytes_out = stats->to_channel;
  }
  if (events_.visit_ended) events_.visit_ended(active.visit);
}

// ------------------------------------------------------------------------------------- the end

void TunnelClient::finish(Ending how, const Error& why) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  retry_.cancel();
  {
    const std::lock_guard lock(mutex_);
    if (!first_) first_.emplace(why);
    changed_.notify_all();
  }
  if (events_.closed) events_.closed(how, why);
}

void TunnelClient::stop() {
  ++attempt_;
  if (registration_) {
    if (!registration_->close(Status(Code::ok, std::string(kStoppedReason))))
      registration_->reset();
  }
  finish(Ending::stopped, Error(Errc::closed, "stopped"));
}

Result<Online> TunnelClient::wait_online(const Until& until) {
  const std::stop_callback on_stop(until.stop, [this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  const auto settled = [&] { return first_.has_value() || until.stop.stop_requested(); };
  if (until.deadline == kNever) {
    changed_.wait(lock, settled);
  } else {
    changed_.wait_until(lock, until.deadline, settled);
  }
  if (first_) return *first_;
  return until.stop.stop_requested() ? Error(Errc::cancelled) : Error(Errc::timeout);
}

}  // namespace streamkit::tunnel
