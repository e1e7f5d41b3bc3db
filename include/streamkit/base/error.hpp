// What can go wrong, as values. Two enumerations (both are std::error_code categories) and one Error.
//
//   Code   the answer of a remote application; gRPC's numbers, so gateways and people need no table
//   Errc   a local, finer condition; each maps onto one Code (error_code_of)
//   Status what a remote handler answered with; travels when a channel closes
//   Error  a std::error_code with, optionally, a sentence for people and the remote Status
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace streamkit {

enum class Code : int {
  ok,
  cancelled,
  unknown,
  invalid_argument,
  deadline_exceeded,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,
  failed_precondition,
  aborted,
  out_of_range,
  unimplemented,
  internal,
  unavailable,
  data_loss,
  unauthenticated,
};

/// Families: usage (you), peer (the remote broke a rule), negotiation, crypto, limit, OS (other categories).
enum class Errc : int {
  // flow: not failures, but answers that a caller acts on
  would_block = 1,  ///< nothing to read, or no room to write, right now
  eof,              ///< the other side ended its direction in good order
  closed,           ///< this channel, peer or connection is closed
  reset,            ///< the other side aborted the channel
  timeout,          ///< the deadline passed
  cancelled,        ///< the caller withdrew the operation
  // usage
  usage,            ///< the call does not fit the object's state or its arguments are invalid
  bad_endpoint,     ///< an endpoint that does not parse or is of an unknown kind
  bad_name,         ///< a peer or service name with characters that are not allowed
  would_deadlock,   ///< a blocking call on the thread that would have to complete it
  shutting_down,    ///< the peer is shutting down
  // who is there
  peer_not_connected,  ///< no link to that peer (and none came before the deadline)
  no_such_service,     ///< the remote has no such service
  refused,             ///< the remote refused the channel
  auth_denied,         ///< authentication failed: no method or key was accepted
  host_key_unknown,    ///< the server's key is not known and the policy pins
  host_key_mismatch,   ///< the server's key is not the one known under this name
  name_taken,          ///< the name is held by another key
  version_mismatch,    ///< the two sides do not speak the same version
  // limits
  frame_too_large,   ///< a frame longer than max_frame
  header_too_large,  ///< headers or trailers over their limit
  limit,             ///< another named limit was reached
  // the remote broke the protocol, or something broke on the way
  protocol,       ///< RFC 4251-4254 (or our PROTOCOL.md) was violated: disconnect reason 2
  negotiation,    ///< no algorithm in common: disconnect reason 3
  key_exchange,   ///< the key exchange failed (bad public value, bad signature): disconnect reason 3
  mac,            ///< a packet failed its integrity check: disconnect reason 5
  crypto,         ///< libcrypto reported a failure
  disconnected,   ///< the remote sent SSH_MSG_DISCONNECT
  connection_lost,  ///< the stream ended or keepalive got no answer
  bad_key,        ///< a key, signature or key file that is malformed or of an unsupported kind
  key_encrypted,  ///< a key file that needs a passphrase
  bad_file,       ///< a file that is malformed, too large or has unsafe permissions
  codec,          ///< a message that does not decode
};

const std::error_category& code_category() noexcept;
const std::error_category& errc_category() noexcept;
std::error_code make_error_code(Code) noexcept;
std::error_code make_error_code(Errc) noexcept;
/// The Code that an application is told for a local condition.
Code code_of(const std::error_code&) noexcept;
std::string_view to_string(Code) noexcept;

}  // namespace streamkit

template <>
struct std::is_error_code_enum<streamkit::Code> : std::true_type {};
template <>
struct std::is_error_code_enum<streamkit::Errc> : std::true_type {};

namespace streamkit {

/// What an application says when it ends a channel. `reason` is a word for programs, `message` a
/// sentence for people.
struct Status {
  Code code = Code::ok;
  std::string reason;
  std::string message;

  Status() = default;
  Status(Code c, std::string r = {}, std::string m = {})
      : code(c), reason(std::move(r)), message(std::move(m)) {}
  bool ok() const noexcept { return code == Code::ok; }
  friend bool operator==(const Status&, const Status&) = default;
};

/// 32 bytes, nothrow-movable. Allocates only when there is a sentence or a remote Status.
class Error {
 public:
  Error(std::error_code code) : code_(code) {}
  Error(Errc code) : code_(make_error_code(code)) {}
  Error(Code code) : code_(make_error_code(code)) {}
  Error(std::error_code code, std::string detail);
  Error(Errc code, std::string detail) : Error(make_error_code(code), std::move(detail)) {}
  /// What the remote answered with.
  Error(Errc code, Status remote);

  const std::error_code& code() const noexcept { return code_; }
  /// The remote's words, or nullptr when the error is local.
  const Status* remote() const noexcept;
  /// A sentence for people: the detail if there is one, else the code's own message.
  std::string message() const;
  bool is(Errc e) const noexcept { return code_ == make_error_code(e); }

 private:
  struct Words;
  std::error_code code_;
  std::shared_ptr<const Words> words_;
};

}  // namespace streamkit
