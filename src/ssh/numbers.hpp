// Message numbers of the transport and authentication protocols (RFC 4250 section 4.1.2, RFC 4252
// section 6, RFC 8308) and the names that have a meaning of their own in a KEXINIT. The numbers of
// the connection protocol (80..127) are only passed on here; what they mean is another room's
// business.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <cstdint>
#include <string_view>

namespace streamkit::ssh {

// ---- transport (RFC 4253)
inline constexpr std::uint8_t kMsgDisconnect = 1;
inline constexpr std::uint8_t kMsgIgnore = 2;
inline constexpr std::uint8_t kMsgUnimplemented = 3;
inline constexpr std::uint8_t kMsgDebug = 4;
inline constexpr std::uint8_t kMsgServiceRequest = 5;
inline constexpr std::uint8_t kMsgServiceAccept = 6;
inline constexpr std::uint8_t kMsgExtInfo = 7;
inline constexpr std::uint8_t kMsgKexInit = 20;
inline constexpr std::uint8_t kMsgNewKeys = 21;
inline constexpr std::uint8_t kMsgKexMethodFirst = 30;  // 30..49 belong to the method in use
inline constexpr std::uint8_t kMsgKexEcdhInit = 30;     // RFC 5656 section 7.1
inline constexpr std::uint8_t kMsgKexEcdhReply = 31;
inline constexpr std::uint8_t kMsgKexMethodLast = 49;

// ---- authentication (RFC 4252)
inline constexpr std::uint8_t kMsgUserauthRequest = 50;
inline constexpr std::uint8_t kMsgUserauthFailure = 51;
inline constexpr std::uint8_t kMsgUserauthSuccess = 52;
inline constexpr std::uint8_t kMsgUserauthBanner = 53;
inline constexpr std::uint8_t kMsgUserauthPkOk = 60;  // the same number asks for a new password
inline constexpr std::uint8_t kMsgUserauthInfoRequest = 60;  // and for answers (RFC 4256)
inline constexpr std::uint8_t kMsgUserauthInfoResponse = 61;

// ---- connection: handed up (80..82 and 90..100 are all that RFC 4254 defines)
inline constexpr std::uint8_t kMsgConnectionFirst = 80;
inline constexpr std::uint8_t kMsgConnectionLast = 127;

// ---- OpenSSH's round trip probe
inline constexpr std::uint8_t kMsgPing = 192;
inline constexpr std::uint8_t kMsgPong = 193;

// ---- names in a KEXINIT that are no algorithms
inline constexpr std::string_view kExtInfoClient = "ext-info-c";
inline constexpr std::string_view kExtInfoServer = "ext-info-s";
inline constexpr std::string_view kStrictClient = "kex-strict-c-v00@openssh.com";
inline constexpr std::string_view kStrictServer = "kex-strict-s-v00@openssh.com";

// ---- names of services, methods and extensions
inline constexpr std::string_view kServiceAuth = "ssh-userauth";
inline constexpr std::string_view kServiceConnection = "ssh-connection";
inline constexpr std::string_view kMethodNone = "none";
inline constexpr std::string_view kMethodPassword = "password";
inline constexpr std::string_view kMethodPublicKey = "publickey";
inline constexpr std::string_view kMethodInteractive = "keyboard-interactive";
inline constexpr std::string_view kMethodHostBound = "publickey-hostbound-v00@openssh.com";
inline constexpr std::string_view kExtServerSigAlgs = "server-sig-algs";
inline constexpr std::string_view kExtPing = "ping@openssh.com";
inline constexpr std::string_view kExtHostBound = "publickey-hostbound@openssh.com";

}  // namespace streamkit::ssh
