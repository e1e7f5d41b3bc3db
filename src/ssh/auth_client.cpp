// The client's half: which method is tried next, and what an answer means.
#include "auth_client.hpp"

#include "numbers.hpp"

#include <algorithm>

namespace streamkit::ssh {
namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) out.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

AuthStep AuthClient::start() {
  service_asked_ = true;
  AuthStep step;
  step.send.push_back(write_text_message(kMsgServiceRequest, kServiceAuth));
  return step;
}

Result<AuthStep> AuthClient::handle_extensions(const Extensions& extensions) {
  for (const auto& [name, value] : extensions) {
    if (name == kExtServerSigAlgs) sig_algs_ = split(value);
    if (name == kExtHostBound) bound_ = value == "0";
  }
  if (!service_asked_ || service_ || !pending_.empty() || config_->identities.empty() ||
      !contains(sig_algs_, algorithm_for(config_->identities.front())))
    return AuthStep();
  return next();
}

Result<AuthStep> AuthClient::handle_service_accept(ByteView payload) {
  Result<std::string_view> name = read_text_message(payload, "SERVICE_ACCEPT");
  if (!name) return name.error();
  if (!service_asked_ || service_ || *name != kServiceAuth)
    return Error(Errc::protocol, "a service was accepted that was not asked for");
  service_ = true;
  return pending_.empty() ? next() : Result<AuthStep>(AuthStep());
}

bool AuthClient::is_allowed(std::string_view method) const {
  return !list_known_ || contains(methods_, method);
}

std::string_view AuthClient::algorithm_for(const Identity& identity) const {
  const crypto::KeyType type = identity.public_key().type();
  const auto& names = crypto::signature_algorithms(type);
  if (type != crypto::KeyType::rsa) return names.front();
  for (const std::string_view name : names)
    if (contains(sig_algs_, name)) return name;
  return "rsa-sha2-256";  // a server that says nothing: the older of the two
}

Result<AuthStep> AuthClient::next() {
  if (is_allowed(kMethodPublicKey) && next_identity_ < config_->identities.size()) {
    const Identity& identity = config_->identities[next_identity_];
    const bool was_certified = std::exchange(offered_certificate_, {}).has_value();
    if (!was_certified) offered_certificate_ = identity.certificate;
    if (!offered_certificate_) ++next_identity_;
    return offer(identity);
  }
  AuthStep step;
  if (config_->password.size() > kMaxPassword)
    return Error(Errc::usage, "Config::password is longer than 1024 bytes");
  if (!config_->password.empty() && !password_tried_ && list_known_ &&
      is_allowed(kMethodPassword)) {
    password_tried_ = true;
    pending_ = kMethodPassword;
    step.send.push_back(write_password_request(config_->user, config_->password));
    return step;
  }
  if (config_->interactive && !interactive_tried_ && list_known_ &&
      is_allowed(kMethodInteractive)) {
    interactive_tried_ = true;
    pending_ = kMethodInteractive;
    step.send.push_back(write_interactive_request(config_->user));
    return step;
  }
  if (!list_known_ && !none_tried_) {  // nothing tried yet: ask what there is
    none_tried_ = true;
    pending_ = kMethodNone;
    step.send.push_back(write_none_request(config_->user));
    return step;
  }
  step.end =
      Error(Errc::auth_denied,
            change_wanted_ ? "the password has to be changed before the server takes it, and "
                             "this client does not change passwords"
                           : "authentication failed: the server accepted nothing we have");
  return step;
}

UserauthRequest AuthClient::request() const {
  UserauthRequest request;
  request.user = config_->user;
  request.service = kServiceConnection;
  request.method = bound_ ? kMethodHostBound : kMethodPublicKey;
  request.algorithm = algorithm_name_;
  request.key = offered_blob();
  request.host_key = host_key_;
  return request;
}

ByteView AuthClient::offered_blob() const {
  return offered_certificate_ ? offered_certificate_->blob() : offered_.blob();
}

Result<AuthStep> AuthClient::offer(const Identity& identity) {
  offered_ = identity.public_key();
  algorithm_ = algorithm_for(identity);
  algorithm_name_ =
      offered_certificate_ ? crypto::certificate_algorithm(algorithm_) : std::string(algorithm_);
  pending_ = kMethodPublicKey;
  if (identity.private_key.is_empty()) {  // whoever has it is not asked in vain
    query_ = Query::sent;
    AuthStep step;
    step.send.push_back(write_publickey_query(request()));
    return step;
  }
  Result<Bytes> signature =
      identity.private_key.sign(algorithm_, signed_request(session_id_, request()));
  if (!signature) return signature.error();
  return send_signed(*signature);
}

Result<AuthStep> AuthClient::send_signed(ByteView signature) {
  UserauthRequest whole = request();
  whole.signature = signature;
  AuthStep step;
  step.send.push_back(write_publickey_request(whole));
  return step;
}

