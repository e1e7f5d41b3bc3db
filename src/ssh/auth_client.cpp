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
  if (!list_known_ && !none_tried_) {  // nothing tried yet: ask what there is
    none_tried_ = true;
    pending_ = kMethodNone;
    step.send.push_back(write_none_request(config_->user));
    return step;
  }
  step.end =
      Error(Errc::auth_denied, "authentication failed: the server accepted no key and no password");
  return step;
}

Result<AuthStep> AuthClient::offer(const Identity& identity) {
  offered_ = identity.public_key();
  UserauthRequest request;
  request.user = config_->user;
  request.service = kServiceConnection;
  request.method = bound_ ? kMethodHostBound : kMethodPublicKey;
  request.has_signature = true;
  const std::string_view algorithm = algorithm_for(identity);
  const std::string name =
      offered_certificate_ ? crypto::certificate_algorithm(algorithm) : std::string(algorithm);
  request.algorithm = name;
  request.key = offered_certificate_ ? offered_certificate_->blob() : offered_.blob();
  request.host_key = host_key_;
  Result<Bytes> signature =
      identity.private_key.sign(algorithm, signed_request(session_id_, request));
  if (!signature) return signature.error();
  request.signature = *signature;
  pending_ = kMethodPublicKey;
  AuthStep step;
  step.send.push_back(write_publickey_request(request));
  return step;
}

Result<AuthStep> AuthClient::attempt_failed() {
  const std::string method(std::exchange(pending_, {}));
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
  return attempt_failed();
}

Result<AuthStep> AuthClient::handle_success(ByteView payload) {
  if (!is_pending()) return Error(Errc::protocol, "authentication succeeded without a request");
  if (payload.size() != 1) return malformed("USERAUTH_SUCCESS");
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
  if (pending_ != kMethodPassword)
    return Error(Errc::protocol, "an answer that belongs to no method of ours");
  Result<std::string_view> prompt = read_banner(payload);  // the same two strings
  if (!prompt) return prompt.error();
  list_known_ = true;
  Result<AuthStep> step = attempt_failed();
  if (step) step->events.insert(step->events.begin(), Banner{std::string(*prompt)});
  return step;
}

}  // namespace streamkit::ssh
