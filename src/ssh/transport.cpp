// Transport's face: making one, bytes in and out, commands, timers, the end. What packets mean is
// in transport_packets.cpp.
#include "numbers.hpp"
#include "transport_impl.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>

namespace streamkit::ssh {
namespace {

constexpr int kSmallUsesBeforeShrink = 32;
/// Reading stops when unsent answers are this many times output_high_water. What a side sends of its
/// own accord does not count: if it did, two sides that both have much to say would wait for each
/// other for ever.
constexpr std::size_t kReadStopFactor = 2;

Result<void> check_host_certificates(const Config& config) {
  for (const crypto::PrivateKey& key : config.host_keys) {
    const auto fits = [&](const crypto::Certificate& c) { return c.fits(key.public_key()); };
    if (std::count_if(config.host_certificates.begin(), config.host_certificates.end(), fits) > 1)
      return Error(Errc::usage, "Config::host_certificates has two for one key");
  }
  for (const crypto::Certificate& certificate : config.host_certificates) {
    const auto certified = [&](const crypto::PrivateKey& k) {
      return certificate.fits(k.public_key());
    };
    if (std::none_of(config.host_keys.begin(), config.host_keys.end(), certified))
      return Error(Errc::usage,
                   "Config::host_certificates has one of a key that is not in host_keys");
    if (certificate.type() != crypto::CertificateType::host)
      return Error(Errc::usage, "Config::host_certificates has a user's");
  }
  return {};
}

Result<void> check_authentication_methods(const Config& config) {
  const std::vector<std::string>& wanted = config.authentication_methods;
  for (auto it = wanted.begin(); it != wanted.end(); ++it) {
    const bool offered = *it == kMethodPublicKey ||
                         (*it == kMethodPassword && config.offer_password) ||
                         (*it == kMethodInteractive && config.offer_interactive);
    if (!offered || std::find(wanted.begin(), it, *it) != it)
      return Error(Errc::usage, "Config::authentication_methods has '" + escape(*it, 64) +
                                    "' twice or where it is not offered");
  }
  return {};
}

Result<void> check(Role role, const Config& config) {
  if (!config.random) return Error(Errc::usage, "Config::random is required");
  if (role == Role::client) {
    if (config.user.size() > kMaxUserName)
      return Error(Errc::usage, "Config::user is longer than 255 bytes");
    for (const auto& identity : config.identities) {
      if (identity.public_key().is_empty())
        return Error(Errc::usage, "Config::identities has an empty key");
      if (identity.certificate && !identity.certificate->fits(identity.public_key()))
        return Error(Errc::usage, "Config::identities has a certificate of another key");
      if (identity.certificate && identity.certificate->type() != crypto::CertificateType::user)
        return Error(Errc::usage, "Config::identities has a host's certificate");
    }
    return {};
  }
  if (config.host_keys.empty())
    return Error(Errc::usage, "a server needs a host key in Config::host_keys");
  for (std::size_t i = 0; i < config.host_keys.size(); ++i) {
    if (config.host_keys[i].is_empty())
      return Error(Errc::usage, "Config::host_keys has an empty key");
    for (std::size_t j = 0; j < i; ++j)
      if (config.host_keys[i].public_key().type() == config.host_keys[j].public_key().type())
        return Error(Errc::usage, "Config::host_keys has two keys of one type");
  }
  if (auto good = check_authentication_methods(config); !good) return good;
  return check_host_certificates(config);
}

}  // namespace

// ---- Transport: the shell

Result<Transport> Transport::make(Role role, Config config, TimePoint now) {
  if (auto good = check(role, config); !good) return good.error();
  Result<std::string> ident = make_ident(config.software);
  if (!ident) return ident.error();
  Result<Proposal> proposal = make_proposal(role, config);
  if (!proposal) return proposal.error();
  auto impl =
      std::make_unique<Impl>(role, std::move(config), std::move(*proposal), std::move(*ident), now);
  if (auto started = impl->start(); !started) return started.error();
  return Transport(std::move(impl));
}

Transport::Transport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transport::Transport(Transport&&) noexcept = default;
Transport& Transport::operator=(Transport&&) noexcept = default;
Transport::~Transport() = default;

MutableByteView Transport::prepare() {
  return impl_->prepare();
}
Result<void> Transport::handle_input(std::size_t size, TimePoint now) {
  return impl_->whole([&] { return impl_->handle_input(size, now); });
}
Result<void> Transport::handle_timeout(TimePoint now) {
  return impl_->whole([&] { return impl_->handle_timeout(now); });
}
void Transport::handle_eof() {
  impl_->whole([&] { impl_->handle_eof(); });
}
void Transport::accept_host_key(const std::vector<Identity>& more) {
  impl_->whole([&] { impl_->accept_host_key(more); });
}
void Transport::reject_host_key(const Error& why) {
  impl_->whole([&] { impl_->reject_host_key(why); });
}
void Transport::accept_auth() {
  impl_->whole([&] { impl_->answer_auth(true); });
}
void Transport::reject_auth() {
  impl_->whole([&] { impl_->answer_auth(false); });
}
Result<void> Transport::ask(const InfoRequest& request) {
  return impl_->whole([&] { return impl_->ask(request); });
}
Result<void> Transport::answer_prompts(const std::vector<SecretBytes>& answers) {
  return impl_->whole([&] { return impl_->answer_prompts(answers); });
}
Result<void> Transport::provide_signature(ByteView signature) {
  return impl_->whole([&] { return impl_->provide_signature(signature); });
}
void Transport::decline() {
  impl_->whole([&] { impl_->decline(); });
}
void Transport::disconnect(DisconnectReason reason, std::string_view description) {
  impl_->whole([&] { impl_->disconnect(reason, description); });
}
Result<void> Transport::send(ByteView header, ByteView body, TimePoint now) {
  return impl_->whole([&] { return impl_->send(header, body, now); });
}
Result<void> Transport::start_rekey(TimePoint now) {
  return impl_->whole([&] { return impl_->start_rekey(now); });
}
void Transport::set_max_send_packet(std::size_t bytes) {
  impl_->set_max_send_packet(bytes);
}
void Transport::set_send_batch(std::size_t bytes) {
  impl_->set_send_batch(bytes);
}
ByteView Transport::output() const noexcept {
  return impl_->output();
}
void Transport::consume_output(std::size_t size) noexcept {
  impl_->consume_output(size);
}
std::optional<Event> Transport::poll_event() {
  return impl_->poll_event();
}
std::optional<ByteView> Transport::next_payload(TimePoint now) {
  return impl_->whole([&] { return impl_->next_payload(now); });
}
const Keeper& Transport::keeper() const noexcept {
  return impl_->keeper();
}
std::optional<TimePoint> Transport::next_timeout() const noexcept {
  return impl_->next_timeout();
}
std::size_t Transport::sendable_bytes() const noexcept {
  return impl_->sendable_bytes();
}
bool Transport::wants_input() const noexcept {
  return impl_->wants_input();
}
bool Transport::is_authenticated() const noexcept {
  return impl_->is_authenticated();
}
bool Transport::is_closed() const noexcept {
  return impl_->is_closed();
}
ByteView Transport::session_id() const noexcept {
  return impl_->session_id();
}
const ConnectionInfo& Transport::info() const noexcept {
  return impl_->info();
}

// ---- beginning and end

Transport::Impl::Impl(Role role, Config config, Proposal proposal, std::string ident, TimePoint now)
    : role_(role),
      config_(std::move(config)),
      proposal_(std::move(proposal)),
      random_(*config_.random),
      now_(now),
      started_at_(now),
      out_(output_kept()),
      our_ident_(std::move(ident)),
      ident_reader_(role),
      opener_(config_.limits.max_packet_before_auth),
      rekey_(config_.limits) {
  static_assert(sizeof(Impl) <= 1792, "an idle connection is promised to cost less than 16 KiB");
}

Transport::Impl::~Impl() {
  wipe(std::as_writable_bytes(std::span(config_.password)));
}

Result<void> Transport::Impl::start() {
  out_.append(as_bytes(our_ident_));
  out_.append(as_bytes("\r\n"));
  return begin_exchange();
}

void Transport::Impl::close(Disconnected how) {
  if (is_closed()) return;
  phase_ = Phase::closed;
  question_ = Question::none;
  ready_.reset();
  to_consume_ = 0;
  in_.clear();
  kex_.reset();
  delayed_.reset();
  end_.emplace(std::move(how));  // and poll_event() tells it last
}

void Transport::Impl::abandon() noexcept {
  out_.clear();
  close({std::make_error_code(std::errc::not_enough_memory), false,
         DisconnectReason::by_application});
}

void Transport::Impl::fail(const Error& error) {
  if (is_closed()) return;
  const DisconnectReason reason = disconnect_reason(error);
  // Best effort: if even this cannot be sealed, the connection just ends.
  (void)send_now(write_disconnect(reason, error.message()));
  close({error, false, reason});
}

void Transport::Impl::disconnect(DisconnectReason reason, std::string_view description) {
  if (is_closed()) return;
  (void)send_now(write_disconnect(reason, description));
  close({Error(Errc::closed, "we ended the connection: " + escape(description, kMaxDescription)),
         false, reason});
}

void Transport::Impl::handle_disconnect(ByteView payload) {
  const DisconnectMessage message = read_disconnect(payload);
  out_.clear();
  answers_ = 0;
  const std::string words =
      message.description.empty() ? "without a reason" : "saying: " + message.description;
  close({Error(Errc::disconnected, "the other side ended the connection, " + words), true,
         message.reason});
}

// ---- inputs

void Transport::Impl::finish_payload() {
  if (to_consume_ > 0) in_.consume(std::exchange(to_consume_, 0));
}

MutableByteView Transport::Impl::prepare() {
  finish_payload();
  if (in_.empty() && small_reads_ >= kSmallUsesBeforeShrink) {
    small_reads_ = 0;
    read_size_ = std::max(kReadSmall, read_size_ / 2);
    in_.shrink();
  }
  MutableByteView room = in_.prepare(read_size_);
  if (room.size() > read_size_) room = room.first(read_size_);
  prepared_ = room.size();
  return room;
}

Result<void> Transport::Impl::handle_input(std::size_t size, TimePoint now) {
  now_ = now;
  if (end_) return end_->error;
  if (size > prepared_) return Error(Errc::usage, "handle_input() with more than prepare() gave");
  in_.commit(size);
  prepared_ -= size;
  if (prepared_ == 0) {
    read_size_ = std::min(kReadLarge, read_size_ * 2);
    small_reads_ = 0;
  } else if (size < read_size_ / 4) {
    ++small_reads_;
  } else {
    small_reads_ = 0;
  }
  info_.bytes_in += size;
  pump();
  if (end_) return end_->error;
  return {};
}

void Transport::Impl::handle_eof() {
  eof_ = true;
  pump();
  // With a payload still to be fetched, the end comes behind it.
  if (!ready_ && !is_closed())
    close({Error(Errc::connection_lost, "the stream ended without a word from the other side"),
           true, DisconnectReason::connection_lost});
}

Result<void> Transport::Impl::handle_timeout(TimePoint now) {
  now_ = now;
  if (end_) return end_->error;
  if (delayed_ && now >= delayed_until_) {
    AuthStep step = std::move(*delayed_);
    delayed_.reset();
    run(perform_now(std::move(step)));
  }
  const bool early = phase_ != Phase::open && !is_closed();
  if (early && now >= after(started_at_, config_.limits.handshake_timeout))
    fail(Error(Errc::timeout, "the handshake did not finish in time"));
  if (phase_ == Phase::open && kex_ && now >= after(kex_started_at_, config_.limits.kex_timeout))
    fail(Error(Errc::key_exchange, "the other side did not finish a key exchange in time"));
  if (phase_ == Phase::open && !kex_ && now >= after(keys_at_, config_.limits.rekey_after))
    run(begin_exchange());
  pump();
  if (end_) return end_->error;
  return {};
}

// ---- commands

void Transport::Impl::reject_host_key(const Error& why) {
  if (question_ != Question::host_key) return;
  question_ = Question::none;
  const bool fitting = disconnect_reason(why) == DisconnectReason::host_key_not_verifiable;
  fail(fitting ? why : Error(Errc::host_key_unknown, why.message()));
}

void Transport::Impl::accept_host_key(const std::vector<Identity>& more) {
  if (question_ != Question::host_key) return;
  question_ = Question::none;
  for (const Identity& identity : more) {
    const crypto::PublicKey& key = identity.public_key();
    const bool known = std::any_of(config_.identities.begin(), config_.identities.end(),
                                   [&](const Identity& one) { return one.public_key() == key; });
    if (!known && !key.is_empty()) config_.identities.push_back(identity);
  }
  host_key_ = to_bytes(kex_->host_key());
  run(send_new_keys());
}

void Transport::Impl::answer_auth(bool accepted) {
  if (question_ != Question::auth || !auth_server_) return;
  question_ = Question::none;
  Result<AuthStep> step = auth_server_->answer(accepted);
  run(step ? perform(std::move(*step)) : Result<void>(step.error()));
}

Result<void> Transport::Impl::answer_with(Result<AuthStep> step) {
  if (!step) return step.error();
  question_ = Question::none;
  run(perform(std::move(*step)));
  return {};
}

Result<void> Transport::Impl::ask(const InfoRequest& request) {
  if (end_) return end_->error;
  if (question_ != Question::auth || !auth_server_)
    return Error(Errc::usage, "ask() without a question");
  return answer_with(auth_server_->ask(request));
}

Result<void> Transport::Impl::answer_prompts(const std::vector<SecretBytes>& answers) {
  if (end_) return end_->error;
  if (question_ != Question::auth || !auth_client_)
    return Error(Errc::usage, "answer_prompts() without a question");
  return answer_with(auth_client_->answer_prompts(answers));
}

Result<void> Transport::Impl::provide_signature(ByteView signature) {
  if (end_) return end_->error;
  if (question_ != Question::auth || !auth_client_)
    return Error(Errc::usage, "provide_signature() without a question");
  return answer_with(auth_client_->provide_signature(signature));
}

void Transport::Impl::decline() {
  if (question_ != Question::auth || !auth_client_) return;
  run(answer_with(auth_client_->decline()));
}

Result<void> Transport::Impl::perform(AuthStep step) {
  const Duration delay = config_.limits.auth_failure_delay;
  if (!step.failed || delay <= Duration::zero() || now_ >= after(request_at_, delay))
    return perform_now(std::move(step));
  delayed_until_ = after(request_at_, delay);
  delayed_ = std::make_unique<AuthStep>(std::move(step));
  return {};
}

Result<void> Transport::Impl::perform_now(AuthStep step) {
  for (Bytes& payload : step.send) {
    const Result<void> sent = send_or_hold(payload);
    wipe(payload);  // it may be a password
    if (!sent) return sent;
  }
  if (step.question) question_ = Question::auth;
  for (Event& event : step.events) events_.push_back(std::move(event));
  if (step.end) return *step.end;
  if (!step.success) return {};
  phase_ = Phase::open;
  opener_.set_max_packet(config_.limits.max_packet);
  unimplemented_ = 0;
  authenticated_unseen_ = true;
  auth_client_.reset();
  events_.emplace_back(std::move(*step.success));
  return check_rekey();
}

Result<void> Transport::Impl::send(ByteView header, ByteView body, TimePoint now) {
  now_ = now;
  if (end_) return end_->error;
  if (phase_ != Phase::open) return Error(Errc::usage, "send() before authentication");
  const ByteView first = header.empty() ? body : header;
  const unsigned number = first.empty() ? 0 : std::to_integer<unsigned>(first[0]);
  if (number < kMsgConnectionFirst || number > kMsgConnectionLast)
    return Error(Errc::usage, "send() takes messages of number 80 to 127");
  if (header.size() + body.size() > sealer_.max_payload(config_.limits.max_send_packet))
    return Error(Errc::usage, "a message longer than a packet may be");
  const Limits& limits = config_.limits;
  if (is_holding()) {
    if (!held_.push(header, body, limits.max_queued_during_kex))
      return Error(Errc::would_block, "too much waits for the key exchange");
    return {};
  }
  // What is sent while a payload is being looked at is an answer to it, and bounded by how much of
  // them may wait before reading stops.
  const bool is_answer = to_consume_ > 0;
  if (!is_answer && out_.size() > limits.output_high_water + limits.max_queued_during_kex)
    return Error(Errc::would_block, "too much waits to be written to the stream");
  Result<void> sent = is_answer ? answer(header, body) : seal(header, body);
  if (sent) sent = check_rekey();
  if (!sent) fail(sent.error());
  return sent;
}

Result<void> Transport::Impl::start_rekey(TimePoint now) {
  now_ = now;
  if (end_) return end_->error;
  if (phase_ != Phase::open || kex_) return {};
  Result<void> begun = begin_exchange();
  if (!begun) fail(begun.error());
  return begun;
}

void Transport::Impl::set_max_send_packet(std::size_t bytes) {
  config_.limits.max_send_packet = std::min<std::size_t>(bytes, 256 * 1024);
}

// ---- outputs

void Transport::Impl::consume_output(std::size_t size) noexcept {
  output_peak_ = std::max(output_peak_, out_.size());
  out_.consume(std::min(size, out_.size()));
  answers_ = std::min(answers_, out_.size());
  if (!out_.empty()) return;
  // A connection that has become quiet gives back what a busy one needed.
  const bool small =
      std::exchange(output_peak_, 0) < out_.capacity() / 8 && out_.capacity() > kReadLarge / 2;
  small_outputs_ = small ? small_outputs_ + 1 : 0;
  const bool was_handshake = phase_ == Phase::open && std::exchange(handshake_output_, false);
  if (was_handshake || small_outputs_ >= kSmallUsesBeforeShrink) {
    small_outputs_ = 0;
    out_ = ByteQueue(output_kept());
  }
}

std::optional<Event> Transport::Impl::poll_event() {
  if (events_.empty()) {
    if (!end_ || std::exchange(end_told_, true)) return std::nullopt;
    return *end_;
  }
  Event event = std::move(events_.front());
  events_.erase(events_.begin());
  if (std::holds_alternative<Authenticated>(event)) authenticated_unseen_ = false;
  return event;
}

std::optional<ByteView> Transport::Impl::next_payload(TimePoint now) {
  now_ = now;
  finish_payload();
  pump();
  if (!ready_ || authenticated_unseen_) return std::nullopt;
  const Ready ready = *std::exchange(ready_, std::nullopt);
  to_consume_ = ready.packet;
  return ByteView(in_.data()).subspan(ready.at, ready.size);
}

std::optional<TimePoint> Transport::Impl::next_timeout() const noexcept {
  if (is_closed()) return std::nullopt;
  TimePoint at = kNever;
  if (phase_ != Phase::open) {
    at = after(started_at_, config_.limits.handshake_timeout);
  } else if (kex_) {
    at = after(kex_started_at_, config_.limits.kex_timeout);
  } else {
    at = after(keys_at_, config_.limits.rekey_after);
  }
  if (delayed_) at = std::min(at, delayed_until_);
  return at;
}

// ---- getters

std::size_t Transport::Impl::sendable_bytes() const noexcept {
  if (phase_ != Phase::open || is_holding() || out_.size() >= send_batch_) return 0;
  return sealer_.max_payload(config_.limits.max_send_packet);
}

bool Transport::Impl::wants_input() const noexcept {
  if (is_closed() || question_ != Question::none || delayed_) return false;
  return answers_ < kReadStopFactor * config_.limits.output_high_water;
}

}  // namespace streamkit::ssh
