// One key exchange, step by step. Everything the peer sends here is checked before it is believed:
// its public value by the method, its host key by the signature over everything both sides said.
#include "kex.hpp"

#include "messages.hpp"
#include "numbers.hpp"

#include <streamkit/base/wire.hpp>

#include <algorithm>

namespace streamkit::ssh {
namespace {

bool makes(crypto::KeyType type, std::string_view algorithm) {
  const auto& names = crypto::signature_algorithms(type);
  return std::find(names.begin(), names.end(), algorithm) != names.end();
}

/// Errors of keys and public values during an exchange are failures of the exchange.
Error exchange_failed(const Error& why) {
  return why.is(Errc::bad_key) ? Error(Errc::key_exchange, why.message()) : why;
}

/// What a server showed as K_S. The blob has to be of the kind that the algorithm names.
Result<HostKeyReceived> read_host_key(ByteView blob, std::string_view algorithm) {
  HostKeyReceived shown;
  if (crypto::is_certificate_algorithm(algorithm)) {
    Result<crypto::Certificate> certificate = crypto::Certificate::from_blob(blob);
    if (!certificate) return exchange_failed(certificate.error());
    shown.key = certificate->key();
    shown.certificate = std::move(*certificate);
  } else {
    Result<crypto::PublicKey> key = crypto::PublicKey::from_blob(blob);
    if (!key) return exchange_failed(key.error());
    shown.key = std::move(*key);
  }
  if (!makes(shown.key.type(), crypto::plain_algorithm(algorithm)))
    return Error(Errc::key_exchange, "the server's host key is not of the type that was agreed on");
  return shown;
}

}  // namespace

Result<Bytes> Kex::start(Random& random) {
  Cookie cookie{};
  if (auto filled = random.fill(cookie); !filled) return filled.error();
  our_init_ = write_kexinit(*context_.proposal, context_.role, is_first(), cookie);
  // Most servers take what a client likes best: its key is made while the server is still waking
  // up. Where that fails it is tried again, and says why, when it is what was agreed on.
  if (is_client() && !context_.proposal->kex.empty())
    (void)make_method(context_.proposal->kex.front());
  return our_init_;
}

Result<void> Kex::make_method(const std::string& name) {
  Result<std::unique_ptr<crypto::KexMethod>> method = crypto::make_kex_method(name);
  if (!method) return method.error();
  if (is_client()) {
    Result<Bytes> blob = (*method)->init();
    if (!blob) return blob.error();
    client_blob_ = std::move(*blob);
  }
  method_ = std::move(*method);
  method_name_ = name;
  hash_kind_ = method_->hash();
  return {};
}

State Kex::state() const noexcept {
  if (skip_guess_) return is_first() ? State::guess : State::rekey_guess;
  if (!keys_ready_) return is_first() ? State::exchange : State::rekey_exchange;
  return is_first() ? State::new_keys : State::rekey_new_keys;
}

Result<Bytes> Kex::handle_kexinit(ByteView payload) {
  const Role sender = is_client() ? Role::server : Role::client;
  Result<Proposal> theirs = read_kexinit(payload, sender);
  if (!theirs) return theirs.error();
  kexinit_seen_ = true;
  theirs_ = std::move(*theirs);
  their_init_ = to_bytes(payload);
  Result<Agreement> agreed =
      is_client() ? negotiate(*context_.proposal, theirs_) : negotiate(theirs_, *context_.proposal);
  if (!agreed) return agreed.error();
  agreed_ = std::move(*agreed);
  if (is_first()) context_.strict = context_.proposal->strict && theirs_.strict;
  if (is_client())
    if (auto safe = check_safe(); !safe) return safe.error();
  skip_guess_ = theirs_.follows && !agreed_.guess_was_right;

  if (method_name_ != agreed_.kex)
    if (auto made = make_method(agreed_.kex); !made) return made.error();
  return is_client() ? write_kex_init(client_blob_) : Bytes();
}

Result<void> Kex::check_safe() const {
  return check_strictness(agreed_, context_.strict, context_.config->algorithms);
}

Result<void> Kex::make_hash(ByteView client_blob, ByteView server_blob) {
  Bytes text;
  text.reserve(our_init_.size() + their_init_.size() + 8192);
  wire::Writer to(text);
  const bool client = is_client();
  to.string(client ? context_.our_ident : context_.their_ident);
  to.string(client ? context_.their_ident : context_.our_ident);
  to.string(client ? our_init_ : their_init_).string(client ? their_init_ : our_init_);
  to.string(host_key_).string(client_blob).string(server_blob);
  Result<Bytes> hash = crypto::digest(hash_kind_, {text, secret_.view()});
  if (!hash) return hash.error();
  hash_ = std::move(*hash);
  keys_ready_ = true;
  method_.reset();
  return {};
}

const crypto::PrivateKey* Kex::own_host_key() const noexcept {
  for (const crypto::PrivateKey& key : context_.config->host_keys)
    if (makes(key.public_key().type(), crypto::plain_algorithm(agreed_.host_key))) return &key;
  return nullptr;
}

/// K_S for a key of ours: the certificate, when one was agreed on.
ByteView Kex::shown_blob(const crypto::PublicKey& key) const noexcept {
  if (crypto::is_certificate_algorithm(agreed_.host_key))
    for (const crypto::Certificate& certificate : context_.config->host_certificates)
      if (certificate.fits(key)) return certificate.blob();
  return key.blob();
}

Result<Bytes> Kex::handle_init(ByteView payload) {
  Result<ByteView> blob = read_kex_init(payload);
  if (!blob) return blob.error();
  const crypto::PrivateKey* key = own_host_key();
  if (!key) return Error(Errc::negotiation, "no host key for the algorithm that was agreed on");
  Result<crypto::KexMethod::Response> response = method_->respond(*blob);
  if (!response) return exchange_failed(response.error());
  secret_ = std::move(response->shared_secret);
  host_key_ = to_bytes(shown_blob(key->public_key()));
  if (auto made = make_hash(*blob, response->blob); !made) return made.error();
  Result<Bytes> signature = key->sign(crypto::plain_algorithm(agreed_.host_key), hash_);
  if (!signature) return exchange_failed(signature.error());
  return write_kex_reply({host_key_, response->blob, *signature});
}

Result<HostKeyReceived> Kex::handle_reply(ByteView payload) {
  Result<KexReply> reply = read_kex_reply(payload);
  if (!reply) return reply.error();
  Result<HostKeyReceived> shown = read_host_key(reply->host_key, agreed_.host_key);
  if (!shown) return shown.error();
  Result<SecretBytes> secret = method_->finish(reply->blob);
  if (!secret) return exchange_failed(secret.error());
  secret_ = std::move(*secret);
  host_key_ = to_bytes(reply->host_key);
  if (auto made = make_hash(client_blob_, reply->blob); !made) return made.error();
  const std::string_view algorithm = crypto::plain_algorithm(agreed_.host_key);
  if (auto proven = shown->key.verify(algorithm, hash_, reply->signature); !proven) {
    keys_ready_ = false;
    return exchange_failed(proven.error());
  }
  return shown;
}

Result<crypto::DirectionKeys> Kex::derive(bool to_server, const crypto::CipherInfo& cipher,
                                          const crypto::MacInfo* mac) const {
  const ByteView session_id = is_first() ? ByteView(hash_) : context_.session_id;
  const auto letter = [&](char for_server, std::size_t size) {
    const char one = to_server ? for_server : static_cast<char>(for_server + 1);
    return crypto::derive_key(hash_kind_, secret_.view(), hash_, session_id, one, size);
  };
  crypto::DirectionKeys keys;
  const auto put = [](SecretBytes& to, Result<SecretBytes> from) -> Result<void> {
    if (!from) return from.error();
    to = std::move(*from);
    return {};
  };
  if (auto ok = put(keys.iv, letter('A', cipher.iv_size)); !ok) return ok.error();
  if (auto ok = put(keys.key, letter('C', cipher.key_size)); !ok) return ok.error();
  if (mac)
    if (auto ok = put(keys.mac_key, letter('E', mac->key_size)); !ok) return ok.error();
  return keys;
}

Result<std::unique_ptr<crypto::Sealer>> Kex::make_sealer() const {
  const bool to_server = is_client();
  const std::string& name = to_server ? agreed_.cipher_to_server : agreed_.cipher_to_client;
  const std::string& mac_name = to_server ? agreed_.mac_to_server : agreed_.mac_to_client;
  const crypto::CipherInfo* cipher = crypto::find_cipher(name);
  const crypto::MacInfo* mac = mac_name.empty() ? nullptr : crypto::find_mac(mac_name);
  if (!keys_ready_ || !cipher)
    return Error(Errc::key_exchange, "keys before the exchange was done");
  Result<crypto::DirectionKeys> keys = derive(to_server, *cipher, mac);
  if (!keys) return keys.error();
  return crypto::make_sealer(*cipher, mac, std::move(*keys), context_.config->algorithms.aes_gcm);
}

Result<std::unique_ptr<crypto::Opener>> Kex::make_opener() const {
  const bool to_server = !is_client();
  const std::string& name = to_server ? agreed_.cipher_to_server : agreed_.cipher_to_client;
  const std::string& mac_name = to_server ? agreed_.mac_to_server : agreed_.mac_to_client;
  const crypto::CipherInfo* cipher = crypto::find_cipher(name);
  const crypto::MacInfo* mac = mac_name.empty() ? nullptr : crypto::find_mac(mac_name);
  if (!keys_ready_ || !cipher)
    return Error(Errc::key_exchange, "keys before the exchange was done");
  Result<crypto::DirectionKeys> keys = derive(to_server, *cipher, mac);
  if (!keys) return keys.error();
  return crypto::make_opener(*cipher, mac, std::move(*keys), context_.config->algorithms.aes_gcm);
}

}  // namespace streamkit::ssh
