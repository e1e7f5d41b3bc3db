// Sshd: OpenSSH's server, started by a test.
#pragma once

#include "our_server.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace streamkit::testing {

/// An sshd with a configuration of its own that lets in the user who runs this test.
class Sshd {
 public:
  explicit Sshd(const std::string& more = {}, crypto::KeyType host_key = crypto::KeyType::ed25519,
                crypto::KeyType user_key = crypto::KeyType::ed25519)
      : Sshd(new_key(host_key), new_key(user_key), more) {}
  Sshd(crypto::PrivateKey host_key, crypto::PrivateKey user_key, const std::string& more)
      : host_key_(std::move(host_key)), user_key_(std::move(user_key)) {
    if (::geteuid() == 0) ::mkdir("/run/sshd", 0755);  // it drops privileges into this folder
    folder_.write("host_key", text_of(host_key_));
    folder_.write("authorized_keys", user_key_.public_key().text() + "\n");
    for (int attempt = 0; attempt < 5 && !is_up_; ++attempt) start(more);
  }
  ~Sshd() {
    if (::testing::Test::HasFailure())
      std::fprintf(stderr, "sshd said:\n%s", errors().substr(0, 20000).c_str());
  }

  bool is_up() const noexcept { return is_up_; }
  std::string errors() { return program_->errors(); }
  const Folder& folder() const noexcept { return folder_; }
  OurClient::Setup client() const {
    return {.port = port_,
            .user = machine_user(),
            .key = user_key_,
            .host_key_fingerprint = host_key_.public_key().fingerprint()};
  }

 private:
  void start(const std::string& more) {
    port_ = free_port();
    const std::string config = folder_.write(
        "sshd_config", "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\nHostKey " +
                           folder_.file("host_key") + "\nAuthorizedKeysFile " +
                           folder_.file("authorized_keys") +
                           "\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
                           "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                           "LogLevel DEBUG1\nAcceptEnv COLOUR\nSubsystem echo /bin/cat\n" +
                           more);
    program_.emplace(std::vector<std::string>{find_program("sshd"), "-D", "-e", "-f", config});
    is_up_ = program_->wait_for_errors("Server listening on 127.0.0.1 port");
  }

  Folder folder_;
  crypto::PrivateKey host_key_, user_key_;
  std::uint16_t port_ = 0;
  bool is_up_ = false;
  std::optional<Program> program_;
};

#define SK_NEEDS_SSHD(server)         \
  SK_NEEDS("sshd", "openssh-server"); \
  Sshd server;                        \
  ASSERT_TRUE(server.is_up()) << server.errors()

}  // namespace streamkit::testing
