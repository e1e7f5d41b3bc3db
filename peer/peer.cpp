// Peer: the public face, and the channels of all its links.
#include "channel_state.hpp"
#include "deadline.hpp"
#include "peer_impl.hpp"
#include "waiter.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/random.hpp>
#include <streamkit/peer/trust.hpp>

#include <future>

namespace streamkit {
namespace {

std::string random_id() {
  std::string id(16, '\0');
  // Without randomness there is no key exchange either; an empty id says so to nobody's harm.
  if (!crypto::system_random().fill(std::as_writable_bytes(std::span(id)))) id.clear();
  return id;
}

// A name that stock SSH software can carry as a user name and people can type.
Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > 255) return Error(Errc::bad_name, "a peer's name has 1 to 255 bytes");
  if (!is_valid_utf8(name)) return Error(Errc::bad_name, "a peer's name is UTF-8");
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return Error(Errc::bad_name, "a peer's name has no control characters");
  return {};
}

crypto::PrivateKey::Passphrase passphrase_of(const PeerOptions& options) {
  if (!options.passphrase) return {};
  return [&options] { return options.passphrase(options.identity_file); };
}

// What was closed is still held by tasks that the Context has to run, and they post others. They
// go first, so that the last one who lets go of the Context is this thread, which waits for its end:
// a thread that lives on while the process ends finds libraries that have cleaned up already. A
// Channel that its owner keeps, or a Context that is shared, lives on; hence the few rounds.
template <class Impl>
void let_go(const std::shared_ptr<Impl>& impl, const std::shared_ptr<io::Context>& context) {
  constexpr int kRounds = 4;
  for (int i = 0; i < kRounds && (impl.use_count() > 1 || context.use_count() > 2); ++i) {
    const auto reached = std::make_shared<std::promise<void>>();
    std::future<void> done = reached->get_future();
    context->post([reached] { reached->set_value(); });
    done.wait();
  }
}

}  // namespace

Peer::Impl::Impl(PeerOptions o, crypto::PrivateKey key)
    : options(std::move(o)),
      identity(std::move(key)),
      context(options.context ? options.context : io::Context::make()),
      own_name(options.name),
      instance_id(random_id()) {}

Peer::Impl::~Impl() = default;

Result<Peer> Peer::make(PeerOptions options) {
  Result<crypto::PrivateKey> key = options.identity                ? Result<crypto::PrivateKey>(*options.identity)
                                   : options.identity_file.empty() ? crypto::PrivateKey::generate()
                                                                   : load_or_create_identity(options.identity_file, passphrase_of(options));
  if (!key) return key.error();
  if (const auto certificates = Impl::load_certificates(options, key->public_key()); !certificates) return certificates.error();
  if (options.name.empty()) options.name = "peer-" + hex_encode(as_bytes(key->public_key().fingerprint()).subspan(7, 4));
  if (Result<void> r = check_name(options.name); !r) return r.error();
  if (Result<void> r = Impl::check_policy(options); !r) return r.error();
  auto impl = std::make_shared<Impl>(std::move(options), std::move(*key));
  (void)impl->refresh_trust();  // what is wrong with the files is in the log; what is good in them counts
  return Peer(std::move(impl));
}

Peer::Peer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Peer::Peer(Peer&&) noexcept = default;

