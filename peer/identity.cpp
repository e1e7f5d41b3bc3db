// The key we are ourselves: read from its file, or made there once. Text forms are crypto's, the
// care that files need is io's; this decides only which comes when.
#include <streamkit/io/file.hpp>
#include <streamkit/peer/trust.hpp>

namespace streamkit {
namespace {

Error about(const std::string& path, const Error& error) {
  const std::string message = error.message();
  if (message.find(path) != std::string::npos) return error;
  return Error(error.code(), path + ": " + message);
}

/// The file that a new private key gets beside it, for people to hand on.
Result<void> write_public_half(const std::string& path, const crypto::PrivateKey& key) {
  const std::string text = key.public_key().text() + " streamkit\n";
  const Result<void> written = io::create_file(path, as_bytes(text), 0644);
  if (!written) return about(path, written.error());
  return {};
}

Result<crypto::PrivateKey> make_identity(const std::string& path,
                                         const crypto::PrivateKey::Passphrase& passphrase) {
  Result<crypto::PrivateKey> key = crypto::PrivateKey::generate(crypto::KeyType::ed25519);
  if (!key) return about(path, key.error());
  const Result<SecretBytes> text = key->to_text("streamkit");
  if (!text) return about(path, text.error());
  const Result<void> made = io::create_file(path, text->view(), 0600);
  if (!made) {
    // Another process may have been quicker; its file is whole from the moment it has its name.
    if (made.error().is(Errc::bad_file) && io::file_exists(path))
      return load_identity(path, passphrase);
    return about(path, made.error());
  }
  const Result<void> beside = write_public_half(path + ".pub", *key);
  if (!beside) return beside.error();
  return key;
}

}  // namespace

Result<crypto::PrivateKey> load_identity(const std::string& path,
                                         const crypto::PrivateKey::Passphrase& passphrase) {
  if (path.empty()) return Error(Errc::usage, "the path of the identity file is empty");
  const Result<SecretBytes> text = io::read_private_file(path);
  if (!text) return about(path, text.error());
  Result<crypto::PrivateKey> key = crypto::PrivateKey::from_text(as_text(text->view()), passphrase);
  if (!key) return about(path, key.error());
  return key;
}

Result<crypto::Certificate> load_certificate(const std::string& path) {
  const Result<std::string> text = io::read_file(path);
  if (!text) return about(path, text.error());
  Result<crypto::Certificate> certificate = crypto::Certificate::from_text(*text);
  if (!certificate) return about(path, certificate.error());
  return certificate;
}

Result<crypto::PrivateKey> load_or_create_identity(
    const std::string& path, const crypto::PrivateKey::Passphrase& passphrase) {
  if (path.empty()) return Error(Errc::usage, "the path of the identity file is empty");
  // In this order: whoever makes an identity writes the .pub last.
  const bool has_public_half = io::file_exists(path + ".pub");
  if (io::file_exists(path)) return load_identity(path, passphrase);
  if (has_public_half)
    return Error(Errc::bad_file, path + ": there is a " + path +
                                     ".pub, but its private key is missing; put the key back, or "
                                     "remove the .pub to have a new key made");
  return make_identity(path, passphrase);
}

}  // namespace streamkit
