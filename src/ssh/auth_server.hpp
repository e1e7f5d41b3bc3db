// Authentication as the server (RFC 4252): publickey, publickey bound to the host key, password,
// keyboard-interactive (RFC 4256). Reads requests, verifies signatures, asks; who is let in is
// answered outside. Where several methods are wanted, each but the last is a partial success (RFC
// 4252 section 5.1). No other methods.
#pragma once

#include "auth_step.hpp"
#include "messages.hpp"

#include <optional>
#include <string>

namespace streamkit::ssh {

inline constexpr int kMaxRequestsAfterSuccess = 16;  ///< of the client, that crossed our answer

class AuthServer {
 public:
  /// All of them must outlive this.
  AuthServer(const Config& config, ByteView session_id, ByteView host_key)
      : config_(&config), session_id_(session_id), host_key_(host_key) {}

  /// Errors are violations, or limits that end the connection.
  Result<AuthStep> handle_service_request(ByteView payload);
  Result<AuthStep> handle_request(ByteView payload);
  Result<AuthStep> handle_info_response(ByteView payload);
  /// The answer to the question that the last step asked.
  Result<AuthStep> answer(bool accepted);
  /// The other answer within keyboard-interactive. Errors leave everything as it was.
  Result<AuthStep> ask(const InfoRequest& request);
  /// A USERAUTH_REQUEST after success: dropped, but not for ever.
  Result<void> handle_late_request();

 private:
  enum class Asked { nothing, offer, proof, password, interactive };
  /// What is refused: attempts count, and all but the probe for methods wait for their time.
  enum class Refused { probe, offer, attempt };

  /// What a request offers. Empty unless the algorithm is one that such a key, or such a
  /// certificate's key, signs with.
  struct Offer {
    crypto::PublicKey key;
    std::optional<crypto::Certificate> certificate;
  };
  static Offer offer_of(const UserauthRequest& request);

  Result<AuthStep> handle_publickey(const UserauthRequest& request);
  Result<AuthStep> handle_password(const UserauthRequest& request);
  Result<AuthStep> handle_interactive(const UserauthRequest& request);
  /// That may be tried now.
  std::vector<std::string> methods() const;
  Result<AuthStep> refuse(Refused what);
  AuthStep pass(std::string_view method);
  Error too_many() const;

  const Config* config_;
  ByteView session_id_, host_key_;
  bool service_ = false, banner_sent_ = false, none_tried_ = false;
  int requests_ = 0, failures_ = 0, late_ = 0;
  Asked asked_ = Asked::nothing;
  int rounds_ = 0;                      // of the conversation that goes on
  std::optional<std::size_t> prompts_;  // that the client has to answer now
  std::string user_, algorithm_;
  Offer offer_;  // of the request that is asked about, and of none before it
  // Of Config::authentication_methods, how many this user has passed, and with which key.
  std::size_t passed_ = 0;
  std::string passed_user_;
  Offer proven_;
};

}  // namespace streamkit::ssh
