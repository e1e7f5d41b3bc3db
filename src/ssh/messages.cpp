// Writers and strict readers of the small messages, and the one map from errors to disconnect
// reasons.
#include "messages.hpp"

#include "numbers.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>

namespace streamkit::ssh {
namespace {

/// Reads a payload from behind its number.
wire::Reader reader_of(ByteView payload) {
  return wire::Reader(payload.empty() ? payload : payload.subspan(1));
}

bool is_publickey(std::string_view method) {
  return method == kMethodPublicKey || method == kMethodHostBound;
}

/// The part of a publickey request that is signed, from the number on.
void write_publickey_fields(wire::Writer& to, const UserauthRequest& request, bool is_signed) {
  to.u8(kMsgUserauthRequest).string(request.user).string(request.service).string(request.method);
  to.boolean(is_signed).string(request.algorithm).string(request.key);
  if (request.method == kMethodHostBound) to.string(request.host_key);
}

}  // namespace

Error malformed(std::string_view what) {
  return Error(Errc::protocol, "a malformed " + std::string(what) + " message");
}

DisconnectReason disconnect_reason(const Error& error) noexcept {
  if (error.code().category() != errc_category()) return DisconnectReason::by_application;
  switch (static_cast<Errc>(error.code().value())) {
    case Errc::protocol:
    case Errc::limit:
      return DisconnectReason::protocol_error;
    case Errc::negotiation:
    case Errc::key_exchange:
    case Errc::crypto:
    case Errc::bad_key:
      return DisconnectReason::key_exchange_failed;
    case Errc::mac:
      return DisconnectReason::mac_error;
    case Errc::no_such_service:
      return DisconnectReason::service_not_available;
    case Errc::version_mismatch:
      return DisconnectReason::version_not_supported;
    case Errc::host_key_unknown:
    case Errc::host_key_mismatch:
      return DisconnectReason::host_key_not_verifiable;
    case Errc::connection_lost:
      return DisconnectReason::connection_lost;
    case Errc::cancelled:
      return DisconnectReason::auth_cancelled;
    case Errc::auth_denied:
      return DisconnectReason::no_more_auth_methods;
    default:
      return DisconnectReason::by_application;
  }
}

Bytes write_disconnect(DisconnectReason reason, std::string_view description) {
  Bytes out;
  wire::Writer(out)
      .u8(kMsgDisconnect)
      .u32(static_cast<std::uint32_t>(reason))
      .string(description.substr(0, kMaxDescription))
      .string("");
  return out;
}

DisconnectMessage read_disconnect(ByteView payload) {
  wire::Reader in = reader_of(payload);
  DisconnectMessage out;
  out.reason = DisconnectReason{in.u32()};
  out.description = escape(in.text(), kMaxDescription);
  return out;
}

Bytes write_unimplemented(std::uint32_t sequence) {
  Bytes out;
  wire::Writer(out).u8(kMsgUnimplemented).u32(sequence);
  return out;
}

Bytes write_text_message(std::uint8_t number, std::string_view text) {
  Bytes out;
  out.reserve(5 + text.size());
  wire::Writer(out).u8(number).string(text);
  return out;
}

Result<std::string_view> read_text_message(ByteView payload, std::string_view what) {
  wire::Reader in = reader_of(payload);
  const std::string_view text = in.text();
  if (!in.end()) return malformed(what);
  return text;
}

Bytes write_ext_info(const Extensions& entries) {
  Bytes out;
  wire::Writer to(out);
  to.u8(kMsgExtInfo).u32(static_cast<std::uint32_t>(entries.size()));
  for (const auto& [name, value] : entries) to.string(name).string(value);
  return out;
}

Result<Extensions> read_ext_info(ByteView payload) {
  wire::Reader in = reader_of(payload);
  const std::uint32_t count = in.u32();
  if (count > kMaxExtensions) return malformed("EXT_INFO");
  Extensions out;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view name = in.text(), value = in.text();
    const bool printable =
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
    // The values that we read as text must be text; others may be anything (RFC 8308 has binary
    // ones).
    const bool text = name == kExtServerSigAlgs || name == kExtPing || name == kExtHostBound;
    if (!in.ok() || name.empty() || name.size() > 64 || !printable ||
        value.size() > kMaxExtensionValue || (text && value.find('\0') != std::string_view::npos))
      return malformed("EXT_INFO");
    out.emplace_back(name, value);
  }
  if (!in.end()) return malformed("EXT_INFO");
  return out;
}

