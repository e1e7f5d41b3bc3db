// The server's half. The order matters: a request is read whole and its signature verified before
// anybody is asked about the user, so that a refusal is the same bytes for the same work whether
// the user exists or not.
#include "auth_server.hpp"

#include "numbers.hpp"

#include <algorithm>

namespace streamkit::ssh {
namespace {

bool is_text(std::string_view s) {
  return std::none_of(s.begin(), s.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

AuthServer::Offer AuthServer::offer_of(const UserauthRequest& request) {
  Offer offer;
  if (crypto::is_certificate_algorithm(request.algorithm)) {
    Result<crypto::Certificate> certificate = crypto::Certificate::from_blob(request.key);
    if (!certificate) return {};
    offer.key = certificate->key();
    offer.certificate = std::move(*certificate);
  } else {
    Result<crypto::PublicKey> key = crypto::PublicKey::from_blob(request.key);
    if (!key) return {};
    offer.key = std::move(*key);
  }
  const auto& names = crypto::signature_algorithms(offer.key.type());
  const std::string_view algorithm = crypto::plain_algorithm(request.algorithm);
  if (std::find(names.begin(), names.end(), algorithm) == names.end()) return {};
  return offer;
}

Error AuthServer::too_many() const {
  return Error(Errc::auth_denied, "too many authentication attempts");
}

Result<AuthStep> AuthServer::handle_service_request(ByteView payload) {
  Result<std::string_view> name = read_text_message(payload, "SERVICE_REQUEST");
  if (!name) return name.error();
  if (*name != kServiceAuth)
    return Error(Errc::no_such_service, "before authentication the only service is ssh-userauth");
  if (service_) return Error(Errc::protocol, "the service was asked for twice");
  service_ = true;
  AuthStep step;
  step.send.push_back(write_text_message(kMsgServiceAccept, kServiceAuth));
  return step;
}

std::vector<std::string> AuthServer::methods() const {
  const std::vector<std::string>& wanted = config_->authentication_methods;
  if (!wanted.empty()) return {wanted[passed_]};
  std::vector<std::string> methods = {std::string(kMethodPublicKey)};
  if (config_->offer_password) methods.emplace_back(kMethodPassword);
  if (config_->offer_interactive) methods.emplace_back(kMethodInteractive);
  return methods;
}

// The last failure waits like the others: it may be the one that tells.
Result<AuthStep> AuthServer::refuse(Refused what) {
  AuthStep step;
  step.failed = what != Refused::probe;
  if (what == Refused::attempt && ++failures_ >= config_->limits.max_auth_failures) {
    step.end = too_many();
    return step;
  }
  step.send.push_back(write_userauth_failure(methods(), false));
  return step;
}

Result<AuthStep> AuthServer::handle_request(ByteView payload) {
  if (!service_) return Error(Errc::protocol, "an authentication request before its service");
  Result<UserauthRequest> request = read_userauth_request(payload);
  if (!request) return request.error();
  if (request->service != kServiceConnection)
    return Error(Errc::no_such_service, "the only service to authenticate for is ssh-connection");
  if (++requests_ > config_->limits.max_auth_requests) return too_many();
  // A new request abandons a conversation (RFC 4252 section 5.1); somebody was asked for nothing.
  if (std::exchange(prompts_, {}) && ++failures_ >= config_->limits.max_auth_failures)
    return too_many();

  Result<AuthStep> step = [&]() -> Result<AuthStep> {
    if (!is_text(request->user)) return refuse(Refused::attempt);
    if (passed_ > 0 && request->user != passed_user_) {  // RFC 4252 section 5: all over again
      passed_ = 0;
      proven_ = {};
    }
    const bool by_key = request->method == kMethodPublicKey || request->method == kMethodHostBound;
    const std::vector<std::string> welcome = methods();
    if (std::find(welcome.begin(), welcome.end(), by_key ? kMethodPublicKey : request->method) !=
        welcome.end()) {
      if (by_key) return handle_publickey(*request);
      return request->method == kMethodPassword ? handle_password(*request)
                                                : handle_interactive(*request);
    }
    // The first "none" is how a client asks for the list of methods.
    const bool probe = request->method == kMethodNone && !none_tried_;
    none_tried_ = none_tried_ || probe;
    return refuse(probe ? Refused::probe : Refused::attempt);
  }();
  if (step && !config_->banner.empty() && !std::exchange(banner_sent_, true))
    step->send.insert(step->send.begin(), write_banner(config_->banner));
  return step;
}

Result<AuthStep> AuthServer::handle_publickey(const UserauthRequest& request) {
  Offer offer = offer_of(request);
  const bool bound = request.method == kMethodHostBound;
  const bool here = !bound || std::equal(request.host_key.begin(), request.host_key.end(),
                                         host_key_.begin(), host_key_.end());
  if (offer.key.is_empty() || !here) return refuse(Refused::attempt);
  if (request.has_signature) {
    const Bytes data = signed_request(session_id_, request);
    const std::string_view algorithm = crypto::plain_algorithm(request.algorithm);
    if (auto good = offer.key.verify(algorithm, data, request.signature); !good) {
      if (good.error().is(Errc::crypto)) return good.error();
      return refuse(Refused::attempt);
    }
  }
  user_ = request.user;
  algorithm_ = request.algorithm;
  offer_ = std::move(offer);
  asked_ = request.has_signature ? Asked::proof : Asked::offer;
  AuthStep step;
  step.question = true;
  if (request.has_signature) {
    step.events.emplace_back(KeyVerified{user_, offer_.key, offer_.certificate});
  } else {
    step.events.emplace_back(KeyOffered{user_, offer_.key, offer_.certificate});
  }
  return step;
}

Result<AuthStep> AuthServer::handle_password(const UserauthRequest& request) {
  if (request.change || request.password.size() > kMaxPassword) return refuse(Refused::attempt);
  user_ = request.user;
  offer_ = {};
  asked_ = Asked::password;
  AuthStep step;
  step.question = true;
  step.events.emplace_back(PasswordOffered{user_, SecretBytes(as_bytes(request.password))});
  return step;
}

Result<AuthStep> AuthServer::handle_interactive(const UserauthRequest& request) {
  if (request.submethods.size() > kMaxSubmethods || !is_text(request.submethods))
    return refuse(Refused::attempt);
  user_ = request.user;
  offer_ = {};
  rounds_ = 0;
  asked_ = Asked::interactive;
  AuthStep step;
  step.question = true;
  step.events.emplace_back(InteractiveStarted{user_, std::string(request.submethods)});
  return step;
}

Result<AuthStep> AuthServer::ask(const InfoRequest& request) {
  if (asked_ != Asked::interactive)
    return Error(Errc::usage, "ask() where nobody waits to be asked");
  bool fits = request.prompts.size() <= kMaxPrompts && request.name.size() <= kMaxPromptText &&
              request.instruction.size() <= kMaxInstruction;
  for (const Prompt& prompt : request.prompts) fits = fits && prompt.text.size() <= kMaxPromptText;
  if (!fits) return Error(Errc::usage, "ask() with more than 16 prompts or with too long texts");
  if (rounds_ == kMaxInteractiveRounds)
    return Error(Errc::limit, "keyboard-interactive goes on for more than 16 rounds");
  ++rounds_;
  asked_ = Asked::nothing;
  prompts_ = request.prompts.size();
  AuthStep step;
  step.send.push_back(write_info_request(request));
  return step;
}

Result<AuthStep> AuthServer::handle_info_response(ByteView payload) {
  const std::optional<std::size_t> prompts = std::exchange(prompts_, {});
  if (!prompts) return Error(Errc::protocol, "answers to what was not asked");
  const Result<std::vector<ByteView>> answers = read_info_response(payload, *prompts);
  if (!answers) return answers.error();
  if (++requests_ > config_->limits.max_auth_requests) return too_many();
  InfoResponse response{user_, {}};
  for (const ByteView answer : *answers) {
    if (answer.size() > kMaxPassword) return refuse(Refused::attempt);
    response.answers.emplace_back(answer);
  }
  asked_ = Asked::interactive;
  AuthStep step;
  step.question = true;
  step.events.emplace_back(std::move(response));
  return step;
}

Result<AuthStep> AuthServer::answer(bool accepted) {
  const Asked asked = std::exchange(asked_, Asked::nothing);
  // A refused offer costs the client nothing: agents hold many keys, and max_auth_requests bounds
  // them.
  if (!accepted) return refuse(asked == Asked::offer ? Refused::offer : Refused::attempt);
  AuthStep step;
  switch (asked) {
    case Asked::nothing:
      return Error(Errc::usage, "an answer without a question");
    case Asked::offer:
      step.send.push_back(write_pk_ok(
          algorithm_, offer_.certificate ? offer_.certificate->blob() : offer_.key.blob()));
      break;
    case Asked::proof:
      proven_ = std::move(offer_);
      return pass(kMethodPublicKey);
    case Asked::password:
      return pass(kMethodPassword);
    case Asked::interactive:
      return pass(kMethodInteractive);
  }
  return step;
}

AuthStep AuthServer::pass(std::string_view method) {
  AuthStep step;
  if (passed_ + 1 < config_->authentication_methods.size()) {
    ++passed_;
    passed_user_ = user_;
    step.send.push_back(write_userauth_failure(methods(), true));
    return step;
  }
  step.send.push_back(Bytes{std::byte{kMsgUserauthSuccess}});
  step.success = Authenticated{user_, std::string(method), proven_.key, proven_.certificate};
  return step;
}

Result<void> AuthServer::handle_late_request() {
  if (++late_ > kMaxRequestsAfterSuccess)
    return Error(Errc::protocol, "authentication requests go on after success");
  return {};
}

}  // namespace streamkit::ssh
