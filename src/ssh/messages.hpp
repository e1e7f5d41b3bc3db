// The small messages of RFC 4253, RFC 4252 and RFC 8308, to bytes and back. Parsers are strict:
// every field there, nothing behind; they keep views into the payload, which must outlive what they
// return. KEXINIT has a file of its own (negotiate).
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/ssh/transport.hpp>

#include <string>
#include <utility>
#include <vector>

namespace streamkit::ssh {

inline constexpr std::size_t kMaxDescription = 1024;      ///< bytes of a disconnect text we show
inline constexpr std::size_t kMaxExtensions = 64;         ///< entries in one EXT_INFO
inline constexpr std::size_t kMaxExtensionValue = 16384;  ///< bytes
inline constexpr std::size_t kMaxUserName = 255;          ///< bytes
inline constexpr std::size_t kMaxPassword = 1024;         ///< bytes; also of an answer to a prompt
inline constexpr std::size_t kMaxPrompts = 16;            ///< of one INFO_REQUEST
inline constexpr std::size_t kMaxPromptText = 1024;    ///< bytes of a prompt, and of the name above
inline constexpr std::size_t kMaxInstruction = 16384;  ///< bytes
inline constexpr std::size_t kMaxSubmethods = 1024;    ///< bytes
inline constexpr int kMaxInteractiveRounds = 16;       ///< INFO_REQUESTs of one conversation

/// Errc::protocol with the message's name.
Error malformed(std::string_view what);

Bytes write_disconnect(DisconnectReason reason, std::string_view description);
struct DisconnectMessage {
  DisconnectReason reason{};
  std::string description;  ///< escaped and cut
};
/// Never fails: whatever it says, the other side is gone.
DisconnectMessage read_disconnect(ByteView payload);

Bytes write_unimplemented(std::uint32_t sequence);
/// `number` and one string: SERVICE_REQUEST, SERVICE_ACCEPT, PONG.
Bytes write_text_message(std::uint8_t number, std::string_view text);
Result<std::string_view> read_text_message(ByteView payload, std::string_view what);

using Extensions = std::vector<std::pair<std::string, std::string>>;
Bytes write_ext_info(const Extensions& entries);
Result<Extensions> read_ext_info(ByteView payload);

struct KexReply {
  ByteView host_key, blob, signature;
};
Bytes write_kex_reply(const KexReply& reply);
Result<KexReply> read_kex_reply(ByteView payload);
Bytes write_kex_init(ByteView blob);
Result<ByteView> read_kex_init(ByteView payload);

// ---- authentication

struct UserauthRequest {
  std::string_view user, service, method;
  // publickey, both forms
  bool has_signature = false;
  std::string_view algorithm;
  ByteView key, host_key, signature;
  // password
  bool change = false;
  std::string_view password;
  // keyboard-interactive
  std::string_view submethods;
};
/// Fields of methods that are not known stay unread.
Result<UserauthRequest> read_userauth_request(ByteView payload);
/// What a publickey request's signature is over: the session id and the request up to the
/// signature.
Bytes signed_request(ByteView session_id, const UserauthRequest& request);
/// The request with its signature.
Bytes write_publickey_request(const UserauthRequest& request);
/// The request without one: would the server take this key?
Bytes write_publickey_query(const UserauthRequest& request);
Bytes write_none_request(std::string_view user);
/// Holds the password: wipe it after use. Never reallocates, so there is one copy.
Bytes write_password_request(std::string_view user, std::string_view password);

// RFC 4256
Bytes write_interactive_request(std::string_view user);
Bytes write_info_request(const InfoRequest& request);
/// More prompts or longer texts than the limits above are Errc::limit.
Result<InfoRequest> read_info_request(ByteView payload);
/// Holds the answers, as write_password_request() does.
Bytes write_info_response(const std::vector<SecretBytes>& answers);
/// Another number of answers than `prompts` is a violation, seen before anything is stored.
Result<std::vector<ByteView>> read_info_response(ByteView payload, std::size_t prompts);

Bytes write_userauth_failure(const std::vector<std::string>& methods, bool partial);
struct UserauthFailure {
  std::vector<std::string_view> methods;
  bool partial = false;
};
Result<UserauthFailure> read_userauth_failure(ByteView payload);
Bytes write_banner(std::string_view text);
Result<std::string_view> read_banner(ByteView payload);
Bytes write_pk_ok(std::string_view algorithm, ByteView key);
struct PkOk {
  std::string_view algorithm;
  ByteView key;
};
Result<PkOk> read_pk_ok(ByteView payload);

}  // namespace streamkit::ssh
