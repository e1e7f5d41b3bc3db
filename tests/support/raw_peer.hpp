// RawPeer: the other side of a Transport, made of the packet layer and the key exchange alone, that
// sends whatever a test wants in whatever state. It answers nothing by itself; what the engine
// sends is opened and collected.
#pragma once

#include "kex.hpp"
#include "messages.hpp"
#include "numbers.hpp"
#include "packet.hpp"
#include "state_table.hpp"
#include "support/transport_pair.hpp"

#include <streamkit/base/wire.hpp>

#include <memory>

namespace streamkit::testing {

class RawPeer {
 public:
  /// Role of the raw side; the engine has the other one.
  explicit RawPeer(ssh::Role raw_role, ssh::Config raw_options, ssh::Config engine_options)
      : role(raw_role),
        config(std::move(raw_options)),
        engine(raw_role == ssh::Role::client ? ssh::Role::server : ssh::Role::client,
               std::move(engine_options), now, 3),
        opener_(1 << 18) {
    proposal = ssh::make_proposal(role, config).value();
  }
  static RawPeer client() { return RawPeer(ssh::Role::client, client_config(), server_config()); }
  static RawPeer server() { return RawPeer(ssh::Role::server, server_config(), client_config()); }
  static RawPeer of(ssh::Role role) { return role == ssh::Role::client ? client() : server(); }
  RawPeer(const RawPeer&) = delete;

  ssh::Role role;
  ssh::Config config;
  ssh::Proposal proposal;  ///< change before the first KEXINIT
  TimePoint now{std::chrono::hours(1)};
  PairEnd engine;
  std::string ident = "SSH-2.0-raw_1";
  std::string their_ident;
  std::vector<Bytes> inbox;    ///< payloads the engine sent, in order
  Bytes method_message;        ///< what this side would send next in the exchange
  Bytes kexinit;               ///< our KEXINIT
  Bytes session_id, host_key;  ///< of the first exchange
  bool broken = false;         ///< the engine's output did not open
  std::size_t chunk = std::size_t(-1);  ///< bytes handed to the engine at a time
  std::string noise;  ///< message numbers (as bytes) sent before each send() once keys are on

  // ---- sending
  void send_bytes(ByteView bytes) {
    engine.feed(bytes, now, chunk);
    settle();
  }
  void send_bytes(std::string_view text) { send_bytes(as_bytes(text)); }
  Bytes sealed(ByteView payload) {
    ByteQueue out;
    (void)sealer_.seal(payload, {}, random_, out);
    return to_bytes(std::as_const(out).data());
  }
  void send(ByteView payload) {
    if (keys_on_)
      for (const char number : noise) {
        Bytes extra;
        wire::Writer(extra).u8(static_cast<std::uint8_t>(number)).string("noise").string("");
        engine.feed(sealed(extra), now, chunk);
      }
    send_bytes(sealed(payload));
  }
  void send(std::uint8_t number) { send(ByteView(Bytes{std::byte{number}})); }
  void send(std::uint8_t number, std::string_view body) {
    Bytes out{std::byte{number}};
    append(out, as_bytes(body));
    send(ByteView(out));
  }

  // ---- the steps of a connection
  void send_ident() {
    settle();
    send_bytes(ident + "\r\n");
  }
  void send_kexinit() {
    ensure_kex();
    send(ByteView(kexinit));
  }
  void send_method() { send(ByteView(method_message)); }
  void send_new_keys() {
    auto sealer = kex_->make_sealer();
    // The keys are taken before the engine's answer finishes the exchange here.
    const bool strict = kex_->is_strict();
    Bytes packet = sealed(Bytes{std::byte{ssh::kMsgNewKeys}});
    if (sealer) sealer_.set_keys(std::move(*sealer), strict);
    keys_on_ = true;
    new_keys_sent_ = true;
    finish_if_done();
    send_bytes(packet);
  }
  /// A whole exchange from the KEXINIT on.
  void exchange() {
    send_kexinit();
    send_method();
    send_new_keys();
  }
  /// Goes on to `state` of the engine from the beginning.
  void reach(ssh::State state) {
    using ssh::State;
    if (state == State::guess) make_wrong_guess();
    send_ident();
    if (state == State::first_kexinit) return;
    send_kexinit();
    if (state == State::exchange || state == State::guess) return;
    send_method();
    if (state == State::new_keys) return;
    send_new_keys();
    if (state == State::auth) return;
    authenticate();
    if (state == State::open) return;
    if (state == State::rekey_guess) make_wrong_guess();
    ensure_kex();
    send_kexinit();
    if (state != State::rekey_new_keys) return;
    send_method();
  }
  void make_wrong_guess() {
    proposal.follows = true;
    proposal.kex = {"ecdh-sha2-nistp256", "curve25519-sha256"};
    proposal.kex.insert(proposal.kex.begin(), "a-method-that-nobody-has");
  }
  void authenticate() {
    if (role == ssh::Role::client) {
      send(ssh::write_text_message(ssh::kMsgServiceRequest, ssh::kServiceAuth));
      send(publickey_request());
    } else {
      send(ssh::write_text_message(ssh::kMsgServiceAccept, ssh::kServiceAuth));
      send(ssh::kMsgUserauthSuccess);
    }
  }
  /// A good signed request; `change` may alter the fields before they are signed.
  Bytes publickey_request(const std::function<void(ssh::UserauthRequest&)>& change = {}) {
    const crypto::PrivateKey& key = config.identities.at(0).private_key;
    ssh::UserauthRequest request;
    request.user = config.user;
    request.service = ssh::kServiceConnection;
    request.method = ssh::kMethodPublicKey;
    request.has_signature = true;
    request.algorithm = crypto::signature_algorithms(key.public_key().type()).front();
    request.key = key.public_key().blob();
    request.host_key = host_key;
    if (change) change(request);
    const Bytes signature =
        request.signature.empty()
            ? key.sign(crypto::signature_algorithms(key.public_key().type()).front(),
                       ssh::signed_request(session_id, request))
                  .value()
            : to_bytes(request.signature);
    request.signature = signature;
    return ssh::write_publickey_request(request);
  }
  Bytes query(const crypto::PublicKey& key, std::string_view user = "ada") const {
    Bytes out;
    wire::Writer(out)
        .u8(ssh::kMsgUserauthRequest)
        .string(user)
        .string(ssh::kServiceConnection)
        .string(ssh::kMethodPublicKey)
        .boolean(false)
        .string(crypto::signature_algorithms(key.type()).front())
        .string(key.blob());
    return out;
  }