Bytes write_kex_reply(const KexReply& reply) {
  Bytes out;
  wire::Writer(out)
      .u8(kMsgKexEcdhReply)
      .string(reply.host_key)
      .string(reply.blob)
      .string(reply.signature);
  return out;
}

Result<KexReply> read_kex_reply(ByteView payload) {
  wire::Reader in = reader_of(payload);
  KexReply out;
  out.host_key = in.string();
  out.blob = in.string();
  out.signature = in.string();
  if (!in.end()) return malformed("KEX_ECDH_REPLY");
  return out;
}

Bytes write_kex_init(ByteView blob) {
  Bytes out;
  wire::Writer(out).u8(kMsgKexEcdhInit).string(blob);
  return out;
}

Result<ByteView> read_kex_init(ByteView payload) {
  wire::Reader in = reader_of(payload);
  const ByteView blob = in.string();
  if (!in.end()) return malformed("KEX_ECDH_INIT");
  return blob;
}

Result<UserauthRequest> read_userauth_request(ByteView payload) {
  wire::Reader in = reader_of(payload);
  UserauthRequest out;
  out.user = in.text();
  out.service = in.text();
  out.method = in.text();
  if (!in.ok() || out.user.size() > kMaxUserName) return malformed("USERAUTH_REQUEST");
  if (is_publickey(out.method)) {
    out.has_signature = in.boolean();
    out.algorithm = in.text();
    out.key = in.string();
    if (out.method == kMethodHostBound) out.host_key = in.string();
    if (out.has_signature) out.signature = in.string();
  } else if (out.method == kMethodPassword) {
    out.change = in.boolean();
    out.password = in.text();
    if (out.change) in.text();
  } else if (out.method == kMethodInteractive) {
    in.text();  // language
    out.submethods = in.text();
  } else if (out.method != kMethodNone) {
    return out;
  }
  if (!in.end()) return malformed("USERAUTH_REQUEST");
  return out;
}

Bytes signed_request(ByteView session_id, const UserauthRequest& request) {
  Bytes out;
  wire::Writer to(out);
  to.string(session_id);
  write_publickey_fields(to, request, true);
  return out;
}

Bytes write_publickey_request(const UserauthRequest& request) {
  Bytes out;
  wire::Writer to(out);
  write_publickey_fields(to, request, true);
  to.string(request.signature);
  return out;
}

Bytes write_publickey_query(const UserauthRequest& request) {
  Bytes out;
  wire::Writer to(out);
  write_publickey_fields(to, request, false);
  return out;
}

Bytes write_none_request(std::string_view user) {
  Bytes out;
  wire::Writer(out)
      .u8(kMsgUserauthRequest)
      .string(user)
      .string(kServiceConnection)
      .string(kMethodNone);
  return out;
}

Bytes write_password_request(std::string_view user, std::string_view password) {
  Bytes out;
  out.reserve(64 + user.size() + password.size());
  wire::Writer(out)
      .u8(kMsgUserauthRequest)
      .string(user)
      .string(kServiceConnection)
      .string(kMethodPassword)
      .boolean(false)
      .string(password);
  return out;
}

Bytes write_interactive_request(std::string_view user) {
  Bytes out;
  wire::Writer(out)
      .u8(kMsgUserauthRequest)
      .string(user)
      .string(kServiceConnection)
      .string(kMethodInteractive)
      .string("")   // language
      .string("");  // submethods: as the server likes
  return out;
}