Peer& Peer::operator=(Peer&& other) noexcept {
  if (this != &other) {
    Peer old(std::move(impl_));
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Peer::~Peer() {
  if (!impl_) return;
  const std::shared_ptr<io::Context> context = impl_->context;
  {
    const io::Context::Lock lock(*context);
    impl_->close_all(Error(Errc::shutting_down, "the peer has gone"));
  }
  if (!context->is_current()) let_go(impl_, context);
}

const std::string& Peer::name() const noexcept { return impl_->own_name; }
const crypto::PublicKey& Peer::key() const noexcept { return impl_->identity.public_key(); }
io::Context& Peer::context() const noexcept { return *impl_->context; }

PeerOptions Peer::options() const {
  const io::Context::Lock lock(*impl_->context);
  return impl_->options;
}

Result<void> Peer::reconfigure(const std::function<void(PeerOptions&)>& change) {
  const io::Context::Lock lock(*impl_->context);
  PeerOptions changed = impl_->options;
  change(changed);
  const PeerOptions& old = impl_->options;
  const bool same_key = changed.identity.has_value() == old.identity.has_value() &&
                        (!changed.identity || changed.identity->public_key() == old.identity->public_key());
  if (changed.name != old.name || changed.app != old.app || changed.identity_file != old.identity_file ||
      changed.context != old.context || changed.accept_backlog != old.accept_backlog || !same_key)
    return Error(Errc::usage, "name, app, identity, context and accept_backlog are set when the peer is made");
  if (Result<void> r = Impl::check_policy(changed); !r) return r;
  impl_->options = std::move(changed);
  return {};
}

Result<void> Peer::reload_trust() {
  const io::Context::Lock lock(*impl_->context);
  return impl_->reload_trust();
}

void Peer::events(PeerEvents events) {
  const io::Context::Lock lock(*impl_->context);
  impl_->events = std::move(events);
}

// ---------------------------------------------------------------- links

Result<Endpoint> Peer::bind(const Endpoint& endpoint) {
  const io::Context::Lock lock(*impl_->context);
  return impl_->bind(endpoint);
}

Result<void> Peer::unbind(const Endpoint& endpoint) {
  const io::Context::Lock lock(*impl_->context);
  return impl_->unbind(endpoint);
}

void Peer::async_connect(const Endpoint& endpoint, Until until, Completion<PeerInfo> done) {
  const io::Context::Lock lock(*impl_->context);
  impl_->connect(endpoint, until, std::move(done));
}

Result<PeerInfo> Peer::connect(const Endpoint& endpoint, Until until) {
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  Waiter<PeerInfo> waiter(*impl_->context);
  {
    io::Context::Lock lock(*impl_->context);
    impl_->connect(endpoint, until, waiter.completion());
    lock.leave_to_wait();
  }
  return waiter.wait(until, [&] {
    const io::Context::Lock lock(*impl_->context);
    // Fails only when the connect has just been answered.
    (void)impl_->disconnect(endpoint, until.stop.stop_requested()
                                          ? Error(Errc::cancelled)
                                          : Error(Errc::timeout, "no connection to " + endpoint.text() + " before the deadline"));
  });
}

Result<void> Peer::disconnect(const Endpoint& endpoint) {
  const io::Context::Lock lock(*impl_->context);
  return impl_->disconnect(endpoint, Error(Errc::cancelled, "disconnected by the application"));
}

std::vector<PeerInfo> Peer::peers() const {
  const io::Context::Lock lock(*impl_->context);
  std::vector<PeerInfo> infos;
  for (const auto& link : impl_->up_links()) infos.push_back(link->info());
  return infos;
}

std::optional<PeerInfo> Peer::next_peer() {
  const io::Context::Lock lock(*impl_->context);
  const std::shared_ptr<Connection> link = impl_->pick(To::anyone());
  if (!link) return std::nullopt;
  return link->info();
}

Result<void> Peer::drop(std::string_view name, std::string_view why) {
  const io::Context::Lock lock(*impl_->context);
  bool any = false;
  for (const auto& link : impl_->up_links()) {
    if (link->info().name != name) continue;
    any = true;
    link->fail(Error(Errc::closed, why.empty() ? "dropped by the other side" : std::string(why)));
  }
  if (!any) return Error(Errc::peer_not_connected, "no link to '" + escape(name) + "'");
  return {};
}

Result<void> Peer::drop_link(std::uint64_t id, std::string_view why) {
  const io::Context::Lock lock(*impl_->context);
  const std::shared_ptr<Connection> link = impl_->find_link(id);
  if (!link) return Errc::peer_not_connected;
  link->fail(Error(Errc::closed, why.empty() ? "dropped by the other side" : std::string(why)));
  return {};
}

// ---------------------------------------------------------------- channels

void Peer::async_open(const To& to, std::string service, OpenOptions options, Until until, Completion<Channel> done) {
  const io::Context::Lock lock(*impl_->context);
  impl_->open(to, std::move(service), std::move(options), until, std::move(done));
}

Result<Channel> Peer::open(const To& to, std::string service, OpenOptions options, Until until) {
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  Waiter<Channel> waiter(*impl_->context);
  {
    io::Context::Lock lock(*impl_->context);
    impl_->open(to, std::move(service), std::move(options), until, waiter.completion());
    lock.leave_to_wait();
  }
  return waiter.wait({}, [] {});  // the deadline is kept on the Context
}

void Peer::Impl::open(const To& to, std::string service, OpenOptions open_options, const Until& until, Completion<Channel> done) {
  Until limit = until;
  if (limit.deadline == kNever) limit.deadline = after(io::now(), options.open_timeout);
  const std::uint64_t number = ++last_number;
  const std::weak_ptr<Impl> weak = weak_from_this();
  auto opened = std::make_shared<std::weak_ptr<ChannelState>>();
  Completion<Channel> call = with_deadline<Channel>(context, limit, std::move(done), [weak, number, opened] {
    stop_waiting_for(opened->lock());
    if (const auto self = weak.lock()) std::erase_if(self->pending_opens, [&](const PendingOpen& p) { return p.number == number; });
  });
  const auto fail = [&](const Error& error) {
    context->post([call = std::move(call), error]() mutable { call(error); });
  };
  if (is_shut) return fail(Errc::shutting_down);
  if (open_options.form == OpenForm::channel && !channel::is_valid_service_name(service))
    return fail(Error(Errc::bad_name, "a service name has 1 to 255 bytes of UTF-8 without control characters"));
  if (const std::shared_ptr<Connection> link = pick(to)) {
    *opened = link->open(std::move(service), std::move(open_options), nullptr, std::move(call));
    return;
  }
  if (to.link() != 0) return fail(Errc::peer_not_connected);
  pending_opens.push_back({number, to, std::move(service), std::move(open_options), std::move(call)});
}

Result<Channel> Peer::accept(Until until) {
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  Waiter<Channel> waiter(*impl_->context);
  std::uint64_t number = 0;
  {
    io::Context::Lock lock(*impl_->context);
    number = impl_->accept(waiter.completion());
    lock.leave_to_wait();
  }
  return waiter.wait(until, [&] {
    const io::Context::Lock lock(*impl_->context);
    std::erase_if(impl_->accepts, [&](const Impl::Accept& a) { return a.number == number; });
  });
}

void Peer::async_accept(Completion<Channel> done) {
  const io::Context::Lock lock(*impl_->context);
  impl_->accept(std::move(done));
}

std::uint64_t Peer::Impl::accept(Completion<Channel> done) {
  const std::uint64_t number = ++last_number;
  if (is_shut) {
    context->post([done = std::move(done)]() mutable { done(Errc::shutting_down); });
    return number;
  }
  accepts.push_back({number, std::move(done)});
  give_accepts();
  return number;
}

// As in ChannelState: confirming may come back here.
void Peer::Impl::give_accepts() {
  while (!accepts.empty() && !waiting.empty()) {
    const std::shared_ptr<ChannelState> state = std::move(waiting.front());
    waiting.pop_front();
    Accept accept = std::move(accepts.front());
    accepts.pop_front();
    Result<Channel> channel = state->confirm({});
    if (!channel) {  // its opener has gone
      accepts.push_front(std::move(accept));
      continue;
    }
    state->connection()->complete(
        [done = std::move(accept.done), channel = std::move(channel)]() mutable { done(std::move(channel)); });
  }
}

void Peer::Impl::incoming(Connection& connection, std::shared_ptr<ChannelState> state) {
  if (is_shut) return state->refuse(Code::unavailable, "this peer is shutting down");
  for (const auto& [pattern, handler] : handlers) {
    if (!matches_pattern(pattern, state->info.service)) continue;
    return connection.complete([handler, state] { (*handler)(Incoming(state)); });
  }
  if (waiting.size() >= options.accept_backlog)
    return state->refuse(Code::resource_exhausted, "too many channels wait to be accepted");
  waiting.push_back(std::move(state));
  give_accepts();
}

void Peer::on_open(std::string pattern, std::function<void(Incoming)> handler) {
  const io::Context::Lock lock(*impl_->context);
  impl_->handlers.emplace_back(std::move(pattern), std::make_shared<std::function<void(Incoming)>>(std::move(handler)));
}

void Peer::on_forward(std::function<Result<std::uint32_t>(const ForwardRequest&)> handler) {
  const io::Context::Lock lock(*impl_->context);
  impl_->on_forward = std::move(handler);
}

void Peer::async_open_forwarded(const ForwardRequest& granted, std::uint32_t port, std::string originator_host,
                                std::uint16_t originator_port, Until until, Completion<Channel> done) {
  const io::Context::Lock lock(*impl_->context);
  if (until.deadline == kNever) until.deadline = after(io::now(), impl_->options.open_timeout);
  auto opened = std::make_shared<std::weak_ptr<ChannelState>>();
  Completion<Channel> call = with_deadline<Channel>(impl_->context, until, std::move(done), [opened] {
    stop_waiting_for(opened->lock());
  });
  const std::shared_ptr<Connection> link = impl_->find_link(granted.from.link);
  if (!link) {
    impl_->context->post([call = std::move(call)]() mutable { call(Errc::peer_not_connected); });
    return;
  }
  *opened = link->open_forwarded(granted, port, originator_host, originator_port, std::move(call));
}

void Peer::async_request_forward(const To& to, ForwardRequest wanted, std::string service, Until until,
                                 Completion<std::uint32_t> done) {
  const io::Context::Lock lock(*impl_->context);
  if (until.deadline == kNever) until.deadline = after(io::now(), impl_->options.open_timeout);
  Completion<std::uint32_t> call = with_deadline<std::uint32_t>(impl_->context, until, std::move(done), {});
  if (const std::shared_ptr<Connection> link = impl_->pick(to))
    return link->request_forward(std::move(wanted), std::move(service), std::move(call));
  impl_->context->post([call = std::move(call)]() mutable { call(Errc::peer_not_connected); });
}

Result<std::uint32_t> Peer::request_forward(const To& to, ForwardRequest wanted, std::string service, Until until) {
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  Waiter<std::uint32_t> waiter(*impl_->context);
  async_request_forward(to, std::move(wanted), std::move(service), until, waiter.completion());
  return waiter.wait({}, [] {});  // the deadline is kept on the Context
}

void Peer::Impl::log(std::string_view level, std::string_view line) {
  if (options.log) options.log(level, line);
}

// ---------------------------------------------------------------- the end

// No new links: neither bound nor dialed.
void Peer::Impl::stop_links(const Error& why) {
  for (const Bound& b : bound)
    if (b.is_inproc) InprocRegistry::unbind(b.endpoint.name());
  bound.clear();
  for (auto& dialer : dialers) dialer->stop(why);
  dialers.clear();
}

void Peer::Impl::close_all(const Error& why) {
  is_shut = true;
  stop_links(why);
  for (Accept& a : std::exchange(accepts, {}))
    context->post([done = std::move(a.done), why]() mutable { done(why); });
  for (PendingOpen& p : std::exchange(pending_opens, {}))
    context->post([done = std::move(p.done), why]() mutable { done(why); });
  for (const auto& state : std::exchange(waiting, {})) state->refuse(Code::unavailable, "this peer is shutting down");
  for (const auto& [id, connection] : std::exchange(connections, {})) {
    connection->disown();
    connection->fail(Error(Errc::closed, why.message()));
  }
  for (const auto& bastion : std::exchange(bastions, {})) bastion->end();
  names.clear();
  admission.clear();
  refusal_timer.reset();
  events = {};
  handlers.clear();
  on_forward = {};
}

Result<void> Peer::shutdown(Until grace) {
  if (io::Context::is_any_current()) return Errc::would_deadlock;
  if (grace.deadline == kNever) grace.deadline = after(io::now(), std::chrono::seconds(30));
  Waiter<void> waiter(*impl_->context);
  const Error why(Errc::shutting_down, "the other side is shutting down");
  {
    const io::Context::Lock lock(*impl_->context);
    Impl& impl = *impl_;
    if (impl.is_shut) return {};
    impl.is_shut = true;
    impl.stop_links(why);
    for (const auto& state : std::exchange(impl.waiting, {})) state->refuse(Code::unavailable, "this peer is shutting down");
    // Done when every channel has ended and what was written is with the operating system.
    auto done = std::make_shared<Completion<void>>(waiter.completion());
    impl.on_change = [&impl, done] {
      for (const auto& link : impl.up_links())
        if (link->live_channels() > 0 || !link->is_flushed()) return;
      if (*done) std::exchange(*done, {})(Result<void>());
    };
    impl.on_change();
    if (*done) {
      struct Check {  // looks again each time the loop comes round, at most every 5 ms
        explicit Check(io::Context& c) : timer(c) {}
        io::Timer timer;
      };
      auto check = std::make_shared<Check>(*impl.context);
      const std::weak_ptr<Impl> weak = impl.weak_from_this();
      auto look = std::make_shared<std::function<void()>>();
      *look = [weak, check, done, look_weak = std::weak_ptr<std::function<void()>>(look)] {
        const auto self = weak.lock();
        const auto again = look_weak.lock();
        if (!self || !self->on_change || !again) return;
        self->on_change();
        if (*done) check->timer.start(after(io::now(), std::chrono::milliseconds(5)), [again] { (*again)(); });
      };
      (*look)();
    }
  }
  Result<void> result = waiter.wait(grace, [] {});
  const io::Context::Lock lock(*impl_->context);
  impl_->on_change = {};
  impl_->close_all(why);
  return result;
}

}  // namespace streamkit