  // ---- what the engine did
  bool is_live() const { return !engine.transport.is_closed() && !broken; }
  bool received(std::uint8_t number) const { return count(number) > 0; }
  std::size_t count(std::uint8_t number) const {
    return static_cast<std::size_t>(std::count_if(inbox.begin(), inbox.end(), [&](const Bytes& p) {
      return std::to_integer<std::uint8_t>(p[0]) == number;
    }));
  }
  const Bytes* last(std::uint8_t number) const {
    for (auto it = inbox.rbegin(); it != inbox.rend(); ++it)
      if (std::to_integer<std::uint8_t>((*it)[0]) == number) return &*it;
    return nullptr;
  }
  /// The reason of the DISCONNECT that the engine sent; 0: none.
  std::uint32_t reason() const {
    const Bytes* message = last(ssh::kMsgDisconnect);
    return message ? wire::load_u32(message->data() + 1) : 0;
  }
  bool is_strict() const { return strict_; }
  ssh::PacketSealer& sealer() { return sealer_; }
  ssh::PacketOpener& opener() { return opener_; }
  ssh::Kex* kex() { return kex_.get(); }

  /// Takes the engine's output and events.
  void settle() {
    do {
      take_output();
    } while (engine.drain(now) || !engine.transport.output().empty());
  }
  void ensure_kex() {
    if (kex_) return;
    ssh::KexContext context;
    context.role = role;
    context.config = &config;
    context.proposal = &proposal;
    context.our_ident = ident;
    context.their_ident = their_ident;
    context.session_id = session_id;
    context.strict = strict_;
    kex_ = std::make_unique<ssh::Kex>(context);
    kexinit = kex_->start(random_).value();
    new_keys_sent_ = new_keys_received_ = false;
  }

 private:
  void take_output() {
    from_engine_.append(engine.transport.output());
    engine.transport.consume_output(engine.transport.output().size());
    if (their_ident.empty()) {
      const std::string_view text = as_text(std::as_const(from_engine_).data());
      const std::size_t end = text.find("\r\n");
      if (end == std::string_view::npos) return;
      their_ident = text.substr(0, end);
      from_engine_.consume(end + 2);
      if (kex_) kex_->set_their_ident(their_ident);
    }
    while (!broken) {
      auto packet = opener_.open(from_engine_.data());
      if (!packet) {
        broken = true;
        return;
      }
      if (!*packet) return;
      inbox.push_back(to_bytes(std::as_const(from_engine_)
                                   .data()
                                   .subspan((*packet)->payload_at, (*packet)->payload_size)));
      from_engine_.consume((*packet)->size);
      follow(Bytes(inbox.back()));
    }
  }
  /// Keeps up with the engine's side of an exchange, without sending anything.
  void follow(const Bytes& payload) {
    switch (std::to_integer<std::uint8_t>(payload[0])) {
      case ssh::kMsgKexInit:
        ensure_kex();
        kex_->set_their_ident(their_ident);
        if (auto message = kex_->handle_kexinit(payload)) method_message = std::move(*message);
        break;
      case ssh::kMsgKexEcdhInit:
        if (auto message = kex_->handle_init(payload)) method_message = std::move(*message);
        break;
      case ssh::kMsgKexEcdhReply:
        (void)kex_->handle_reply(payload);
        break;
      case ssh::kMsgNewKeys:
        if (auto opener = kex_->make_opener())
          opener_.set_keys(std::move(*opener), kex_->is_strict());
        new_keys_received_ = true;
        finish_if_done();
        break;
      default:
        break;
    }
  }
  void finish_if_done() {
    if (!new_keys_sent_ || !new_keys_received_) return;
    if (session_id.empty()) {
      strict_ = kex_->is_strict();
      session_id = to_bytes(kex_->hash());
      host_key = to_bytes(kex_->host_key());
    }
    kex_.reset();
  }

  FixedRandom random_{4};
  ssh::PacketSealer sealer_;
  ssh::PacketOpener opener_;
  ByteQueue from_engine_;
  std::unique_ptr<ssh::Kex> kex_;
  bool strict_ = false, keys_on_ = false, new_keys_sent_ = false, new_keys_received_ = false;
};

}  // namespace streamkit::testing
