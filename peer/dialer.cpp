#include "dialer.hpp"

#include <streamkit/crypto/random.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace streamkit {
namespace {

// 1 - jitter .. 1 + jitter
double jittered(double jitter) {
  std::uint32_t r = 0;
  if (!crypto::system_random().fill(std::as_writable_bytes(std::span(&r, 1)))) r = 0x80000000;
  return 1 - jitter + 2 * jitter * (r / 4294967295.0);
}

}  // namespace

io::Address address_of(const Endpoint& endpoint) {
  io::Address address;
  if (endpoint.kind() != Endpoint::Kind::tcp) {
    address.kind = io::Address::Kind::unix_path;
    address.path = endpoint.path();
  } else {
    address.host = endpoint.host();
    address.port = endpoint.port();
  }
  return address;
}

bool is_transient(const Error& error) noexcept {
  for (const Errc final : {Errc::auth_denied, Errc::host_key_unknown, Errc::host_key_mismatch, Errc::name_taken,
                           Errc::version_mismatch, Errc::negotiation, Errc::bad_endpoint, Errc::usage, Errc::bad_name,
                           Errc::cancelled, Errc::shutting_down})
    if (error.is(final)) return false;
  return true;
}

Dialer::Dialer(std::shared_ptr<io::Context> context, DialerOwner& owner, Endpoint endpoint, Policy policy,
               TimePoint first_deadline, Completion<PeerInfo> first)
    : context_(std::move(context)),
      owner_(owner),
      endpoint_(std::move(endpoint)),
      policy_(policy),
      first_deadline_(first_deadline),
      first_(std::move(first)),
      timer_(*context_),
      first_timer_(*context_) {}

Dialer::~Dialer() = default;

void Dialer::start() {
  if (first_deadline_ != kNever)
    first_timer_.start(first_deadline_, [this] {
      if (!first_) return;
      const Error why(Errc::timeout, "no connection to " + endpoint_.text() + " before the deadline");
      const std::shared_ptr<Connection> connection = connection_;
      stop(why);
      if (connection) connection->fail(why);
      owner_.dialer_gave_up(*this, why);
    });
  attempt();
}

void Dialer::stop(const Error& why) {
  stopped_ = true;
  timer_.cancel();
  first_timer_.cancel();
  connect_.reset();
  connection_.reset();
  fail_first(why);
}

void Dialer::fail_first(const Error& error) {
  if (!first_) return;
  context_->post([first = std::exchange(first_, {}), error]() mutable { first(error); });
}

void Dialer::attempt() {
  if (stopped_) return;
  if (endpoint_.kind() == Endpoint::Kind::inproc) {
    Result<std::shared_ptr<Connection>> made = owner_.dial_inproc(*this);
    if (!made) return failed(made.error());
    if (!stopped_ && !(*made)->is_down()) connection_ = std::move(*made);
    return;
  }
  connect_ = owner_.dial(endpoint_, policy_.connect_timeout, [this](Result<std::unique_ptr<io::Stream>> stream) {
    const std::unique_ptr<io::Connect> done = std::move(connect_);
    if (!stream) return failed(stream.error());
    Result<std::shared_ptr<Connection>> made = owner_.dialed(*this, std::move(*stream));
    if (!made) return failed(made.error());
    if (!stopped_ && !(*made)->is_down()) connection_ = std::move(*made);
  });
}

void Dialer::link_up(const PeerInfo& info) {
  failures_ = 0;
  was_up_ = true;
  first_timer_.cancel();
  if (first_) context_->post([first = std::exchange(first_, {}), info]() mutable { first(info); });
}

void Dialer::link_down(const Error& error) {
  connection_.reset();
  if (!stopped_) failed(error);
}

void Dialer::failed(const Error& error) {
  if (stopped_) return;
  const Reconnect& r = policy_.reconnect;
  const bool again = r.on && is_transient(error) && (was_up_ || r.from_start);
  if (!again) {
    stopped_ = true;
    first_timer_.cancel();
    fail_first(error);
    return owner_.dialer_gave_up(*this, error);
  }
  const double grown = static_cast<double>(r.first.count()) * std::pow(r.factor, std::min(failures_++, 60));
  const double wait = std::min(grown, static_cast<double>(r.max.count())) * jittered(r.jitter);
  const Duration pause(static_cast<Duration::rep>(wait));
  owner_.dialer_waits(*this, error, pause);
  if (stopped_) return;
  timer_.start(after(io::now(), pause), [this] { attempt(); });
}

}  // namespace streamkit
