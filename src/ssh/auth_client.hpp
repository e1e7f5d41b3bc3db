// Authentication as the client (RFC 4252): each identity in turn, signed at once, then the
// password. One request is outstanding at a time; nothing is believed that does not answer it.
#pragma once

#include "auth_step.hpp"
#include "messages.hpp"

#include <optional>
#include <string>

namespace streamkit::ssh {

inline constexpr int kMaxBanners = 8;
inline constexpr std::size_t kMaxBannerBytes = 64 * 1024;  ///< of all banners together

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
  /// Number 60: a password is to be changed, which we do not; or nothing we asked for.
  Result<AuthStep> handle_method_reply(ByteView payload);

  /// A request of ours is unanswered (RFC 8308 section 2.4: the server may send EXT_INFO then).
  bool is_pending() const noexcept { return service_ && !pending_.empty(); }

 private:
  Result<AuthStep> next();
  Result<AuthStep> offer(const Identity& identity);
  Result<AuthStep> attempt_failed();
  bool is_allowed(std::string_view method) const;
  std::string_view algorithm_for(const Identity& identity) const;

  Config* config_;
  ByteView session_id_, host_key_;
  bool service_asked_ = false, service_ = false;
  std::string_view pending_;  // the method of the outstanding request
  std::size_t next_identity_ = 0;
  bool password_tried_ = false, none_tried_ = false, bound_ = false, list_known_ = false;
  std::vector<std::string> methods_;   // those that the server says can continue
  std::vector<std::string> sig_algs_;  // server-sig-algs; empty: not said
  crypto::PublicKey offered_;
  std::optional<crypto::Certificate> offered_certificate_;  // with it; the key by itself comes next
  int banners_ = 0;
  std::size_t banner_bytes_ = 0;
};

}  // namespace streamkit::ssh
