// What relay and client say to each other over a registration channel. PROTOCOL.md is the contract.
//
//   client  opens `tunnel.http` or `tunnel.tcp` with the headers name, port, host-header, target
//   relay   confirms with name, port, url
//   relay   opens a channel on that channel for each visitor's connection, with the header visitor
//   client  joins it to the target, or closes it with the status (unavailable, "connect", sentence)
//   either  closes the registration channel to end the tunnel
#pragma once

#include <streamkit/base/result.hpp>

#include <string>
#include <string_view>

namespace streamkit::tunnel {

inline constexpr std::string_view kHttpService = "tunnel.http";
inline constexpr std::string_view kTcpService = "tunnel.tcp";
inline constexpr std::string_view kVisitorService = "visitor";

inline constexpr std::string_view kNameHeader = "name";
inline constexpr std::string_view kPortHeader = "port";
inline constexpr std::string_view kUrlHeader = "url";
inline constexpr std::string_view kHostHeader = "host-header";
inline constexpr std::string_view kTargetHeader = "target";
inline constexpr std::string_view kVisitorHeader = "visitor";  ///< ADDRESS:PORT

// Status reasons.
inline constexpr std::string_view kConnectReason = "connect";  ///< the target could not be reached
inline constexpr std::string_view kSuperseded = "superseded";  ///< the same key registered it anew
inline constexpr std::string_view kShutdownReason = "shutdown";  ///< the relay is stopping
inline constexpr std::string_view kStoppedReason = "stopped";    ///< the client is stopping

/// What went wrong with a connect, without the address, which the sentence around it names.
inline std::string connect_problem(const Error& error) {
  if (error.is(Errc::timeout)) return "no answer in time";
  return error.code().category() == std::generic_category() ||
                 error.code().category() == std::system_category()
             ? error.code().message()
             : error.message();
}

}  // namespace streamkit::tunnel
