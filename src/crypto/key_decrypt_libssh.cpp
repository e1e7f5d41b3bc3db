// libssh reads the file with the passphrase and writes it without; what it wrote is read by our own
// parser. libssh is told never to prompt, and what it hands out is wiped.
#include "key_decrypt.hpp"

#include <openssl/err.h>

#include <cstring>
#include <libssh/libssh.h>
#include <memory>

namespace streamkit::crypto {
namespace {

struct FreeKey {
  void operator()(ssh_key key) const { ssh_key_free(key); }  // wipes it
};
using Key = std::unique_ptr<ssh_key_struct, FreeKey>;

extern "C" int streamkit_never_prompt(const char*, char*, std::size_t, int, int, void*) {
  return -1;
}

/// Text with a zero byte behind it, as C wants it. Wiped.
SecretBytes terminated(ByteView text) {
  SecretBytes out(text.size() + 1);
  if (!text.empty()) std::memcpy(out.span().data(), text.data(), text.size());
  return out;
}
const char* c_text(const SecretBytes& text) {
  return reinterpret_cast<const char*>(text.view().data());
}

}  // namespace

bool can_decrypt_openssh_keys() noexcept {
  return true;
}

Result<SecretBytes> decrypt_openssh_key(std::string_view block, const SecretBytes& passphrase) {
  const Error wrong(Errc::bad_key, "a wrong passphrase or a damaged key file");
  const ByteView words = passphrase.view();
  if (words.empty() || std::memchr(words.data(), 0, words.size())) return wrong;
  ssh_key read = nullptr;
  const int imported =
      ssh_pki_import_privkey_base64(c_text(terminated(as_bytes(block))), c_text(terminated(words)),
                                    &streamkit_never_prompt, nullptr, &read);
  const Key key(read);
  ERR_clear_error();  // libssh leaves what libcrypto said to it
  if (imported != SSH_OK || !key) return wrong;
  char* written = nullptr;
  // Somebody to ask would mean that it is to be encrypted.
  const int exported =
      ssh_pki_export_privkey_base64(key.get(), nullptr, nullptr, nullptr, &written);
  ERR_clear_error();
  if (exported != SSH_OK || !written)
    return Error(Errc::crypto, "libssh cannot hand out the key that it has read");
  const std::size_t size = std::strlen(written);
  SecretBytes text(std::as_bytes(std::span<const char>(written, size)));
  wipe(std::as_writable_bytes(std::span<char>(written, size)));
  ssh_string_free_char(written);
  return text;
}

}  // namespace streamkit::crypto
