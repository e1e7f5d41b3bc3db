// PublicKey and PrivateKey: owners around libcrypto's keys. Blobs are read in key_blob, signatures
// made and verified in signature, text forms in key_file.
#include "key_blob.hpp"
#include "key_file.hpp"
#include "signature.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/crypto/key.hpp>

#include <algorithm>

namespace streamkit::crypto {
namespace {

/// A line of a .pub file: the base64 of the largest key takes 3 KiB.
constexpr std::size_t kMaxPublicKeyText = 16 * 1024;

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

std::string_view take_word(std::string_view& line) noexcept {
  const auto end = std::find_if(line.begin(), line.end(), is_blank);
  const std::string_view word = line.substr(0, static_cast<std::size_t>(end - line.begin()));
  line.remove_prefix(word.size());
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  return word;
}

Result<Pkey> generate_pkey(KeyType type, unsigned rsa_bits) {
  Pkey key;
  if (type == KeyType::ed25519) {
    key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  } else if (const Curve* curve = curve_of(type)) {
    key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve->group));
  } else {
    if (rsa_bits < kMinRsaBits || rsa_bits > kMaxRsaBits)
      return Error(Errc::usage, "an RSA key has 2048 to 16384 bits");
    key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(rsa_bits)));
  }
  if (!key) return evp_error("key generation");
  return key;
}

}  // namespace

std::string_view key_type_name(KeyType type) noexcept {
  switch (type) {
    case KeyType::ed25519:
      return "ssh-ed25519";
    case KeyType::ecdsa_p256:
      return "ecdsa-sha2-nistp256";
    case KeyType::ecdsa_p384:
      return "ecdsa-sha2-nistp384";
    case KeyType::ecdsa_p521:
      return "ecdsa-sha2-nistp521";
    case KeyType::rsa:
      return "ssh-rsa";
  }
  return {};
}

struct PublicKey::Impl {
  KeyType type;
  Bytes blob;
  std::string fingerprint;
  Pkey key;
};

Result<PublicKey> PublicKey::from_blob(ByteView blob) {
  Result<ParsedKey> parsed = parse_public_blob(blob);
  if (!parsed) return parsed.error();
  const Result<Bytes> hash = digest(Hash::sha256, {blob});
  if (!hash) return hash.error();
  std::string fingerprint = "SHA256:";
  fingerprint += base64_encode(*hash, false);
  PublicKey out;
  out.impl_ = std::make_shared<const Impl>(
      Impl{parsed->type, to_bytes(blob), std::move(fingerprint), std::move(parsed->key)});
  return out;
}

Result<KeyLine> read_key_line(std::string_view line, std::size_t max) {
  if (line.size() > max)
    return Error(Errc::bad_key, "a public key line must not be longer than " +
                                    std::to_string(max / 1024) + " KiB");
  while (!line.empty() && (is_blank(line.back()) || line.back() == '\n' || line.back() == '\r'))
    line.remove_suffix(1);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  if (line.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos)
    return Error(Errc::bad_key, "a public key is one line of text");
  const std::string_view type = take_word(line);
  const std::string_view digits = take_word(line);
  Result<Bytes> blob = base64_decode(digits);
  if (type.empty() || digits.empty() || !blob)
    return Error(Errc::bad_key, "not a public key line: it has a type, base64 and a comment");
  return KeyLine{type, std::move(*blob)};
}

Result<PublicKey> PublicKey::from_text(std::string_view line) {
  const Result<KeyLine> read = read_key_line(line, kMaxPublicKeyText);
  if (!read) return read.error();
  Result<PublicKey> key = from_blob(read->blob);
  if (key && read->type != key_type_name(key->type()))
    return Error(Errc::bad_key, "a public key line that names another type than its key has");
  return key;
}

KeyType PublicKey::type() const noexcept {
  return impl_ ? impl_->type : KeyType::ed25519;
}
ByteView PublicKey::blob() const noexcept {
  return impl_ ? ByteView(impl_->blob) : ByteView();
}
std::string PublicKey::fingerprint() const {
  return impl_ ? impl_->fingerprint : std::string();
}

std::string PublicKey::text() const {
  if (!impl_) return {};
  std::string line(key_type_name(impl_->type));
  line += ' ';
  return line += base64_encode(impl_->blob);
}

Result<void> PublicKey::verify(std::string_view algorithm, ByteView data,
                               ByteView signature) const {
  if (!impl_) return Error(Errc::usage, "verify: there is no key");
  return verify_signature(impl_->type, impl_->key.get(), algorithm, data, signature);
}

bool operator==(const PublicKey& a, const PublicKey& b) noexcept {
  const ByteView x = a.blob(), y = b.blob();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

struct PrivateKey::Impl {
  PublicKey public_key;
  Pkey key;

  static Result<PrivateKey> adopt(Pkey key) {
    const Result<Bytes> blob = write_public_blob(key.get());
    if (!blob) return blob.error();
    Result<PublicKey> half = PublicKey::from_blob(*blob);
    if (!half) return half.error();
    PrivateKey out;
    out.impl_ = std::make_shared<const Impl>(Impl{std::move(*half), std::move(key)});
    return out;
  }
};

Result<PrivateKey> PrivateKey::generate(KeyType type, unsigned rsa_bits) {
  Result<Pkey> key = generate_pkey(type, rsa_bits);
  if (!key) return key.error();
  return Impl::adopt(std::move(*key));
}

Result<PrivateKey> PrivateKey::from_text(std::string_view text, const Passphrase& passphrase) {
  Result<Pkey> key = read_private_key(text, passphrase);
  if (!key) return key.error();
  return Impl::adopt(std::move(*key));
}

Result<SecretBytes> PrivateKey::to_text(std::string_view comment) const {
  if (!impl_) return Error(Errc::usage, "to_text: there is no key");
  return write_openssh_key(impl_->key.get(), comment);
}

const PublicKey& PrivateKey::public_key() const noexcept {
  static const PublicKey none;
  return impl_ ? impl_->public_key : none;
}

Result<Bytes> PrivateKey::sign(std::string_view algorithm, ByteView data) const {
  if (!impl_) return Error(Errc::usage, "sign: there is no key");
  Result<Bytes> signature =
      make_signature(impl_->public_key.type(), impl_->key.get(), algorithm, data);
  if (!signature) return signature;
  // A signature that went wrong can give the private key away, so it stays here. Ed25519 has one
  // signature for each message: making it again takes a third of the time of verifying it.
  if (impl_->public_key.type() == KeyType::ed25519) {
    const Result<Bytes> again = make_signature(KeyType::ed25519, impl_->key.get(), algorithm, data);
    if (!again) return again.error();
    if (*again != *signature)
      return Error(Errc::crypto, "signing gave two signatures of one message; arithmetic is faulty");
    return signature;
  }
  if (auto good = impl_->public_key.verify(algorithm, data, *signature); !good)
    return Error(Errc::crypto,
                 "signing gave a signature that does not verify; the private key is damaged");
  return signature;
}

}  // namespace streamkit::crypto
