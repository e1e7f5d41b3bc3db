// A real ssh-agent that holds some keys.
#pragma once

#include "our_server.hpp"

namespace streamkit::testing {

class SshAgent {
 public:
  /// `how`: more words for ssh-add.
  explicit SshAgent(const std::vector<crypto::PrivateKey>& keys,
                    const std::vector<std::string>& how = {}) {
    // The agent lives as long as the command that it was started with.
    std::vector<std::string> words = {
        "ssh-agent", "-a", socket(),
        "sh",        "-c", "ssh-add -q \"$@\" && echo agent is ready >&2 && exec cat",
        "sh"};
    words.insert(words.end(), how.begin(), how.end());
    for (std::size_t i = 0; i < keys.size(); ++i)
      words.push_back(folder_.write("key" + std::to_string(i), text_of(keys[i])));
    program_.emplace(std::move(words));
    is_up_ = program_->wait_for_errors("agent is ready");
  }
  bool is_up() const noexcept { return is_up_; }
  std::string errors() { return program_->errors(); }
  std::string socket() const { return folder_.file("agent"); }

 private:
  Folder folder_;
  std::optional<Program> program_;
  bool is_up_ = false;
};

}  // namespace streamkit::testing
