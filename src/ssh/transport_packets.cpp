// What comes in: the identification line, then packets, each asked about in the state table before
// anything looks inside; and the key exchange, which may run at any time. RFC 4253 sections 4, 7 to
// 11, RFC 8308.
#include "numbers.hpp"
#include "transport_impl.hpp"

#include <algorithm>

namespace streamkit::ssh {

// ---- the loop

void Transport::Impl::pump() {
  while (can_parse()) {
    Result<bool> more = parse_one();
    if (!more) return fail(more.error());
    if (!*more) return;
  }
}

bool Transport::Impl::can_parse() const noexcept {
  return !is_closed() && !ready_ && to_consume_ == 0 && question_ == Question::none && !delayed_;
}

Result<bool> Transport::Impl::parse_one() {
  if (phase_ == Phase::ident) return parse_ident();
  Result<std::optional<PacketOpener::Packet>> packet = opener_.open(in_.data());
  if (!packet) return packet.error();
  if (!*packet) {
    if (eof_)
      close({Error(Errc::connection_lost, "the stream ended without a word from the other side"),
             true, DisconnectReason::connection_lost});
    return false;
  }
  if (auto counted = count_packet((*packet)->size); !counted) return counted.error();
  if (auto handled = handle_packet(**packet); !handled) return handled.error();
  if (is_closed()) return false;
  if (!ready_) in_.consume((*packet)->size);  // else when the user has had it
  if (auto checked = check_rekey(); !checked) return checked.error();
  return true;
}

Result<bool> Transport::Impl::parse_ident() {
  Result<IdentReader::Step> step = ident_reader_.read(in_.data());
  if (!step) return step.error();
  in_.consume(step->consumed);
  if (!step->ident) return false;
  info_.remote_version = their_ident_ = std::move(*step->ident);
  kex_->set_their_ident(their_ident_);
  phase_ = Phase::first_exchange;
  return true;
}

Result<void> Transport::Impl::count_packet(std::size_t size) {
  info_.packets_in += 1;
  if (RekeyLimits::is_exhausted(opener_.use()))
    return Error(Errc::limit, "the other side sent too much under one set of keys");
  if (phase_ == Phase::open) return {};
  const Limits& limits = config_.limits;
  if (info_.packets_in > limits.max_packets_before_auth ||
      info_.bytes_in - in_.size() + size > limits.max_bytes_before_auth)
    return Error(Errc::limit, "too much came before authentication");
  return {};
}

State Transport::Impl::state() const noexcept {
  if (kex_ && kex_->kexinit_seen()) return kex_->state();
  if (phase_ == Phase::first_exchange) return State::first_kexinit;
  return phase_ == Phase::open ? State::open : State::auth;
}

Result<void> Transport::Impl::handle_packet(const PacketOpener::Packet& packet) {
  const ByteView payload = ByteView(in_.data()).subspan(packet.payload_at, packet.payload_size);
  const auto number = std::to_integer<std::uint8_t>(payload[0]);
  const State at = state();
  const bool strict = kex_ && kex_->is_strict();
  const bool first = std::exchange(first_after_new_keys_, false);
  const bool fits =
      number == kMsgUserauthSuccess || (number >= kMsgDisconnect && number <= kMsgDebug);
  if (only_success_next_ && !fits)
    return Error(Errc::protocol, "EXT_INFO was not followed by the end of authentication");
  switch (verdict(at, role_, strict, number)) {
    case Verdict::act:
      first_after_new_keys_ = first && number == kMsgExtInfo;  // its handler asks, and clears it
      return act_on(number, payload, packet);
    case Verdict::ignore:
      if (at == State::guess || at == State::rekey_guess)
        if (number >= kMsgKexMethodFirst && number <= kMsgKexMethodLast) kex_->guess_skipped();
      return {};
    case Verdict::unimplemented:
      return refuse_unknown(packet.sequence);
    case Verdict::disconnect:
      break;
  }
  return Error(Errc::protocol,
               "message " + std::to_string(number) + " is not allowed at this point");
}

Result<void> Transport::Impl::act_on(std::uint8_t number, ByteView payload,
                                     const PacketOpener::Packet& packet) {
  switch (number) {
    case kMsgDisconnect:
      handle_disconnect(payload);
      return {};
    case kMsgExtInfo:
      return handle_ext_info(payload);
    case kMsgKexInit:
      return handle_kexinit(payload, packet.sequence);
    case kMsgNewKeys:
      return handle_new_keys(payload);
    case kMsgKexEcdhInit:
      return handle_kex_init(payload);
    case kMsgKexEcdhReply:
      return handle_kex_reply(payload);
    case kMsgPing:
      return handle_ping(payload);
    default:
      break;
  }
  if (number < kMsgConnectionFirst)
    return act_on_auth(number, in_.data().subspan(packet.payload_at, packet.payload_size));
  ready_ = Ready{packet.payload_at, packet.payload_size, packet.size};
  return {};
}

Result<void> Transport::Impl::act_on_auth(std::uint8_t number, MutableByteView payload) {
  if (role_ == Role::server && phase_ == Phase::open) return auth_server_->handle_late_request();
  only_success_next_ = false;
  request_at_ = now_;
  Result<AuthStep> step = [&]() -> Result<AuthStep> {
    switch (number) {
      case kMsgServiceRequest:
        return auth_server_->handle_service_request(payload);
      case kMsgUserauthRequest:
        return auth_server_->handle_request(payload);
      case kMsgUserauthInfoResponse:
        return auth_server_->handle_info_response(payload);
      case kMsgServiceAccept:
        return auth_client_->handle_service_accept(payload);
      case kMsgUserauthFailure:
        return auth_client_->handle_failure(payload);
      case kMsgUserauthSuccess:
        return auth_client_->handle_success(payload);
      case kMsgUserauthBanner:
        return auth_client_->handle_banner(payload);
      case kMsgUserauthPkOk:
        return auth_client_->handle_method_reply(payload);
      default:
        return malformed("authentication");
    }
  }();
  wipe(payload);  // there may have been a password
  if (!step) return step.error();
  return perform(std::move(*step));
}

Result<void> Transport::Impl::refuse_unknown(std::uint32_t sequence) {
  const int most = phase_ == Phase::open ? kMaxUnimplemented : kMaxUnimplementedBeforeAuth;
  if (++unimplemented_ > most) return Error(Errc::limit, "too many messages of unknown numbers");
  return answer(write_unimplemented(sequence));
}

Result<void> Transport::Impl::handle_ext_info(ByteView payload) {
  // Right after the first NEWKEYS; a server also right before it ends authentication.
  const bool at_start = std::exchange(first_after_new_keys_, false);
  const bool at_end = role_ == Role::client && auth_client_ && auth_client_->is_pending();
  if ((!at_start && !at_end) || ++ext_infos_ > kMaxExtInfo)
    return Error(Errc::protocol, "EXT_INFO at a place where it may not be");
  Result<Extensions> entries = read_ext_info(payload);
  if (!entries) return entries.error();
  only_success_next_ = !at_start;
  Result<AuthStep> step = auth_client_ ? auth_client_->handle_extensions(*entries) : AuthStep();
  if (!step) return step.error();
  events_.emplace_back(ExtensionsReceived{std::move(*entries)});
  return perform(std::move(*step));
}

Result<void> Transport::Impl::handle_ping(ByteView payload) {
  Result<std::string_view> data = read_text_message(payload, "PING");
  if (!data) return data.error();
  return send_or_hold(write_text_message(kMsgPong, *data));
}

// ---- the key exchange

Result<void> Transport::Impl::begin_exchange() {
  if (!proposal_) {
    Result<Proposal> again = make_proposal(role_, config_);
    if (!again) return again.error();
    proposal_ = std::move(*again);
  }
  KexContext context;
  context.role = role_;
  context.config = &config_;
  context.proposal = &*proposal_;
  context.our_ident = our_ident_;
  context.their_ident = their_ident_;
  context.session_id = session_id_;
  context.strict = strict_;
  auto kex = std::make_unique<Kex>(context);
  Result<Bytes> kexinit = kex->start(random_);
  if (!kexinit) return kexinit.error();
  if (auto sent = send_now(*kexinit); !sent) return sent;
  kex_ = std::move(kex);
  new_keys_sent_ = false;
  kex_started_at_ = now_;
  return {};
}

Result<void> Transport::Impl::handle_kexinit(ByteView payload, std::uint32_t sequence) {
  // Connections are counted, and an exchange is what a stranger can make us spend most on.
  if (phase_ != Phase::open && info_.exchanges >= config_.limits.max_exchanges_before_auth)
    return Error(Errc::limit, "too many key exchanges before authentication");
  if (!kex_)
    if (auto begun = begin_exchange(); !begun) return begun;
  Result<Bytes> answer = kex_->handle_kexinit(payload);
  if (!answer) return answer.error();
  if (kex_->is_first() && kex_->is_strict() && sequence != 0)
    return Error(Errc::protocol, "strict key exchange: the first packet was not KEXINIT");
  return answer->empty() ? Result<void>() : send_now(*answer);
}

Result<void> Transport::Impl::handle_kex_init(ByteView payload) {
  Result<Bytes> reply = kex_->handle_init(payload);
  if (!reply) return reply.error();
  if (host_key_.empty()) host_key_ = to_bytes(kex_->host_key());
  if (auto sent = send_now(*reply); !sent) return sent;
  if (auto safe = kex_->check_safe(); !safe) return safe;
  return send_new_keys();
}

Result<void> Transport::Impl::handle_kex_reply(ByteView payload) {
  Result<HostKeyReceived> shown = kex_->handle_reply(payload);
  if (!shown) return shown.error();
  if (kex_->is_first()) {
    question_ = Question::host_key;
    const Result<KexReply> reply = read_kex_reply(payload);  // it has been read well before
    if (!reply) return reply.error();
    shown->session_id = to_bytes(kex_->hash());
    shown->signature = to_bytes(reply->signature);
    events_.emplace_back(std::move(*shown));
    return {};
  }
  const ByteView blob = kex_->host_key();
  if (!std::equal(blob.begin(), blob.end(), host_key_.begin(), host_key_.end()))
    return Error(Errc::host_key_mismatch,
                 "the server came with another host key in a later key exchange");
  return send_new_keys();
}

Result<void> Transport::Impl::send_new_keys() {
  Result<std::unique_ptr<crypto::Sealer>> sealer = kex_->make_sealer();
  if (!sealer) return sealer.error();
  const std::byte number{kMsgNewKeys};
  if (auto sent = send_now({&number, 1}); !sent) return sent;
  info_.cipher_out_by = (*sealer)->implementation();
  sealer_.set_keys(std::move(*sealer), kex_->is_strict());
  new_keys_sent_ = true;
  if (kex_->is_first() && kex_->peer_wants_ext_info())
    if (auto sent = send_ext_info(); !sent) return sent;
  return held_.release([this](ByteView payload) { return send_now(payload); });
}

Result<void> Transport::Impl::send_ext_info() {
  Extensions entries;
  if (role_ == Role::server) {
    std::string names;
    for (const std::string_view name : crypto::signature_algorithms())
      names += (names.empty() ? "" : ",") + std::string(name);
    entries.emplace_back(kExtServerSigAlgs, names);
    entries.emplace_back(kExtHostBound, "0");
  }
  entries.emplace_back(kExtPing, "0");
  entries.insert(entries.end(), config_.extensions.begin(), config_.extensions.end());
  return send_now(write_ext_info(entries));
}

Result<void> Transport::Impl::handle_new_keys(ByteView payload) {
  if (payload.size() != 1) return malformed("NEWKEYS");
  Result<std::unique_ptr<crypto::Opener>> opener = kex_->make_opener();
  if (!opener) return opener.error();
  info_.cipher_in_by = (*opener)->implementation();
  opener_.set_keys(std::move(*opener), kex_->is_strict());
  return finish_exchange();
}

Result<void> Transport::Impl::finish_exchange() {
  const std::unique_ptr<Kex> kex = std::move(kex_);
  proposal_.reset();
  const Agreement& agreed = kex->agreed();
  const bool client = role_ == Role::client;
  info_.kex = agreed.kex;
  info_.host_key = agreed.host_key;
  info_.cipher_in = client ? agreed.cipher_to_client : agreed.cipher_to_server;
  info_.cipher_out = client ? agreed.cipher_to_server : agreed.cipher_to_client;
  info_.mac_in = client ? agreed.mac_to_client : agreed.mac_to_server;
  info_.mac_out = client ? agreed.mac_to_server : agreed.mac_to_client;
  info_.exchanges += 1;
  keys_at_ = now_;
  if (phase_ == Phase::open) unimplemented_ = 0;
  if (!kex->is_first()) return {};

  info_.strict_kex = strict_ = kex->is_strict();
  session_id_ = to_bytes(kex->hash());
  phase_ = Phase::auth;
  first_after_new_keys_ = true;
  if (!client) {
    auth_server_ = std::make_unique<AuthServer>(config_, session_id_, host_key_);
    return {};
  }
  auth_client_ = std::make_unique<AuthClient>(config_, session_id_, host_key_);
  return perform(auth_client_->start());
}

Result<void> Transport::Impl::check_rekey() {
  if (RekeyLimits::is_exhausted(sealer_.use()))
    return Error(Errc::limit, "too much was sent under one set of keys");
  if (phase_ != Phase::open || kex_) return {};
  if (!rekey_.is_due(opener_.use()) && !rekey_.is_due(sealer_.use())) return {};
  return begin_exchange();
}

// ---- going out

Result<void> Transport::Impl::seal(ByteView header, ByteView body) {
  const std::size_t before = out_.size();
  if (auto sealed = sealer_.seal(header, body, random_, out_); !sealed) return sealed;
  info_.packets_out += 1;
  info_.bytes_out += out_.size() - before;
  return {};
}

Result<void> Transport::Impl::answer(ByteView header, ByteView body) {
  const std::size_t before = out_.size();
  Result<void> sealed = seal(header, body);
  answers_ += out_.size() - before;
  return sealed;
}

Result<void> Transport::Impl::send_or_hold(ByteView payload) {
  if (!is_holding()) return answer(payload);
  if (!held_.push(payload, {}, config_.limits.max_queued_during_kex))
    return Error(Errc::limit, "too many answers wait for the key exchange");
  return {};
}

}  // namespace streamkit::ssh
