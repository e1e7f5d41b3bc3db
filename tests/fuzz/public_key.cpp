// Public keys as text (the line of a .pub file) and as blobs (RFC 4253 section 6.6). A
// key that is read has one text and one blob.
#include <streamkit/crypto/key.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;
using crypto::PublicKey;

namespace {

void check(const PublicKey& key) {
  require(!key.is_empty());
  require(PublicKey::from_text(key.text()).value() == key);
  require(PublicKey::from_blob(key.blob()).value() == key);
  require(key.fingerprint().starts_with("SHA256:") && key.fingerprint().size() == 50);
  require(key.text().starts_with(crypto::key_type_name(key.type())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (const auto key = PublicKey::from_text(as_text(in))) {
    check(*key);
    // No signature verifies by accident.
    for (const std::string_view algorithm : crypto::signature_algorithms())
      require(!key->verify(algorithm, in, in));
  }
  if (const auto key = PublicKey::from_blob(in)) {
    check(*key);
    require(to_bytes(key->blob()) == to_bytes(in));
  }
  return 0;
}
