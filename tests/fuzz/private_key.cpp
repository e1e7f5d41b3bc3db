// Private key files: openssh-key-v1 and PEM. A key that is read can be written and read again, is
// the same key then, and is never asked a passphrase of more than once.
#include <streamkit/crypto/key.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;
using crypto::PrivateKey;

// libssh, which decrypts OpenSSH's own form, leaks a few bytes on damaged files.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libssh.so";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
  int asked = 0;
  const auto key = PrivateKey::from_text(text, [&asked] {
    ++asked;
    return Result<SecretBytes>(SecretBytes(as_bytes("secret")));
  });
  require(asked <= 1);
  if (asked == 1) require(PrivateKey::from_text(text).error().is(Errc::key_encrypted));
  if (!key) return 0;
  require(!key->public_key().is_empty());
  const SecretBytes written = key->to_text("comment").value();
  const auto again = PrivateKey::from_text(as_text(written.view()));
  // libcrypto takes PEM whose numbers do not fit together (foreign primes, another point);
  // openssh-key-v1 is ours, and stricter.
  if (!again) {
    require(again.error().is(Errc::bad_key));
    require(!text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    return 0;
  }
  require(again->public_key() == key->public_key());
  return 0;
}
