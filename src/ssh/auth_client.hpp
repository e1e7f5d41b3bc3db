// Authentication as the client (RFC 4252): each identity in turn, signed at once where the private
// key is here, and where it is not when the server has said that it would take it; then the
// password, then what the server asks (RFC 4256). One request is outstanding at a time; nothing is
// believed that does not answer it. What a partial success leaves to be done is done in that order.
#pragma once

#include "auth_step.hpp"
#include "messages.hpp"

#include <optional>
#include <string>

namespace streamkit::ssh {

inline constexpr int kMaxBanners = 8;
inline constexpr std::size_t kMaxBannerBytes = 64 * 1024;  ///< of all banners together
inline constexpr int kMaxPartialSuccesses = 4;

class AuthClient {
 public:
  /// All of them must outlive this.
  AuthClient(Config& config, ByteView session_id, ByteView host_key)
      : config_(&config), session_id_(session_id), host_key_(host_key) {}

  /// Asks for the service. Only after the host key was accepted and keys are on in both directions.
  AuthStep start();
  /// What the server's EXT_INFO said. Once it has named its signature algorithms the first key is
  /// offered at once, behind the request for the service: that saves a round trip.
  Result<AuthStep> handle_extensions(const Extensions& extensions);

  Result<AuthStep> handle_service_accept(ByteView payload);
  Result<AuthStep> handle_failure(ByteView payload);
  Result<AuthStep> handle_success(ByteView payload);
  Result<AuthStep> handle_banner(ByteView payload);
  /// Number 60: what it means depends on the method that is pending.
  Result<AuthStep> handle_method_reply(ByteView payload);
  /// One answer a prompt. Errors leave everything as it was.
  Result<AuthStep> answer_prompts(const std::vector<SecretBytes>& answers);
  /// Errc::bad_key leaves everything as it was.
  Result<AuthStep> provide_signature(ByteView signature);
  /// The question that the last step asked gets no answer.
  Result<AuthStep> decline();

  /// A request of ours is unanswered (RFC 8308 section 2.4: the server may send EXT_INFO then).
  bool is_pending() const noexcept { return service_ && !pending_.empty(); }

 private:
  Result<AuthStep> next();
  Result<AuthStep> offer(const Identity& identity);
  UserauthRequest request() const;
  ByteView offered_blob() const;
  Result<AuthStep> send_signed(ByteView signature);
  Result<AuthStep> handle_pk_ok(ByteView payload);
  Result<AuthStep> attempt_failed();
  Result<AuthStep> handle_password_change(ByteView payload);
  Result<AuthStep> handle_info_request(ByteView payload);
  bool is_allowed(std::string_view method) const;
  std::string_view algorithm_for(const Identity& identity) const;

  Config* config_;
  ByteView session_id_, host_key_;
  bool service_asked_ = false, service_ = false;
  std::string_view pending_;  // the method of the outstanding request
  std::size_t next_identity_ = 0;
  bool password_tried_ = false, interactive_tried_ = false, none_tried_ = false;
  bool bound_ = false, list_known_ = false, change_wanted_ = false;
  std::vector<std::string> methods_;   // those that the server says can continue
  std::vector<std::string> sig_algs_;  // server-sig-algs; empty: not said
  crypto::PublicKey offered_;
  std::optional<crypto::Certificate> offered_certificate_;  // with it; the key by itself comes next
  std::string_view algorithm_;                              // to sign with
  std::string algorithm_name_;  // which says so, of the certificate if there is one
  enum class Query { none, sent, granted } query_ = Query::none;  // of a key that is elsewhere
  std::optional<std::size_t> prompts_;                            // that wait for answers
  int rounds_ = 0, partial_successes_ = 0;
  int banners_ = 0;
  std::size_t banner_bytes_ = 0;
};

}  // namespace streamkit::ssh
