// SshConfig: what OpenSSH's configuration says about a host, as `ssh -G` tells it.
#pragma once

#include <streamkit/base/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace streamkit::cli {

struct SshConfig {
  std::string host_name, user, proxy_jump, proxy_command;
  std::uint16_t port = 22;
  std::vector<std::string> identity_files, known_hosts_files;  ///< a leading ~/ is the home folder

  /// Of what `ssh -G` prints: a keyword and its value a line. Errc::codec without hostname or a
  /// port.
  static Result<SshConfig> parse(std::string_view text);
  /// Asks the `ssh` in PATH about [USER@]HOST[:PORT], without a shell; it has 10 s and 256 KiB.
  /// Errc::usage for names that could be an option, an OS error or Errc::bad_file where ssh is
  /// missing or fails.
  static Result<SshConfig> ask(std::string_view host);
};

/// An endpoint's text for what OpenSSH's configuration calls `host`: HostName, Port, User (where it
/// is not the name of this machine's user), ProxyJump as its way. Errc::usage for a ProxyCommand.
Result<std::string> endpoint_of(const SshConfig& config);

}  // namespace streamkit::cli
