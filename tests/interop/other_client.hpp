// Other implementations' clients that are programs: how each of them is told to log in to our Peer
// and what to do there. They take their input from standard input and give output, error output and
// exit code as `ssh` does.
#pragma once

#include "matrix.hpp"

#include <functional>

namespace streamkit::testing {

using Words = std::vector<std::string>;

/// What a client is to do.
struct Ask {
  enum class Form {
    exec,       ///< `what` is a command
    subsystem,  ///< `what` is its name
    shell,
    direct_tcpip,  ///< `what` is a service; standard input and output are its channel
    local_port,    ///< forwards 127.0.0.1:`port` here to the service `what`
    local_path,    ///< forwards the unix socket `path` here to the service `what`, by its path
    remote_port,   ///< asks for `port` at our peer, leads its connections to 127.0.0.1:`target`
    open_type,     ///< asks for a channel of the type `what`, prints whether it was refused
  };
  Form form = Form::exec;
  std::string what{};
  Words environment{};       ///< NAME=VALUE
  Login login = Login::key;  ///< with what equip() has made; an agent is in SSH_AUTH_SOCK
  std::uint16_t port = 0, target = 0;
  std::string path{};
};

struct OtherClient {
  std::string name;
  std::vector<Need> needs;
  Lacks lacks;
  /// Its command line and the environment variables that it needs.
  std::function<Words(const OurServer&, const Ask&)> words;
  std::function<Words(const OurServer&)> environment = [](const OurServer&) { return Words(); };
  /// It puts its own words on standard error, besides the channel's.
  bool is_talkative = false;
  bool is_optional = false;      ///< no package of Debian's: without it, it has no tests
  bool is_strict = true;         ///< it has strict key exchange
  bool works_by_default = true;  ///< our Algorithms need no allow_non_strict for it
  /// It sends no data between its KEXINIT and its NEWKEYS, as RFC 4253 section 7.1 wants it.
  bool holds_data_back = true;
};

const OtherClient& other_client(std::string_view name);

}  // namespace streamkit::testing
