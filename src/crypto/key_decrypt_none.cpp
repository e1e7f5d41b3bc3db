// What stands in for key_decrypt_libssh.cpp where libssh is not built in.
#include "key_decrypt.hpp"

namespace streamkit::crypto {

bool can_decrypt_openssh_keys() noexcept {
  return false;
}
Result<SecretBytes> decrypt_openssh_key(std::string_view, const SecretBytes&) {
  return Errc::key_encrypted;
}

}  // namespace streamkit::crypto
