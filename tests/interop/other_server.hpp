// Other implementations' servers that are programs: how each is started with a key of ours, and
// lets in the user who runs this test.
#pragma once

#include "matrix.hpp"

#include <functional>

namespace streamkit::testing {

using Words = std::vector<std::string>;

/// What a server is started with. Its folder holds `host_key` and `authorized_keys` (and the latter
/// in .ssh too), both as OpenSSH writes them, and the authority's key in `ca.pub`.
struct ServerSetup {
  const Folder& folder;
  std::string authorized;  ///< a user's public key, a line of authorized_keys
  Login login;
  std::string authority;  ///< who signs users' certificates, a public key
  std::string more;       ///< lines for sshd's configuration, before all others
  std::uint16_t port;     ///< for those that cannot choose one
};

struct OtherServer {
  std::string name;
  std::vector<Need> needs;
  Lacks lacks;
  std::function<Words(const ServerSetup&)> words;
  std::function<Words(const ServerSetup&)> environment = [](const ServerSetup&) { return Words(); };
  /// What it says on standard error when it listens; the peers of ours say the port behind it.
  std::string ready = "listening ";
  bool says_its_port = true;
  /// Lets in users of this machine only, so this test's own.
  bool knows_machine_users = false;
  /// Makes its host key itself, and prints it with this command.
  std::function<Words(const ServerSetup&)> print_host_key = {};
  bool is_optional = false;      ///< no package of Debian's: without it, it has no tests
  bool is_strict = true;         ///< it has strict key exchange
  bool works_by_default = true;  ///< our Algorithms need no allow_non_strict for it
  /// It sends no data between its KEXINIT and its NEWKEYS, as RFC 4253 section 7.1 wants it.
  bool holds_data_back = true;
};

const OtherServer& other_server(std::string_view name);

/// One of them, up.
class RunningServer {
 public:
  struct Setup {
    crypto::PrivateKey host_key = new_key();
    crypto::PrivateKey user_key = new_key();
    Login login = Login::key;  ///< that is to let the user in
    std::string authority{};   ///< for certificates
    std::string more{};        ///< lines for sshd's configuration, before all others
  };
  explicit RunningServer(const OtherServer& who) : RunningServer(who, Setup()) {}
  RunningServer(const OtherServer& who, const Setup& setup);
  ~RunningServer();

  bool is_up() const noexcept { return is_up_; }
  std::string errors() { return program_->errors(); }
  bool wait_for_errors(std::string_view words) { return program_->wait_for_errors(words); }
  const Folder& folder() const noexcept { return folder_; }
  /// How to log in.
  OurClient::Setup client() const;

 private:
  void start(ServerSetup setup);

  const OtherServer& who_;
  Folder folder_;
  crypto::PrivateKey host_key_, user_key_;
  std::string fingerprint_;
  std::uint16_t port_ = 0;
  bool is_up_ = false;
  std::optional<Program> program_;
};

#define SK_NEEDS_SSHD(server)                    \
  SK_NEEDS("sshd", "openssh-server");            \
  RunningServer server(other_server("OpenSsh")); \
  ASSERT_TRUE(server.is_up()) << server.errors()

}  // namespace streamkit::testing
