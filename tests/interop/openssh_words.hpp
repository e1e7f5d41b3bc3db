// The command line of OpenSSH's `ssh` for a server of ours.
#pragma once

#include "our_server.hpp"

namespace streamkit::testing {

/// Options, and then `more`: further options, the host and what to run there.
inline std::vector<std::string> openssh_words(const OurServer& server,
                                              const std::vector<std::string>& more,
                                              const std::string& batch = "yes") {
  std::vector<std::string> words = {
      "ssh", "-F", "none", "-v", "-T", "-p", std::to_string(server.port()), "-l", kUser};
  for (const std::string& option :
       {"IdentityFile=" + server.user_key_file(), "UserKnownHostsFile=" + server.known_hosts_file(),
        std::string("GlobalKnownHostsFile=/dev/null"), std::string("IdentitiesOnly=yes"),
        std::string("IdentityAgent=none"), "BatchMode=" + batch,
        std::string("StrictHostKeyChecking=yes")}) {
    words.push_back("-o");
    words.push_back(option);
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace streamkit::testing
