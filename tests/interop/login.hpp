// How users log in: the ways that the matrix has, and our half of each of them: a server that lets
// in by one way alone, and a client that has nothing for another.
#pragma once

#include "ssh_agent.hpp"

#include <memory>

namespace streamkit::testing {

/// What lets kUser in where passwords are tried, and answers what is asked.
inline constexpr const char* kPassword = "correct horse battery staple";
/// The same as crypt(5) has it.
inline constexpr const char* kPasswordHash =
    "$6$streamkit$vTm/"
    "2MmLAGXMQug7x0n4QxZX2wmZjRaUKsCKl08sXpGUs.gdEYOUWilxrMl9sOnfVKGGfl0A1lacwNRj8DX"
    "2b0";

enum class Login { key, password, certificate, interactive, agent };
/// Of a value of auth_values(); the names of algorithms are keys.
Login login_of(std::string_view value);

/// An authority with a key of its own, and what it signs, in a folder.
class Authority {
 public:
  explicit Authority(crypto::KeyType type = crypto::KeyType::ed25519);
  std::string file(const std::string& name) const { return folder_.file(name); }
  /// Its key as a line of a file.
  std::string line() const { return key_.public_key().text() + "\n"; }
  /// The path of a file of lines like that.
  std::string keys_file() const { return file("ca.pub"); }
  std::string write(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }
  /// The path of a certificate for `key`, in file NAME-cert.pub; `more` are words for ssh-keygen.
  std::string sign(const std::string& name, const crypto::PublicKey& key,
                   const std::vector<std::string>& more) const;
  /// The path of a list that revokes serial number 7, which all of them have.
  std::string revoke() const;

 private:
  Folder folder_;
  crypto::PrivateKey key_;
};

/// Makes a server of ours let kUser in by this way and no other.
void let_in_by(Login login, PeerOptions& options, const Authority& authority);
/// Puts what other clients log in to our server with into its folder: user_key-cert.pub; or an
/// agent has the key, and the file another one.
std::unique_ptr<SshAgent> equip(Login login, const OurServer& server, const Authority& authority);
/// Makes a client of ours log in by this way. The agent has to live as long as it does.
std::unique_ptr<SshAgent> log_in_by(Login login, OurClient::Setup& setup,
                                    const Authority& authority);

}  // namespace streamkit::testing
