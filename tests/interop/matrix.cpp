// The cells of the matrix: their values, and how they are told apart from failures.
#include "matrix.hpp"

#include <streamkit/crypto/cipher.hpp>
#include <streamkit/crypto/kex_method.hpp>

#include <algorithm>
#include <unistd.h>

namespace streamkit::testing {

void cell(std::string_view implementation, std::string_view role, std::string_view column,
          std::string_view value) {
  const auto record = [](const char* key, std::string_view text) {
    ::testing::Test::RecordProperty(key, std::string(text));
  };
  record("implementation", implementation);
  record("role", role);
  record("column", column);
  record("value", value);
}

void not_supported(std::string_view reason) {
  ::testing::Test::RecordProperty("not_supported", std::string(reason));
}

std::string not_offered(std::string_view text, std::string_view other_role, std::string_view name) {
  const std::string before = "the " + std::string(other_role) + " offers ";
  const std::size_t refusal = text.find(" in common: ");
  if (refusal == std::string_view::npos) return {};
  const std::size_t at = text.find(before, refusal);
  if (at == std::string_view::npos) return {};
  std::string_view list = text.substr(at + before.size());
  list = list.substr(0, list.find_first_of("; \n"));
  if (list.ends_with("...")) return {};  // cut short, so it proves nothing
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    if (rest.substr(0, end) == name) return {};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "does not offer it";
}

std::string missing(const std::vector<Need>& needs) {
  for (const Need& need : needs) {
    const bool is_path = need.program.starts_with('/');
    if (is_path ? ::access(need.program.c_str(), R_OK) != 0 : find_program(need.program).empty())
      return "no " + need.program + " here: install " + need.package;
  }
  return {};
}

std::vector<std::string> kex_values() {
  const auto& names = crypto::kex_names();
  return {names.begin(), names.end()};
}

std::string best_kex_with_openssh() {
  Program ssh({"ssh", "-Q", "kex"});
  const std::string theirs = "\n" + ssh.talk();
  for (const std::string& ours : kex_values())
    if (theirs.find("\n" + ours + "\n") != std::string::npos) return ours;
  ADD_FAILURE() << "OpenSSH has none of our key exchanges:" << theirs;
  return {};
}

std::vector<std::string> cipher_values() {
  const auto& names = crypto::cipher_names();
  return {names.begin(), names.end()};
}

std::vector<std::string> mac_values() {
  const auto& names = crypto::mac_names();
  return {names.begin(), names.end()};
}

std::vector<std::string> host_key_values() {
  return {"ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
          "ecdsa-sha2-nistp521", "rsa-sha2-512",        "rsa-sha2-256"};
}

std::vector<std::string> auth_values() {
  return {"ssh-ed25519",
          "ecdsa-sha2-nistp256",
          "ecdsa-sha2-nistp384",
          "ecdsa-sha2-nistp521",
          "rsa-sha2",
          "certificate",
          "agent",
          "password",
          "keyboard-interactive"};
}

crypto::KeyType key_type_of(std::string_view algorithm) {
  if (algorithm.starts_with("rsa")) return crypto::KeyType::rsa;
  if (algorithm.ends_with("256")) return crypto::KeyType::ecdsa_p256;
  if (algorithm.ends_with("384")) return crypto::KeyType::ecdsa_p384;
  if (algorithm.ends_with("521")) return crypto::KeyType::ecdsa_p521;
  return crypto::KeyType::ed25519;
}

ssh::Algorithms only(std::vector<std::string> ssh::Algorithms::* list, std::string_view name) {
  ssh::Algorithms algorithms;
  algorithms.*list = {std::string(name)};
  return algorithms;
}

ssh::Algorithms ctr_with(std::string_view mac) {
  ssh::Algorithms algorithms = only(&ssh::Algorithms::macs, mac);
  algorithms.ciphers = {"aes128-ctr"};
  return algorithms;
}

std::string value_name(std::string_view value) {
  std::string name;
  for (const char c : value)
    name += std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c) : "_";
  return name;
}

}  // namespace streamkit::testing