Result<AuthStep> AuthClient::handle_pk_ok(ByteView payload) {
  const Result<PkOk> ok = read_pk_ok(payload);
  if (!ok) return ok.error();
  const ByteView key = offered_blob();
  if (query_ != Query::sent || ok->algorithm != algorithm_name_ ||
      !std::equal(key.begin(), key.end(), ok->key.begin(), ok->key.end()))
    return Error(Errc::protocol, "the server would take a key that was not offered");
  query_ = Query::granted;
  AuthStep step;
  step.question = true;
  step.events.emplace_back(
      SignatureNeeded{offered_, std::string(algorithm_), signed_request(session_id_, request())});
  return step;
}

Result<AuthStep> AuthClient::provide_signature(ByteView signature) {
  if (query_ != Query::granted)
    return Error(Errc::usage, "provide_signature() where none is needed");
  const Bytes data = signed_request(session_id_, request());
  if (auto good = offered_.verify(algorithm_, data, signature); !good) return good.error();
  query_ = Query::none;
  return send_signed(signature);
}

Result<AuthStep> AuthClient::attempt_failed() {
  const std::string method(std::exchange(pending_, {}));
  query_ = Query::none;
  Result<AuthStep> step = next();
  if (step && method != kMethodNone) step->events.emplace_back(AuthAttemptFailed{method});
  return step;
}

Result<AuthStep> AuthClient::handle_failure(ByteView payload) {
  if (!is_pending()) return Error(Errc::protocol, "a refusal of nothing we asked for");
  Result<UserauthFailure> failure = read_userauth_failure(payload);
  if (!failure) return failure.error();
  methods_.assign(failure->methods.begin(), failure->methods.end());
  list_known_ = true;
  if (!failure->partial) return attempt_failed();
  if (++partial_successes_ > kMaxPartialSuccesses)
    return Error(Errc::limit, "the server accepts again and again, and never lets us in");
  // What it refused before may be what it wants as the next step.
  pending_ = {};
  query_ = Query::none;
  next_identity_ = 0;
  offered_certificate_.reset();
  interactive_tried_ = false;
  return next();
}

Result<AuthStep> AuthClient::handle_success(ByteView payload) {
  if (!is_pending()) return Error(Errc::protocol, "authentication succeeded without a request");
  if (payload.size() != 1) return malformed("USERAUTH_SUCCESS");
  if (query_ == Query::sent)
    return Error(Errc::protocol, "authentication succeeded without a signature");
  const std::string method(std::exchange(pending_, {}));
  wipe(std::as_writable_bytes(std::span(config_->password)));
  config_->password.clear();
  AuthStep step;
  step.success = Authenticated{config_->user, method, {}, {}};
  if (method != kMethodPublicKey) return step;
  step.success->key = offered_;
  step.success->certificate = offered_certificate_;
  return step;
}

Result<AuthStep> AuthClient::handle_banner(ByteView payload) {
  Result<std::string_view> text = read_banner(payload);
  if (!text) return text.error();
  banner_bytes_ += text->size();
  if (++banners_ > kMaxBanners || banner_bytes_ > kMaxBannerBytes)
    return Error(Errc::limit, "the server sends too many banners");
  AuthStep step;
  step.events.emplace_back(Banner{std::string(*text)});
  return step;
}

Result<AuthStep> AuthClient::handle_method_reply(ByteView payload) {
  if (!is_pending()) return Error(Errc::protocol, "an answer to nothing we asked for");
  if (pending_ == kMethodPublicKey) return handle_pk_ok(payload);
  if (pending_ == kMethodPassword) return handle_password_change(payload);
  if (pending_ == kMethodInteractive) return handle_info_request(payload);
  return Error(Errc::protocol, "an answer that belongs to no method of ours");
}

Result<AuthStep> AuthClient::handle_info_request(ByteView payload) {
  Result<InfoRequest> request = read_info_request(payload);
  if (!request) return request.error();
  if (++rounds_ > kMaxInteractiveRounds)
    return Error(Errc::limit, "the server asks for more than 16 rounds");
  prompts_ = request->prompts.size();
  AuthStep step;
  step.question = true;
  step.events.emplace_back(std::move(*request));
  return step;
}

Result<AuthStep> AuthClient::answer_prompts(const std::vector<SecretBytes>& answers) {
  if (!prompts_) return Error(Errc::usage, "answer_prompts() where nothing is asked");
  if (answers.size() != *prompts_)
    return Error(Errc::usage, "answer_prompts() with another number of answers than of prompts");
  for (const SecretBytes& answer : answers)
    if (answer.size() > kMaxPassword)
      return Error(Errc::usage, "answer_prompts() with an answer of more than 1024 bytes");
  prompts_.reset();
  AuthStep step;
  step.send.push_back(write_info_response(answers));
  return step;
}

Result<AuthStep> AuthClient::decline() {
  if (query_ == Query::granted) return attempt_failed();
  prompts_.reset();
  AuthStep step;
  step.end = Error(Errc::cancelled, "what the server asked was not answered");
  return step;
}

Result<AuthStep> AuthClient::handle_password_change(ByteView payload) {
  Result<std::string_view> prompt = read_banner(payload);  // the same two strings
  if (!prompt) return prompt.error();
  list_known_ = true;
  change_wanted_ = true;
  Result<AuthStep> step = attempt_failed();
  if (step) step->events.insert(step->events.begin(), Banner{std::string(*prompt)});
  return step;
}

}  // namespace streamkit::ssh