Bytes write_info_request(const InfoRequest& request) {
  Bytes out;
  wire::Writer to(out);
  to.u8(kMsgUserauthInfoRequest).string(request.name).string(request.instruction).string("");
  to.u32(static_cast<std::uint32_t>(request.prompts.size()));
  for (const Prompt& prompt : request.prompts) to.string(prompt.text).boolean(prompt.echo);
  return out;
}

Result<InfoRequest> read_info_request(ByteView payload) {
  wire::Reader in = reader_of(payload);
  InfoRequest out;
  const std::string_view name = in.text(), instruction = in.text();
  in.text();  // language
  const std::uint32_t count = in.u32();
  if (!in.ok()) return malformed("USERAUTH_INFO_REQUEST");
  if (count > kMaxPrompts) return Error(Errc::limit, "the server asks more than 16 things at once");
  bool fits = name.size() <= kMaxPromptText && instruction.size() <= kMaxInstruction;
  for (std::uint32_t i = 0; i < count && fits; ++i) {
    const std::string_view text = in.text();
    fits = text.size() <= kMaxPromptText;
    out.prompts.push_back({std::string(text), in.boolean()});
  }
  if (!fits) return Error(Errc::limit, "the server asks at too great length");
  if (!in.end()) return malformed("USERAUTH_INFO_REQUEST");
  out.name = name;
  out.instruction = instruction;
  return out;
}

Bytes write_info_response(const std::vector<SecretBytes>& answers) {
  Bytes out;
  std::size_t size = 5;
  for (const SecretBytes& answer : answers) size += 4 + answer.size();
  out.reserve(size);
  wire::Writer to(out);
  to.u8(kMsgUserauthInfoResponse).u32(static_cast<std::uint32_t>(answers.size()));
  for (const SecretBytes& answer : answers) to.string(answer.view());
  return out;
}

Result<std::vector<ByteView>> read_info_response(ByteView payload, std::size_t prompts) {
  wire::Reader in = reader_of(payload);
  if (in.u32() != prompts)
    return Error(Errc::protocol, "another number of answers than of prompts");
  std::vector<ByteView> answers;
  for (std::size_t i = 0; i < prompts && in.ok(); ++i) answers.push_back(in.string());
  if (!in.end()) return malformed("USERAUTH_INFO_RESPONSE");
  return answers;
}

Bytes write_userauth_failure(const std::vector<std::string>& methods, bool partial) {
  Bytes out;
  wire::Writer(out).u8(kMsgUserauthFailure).name_list(methods).boolean(partial);
  return out;
}

Result<UserauthFailure> read_userauth_failure(ByteView payload) {
  wire::Reader in = reader_of(payload);
  UserauthFailure out;
  out.methods = in.name_list();
  out.partial = in.boolean();
  if (!in.end()) return malformed("USERAUTH_FAILURE");
  return out;
}

Bytes write_banner(std::string_view text) {
  Bytes out;
  wire::Writer(out).u8(kMsgUserauthBanner).string(text).string("");
  return out;
}

Result<std::string_view> read_banner(ByteView payload) {
  wire::Reader in = reader_of(payload);
  const std::string_view text = in.text();
  in.text();  // language
  if (!in.end()) return malformed("USERAUTH_BANNER");
  return text;
}

Bytes write_pk_ok(std::string_view algorithm, ByteView key) {
  Bytes out;
  wire::Writer(out).u8(kMsgUserauthPkOk).string(algorithm).string(key);
  return out;
}

Result<PkOk> read_pk_ok(ByteView payload) {
  wire::Reader in = reader_of(payload);
  PkOk out;
  out.algorithm = in.text();
  out.key = in.string();
  if (!in.end()) return malformed("USERAUTH_PK_OK");
  return out;
}

}  // namespace streamkit::ssh
