// The arithmetic of one key exchange: an ephemeral key of ours, the other side's public value, the
// shared secret. The messages around it and the exchange hash are src/ssh/kex.
#pragma once

#include <streamkit/crypto/digest.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace streamkit::crypto {

/// One exchange, used once. Every public value of the other side is validated: exact length,
/// uncompressed point on the curve, no small-order or all-zero result; a bad one is Errc::key_exchange.
class KexMethod {
 public:
  virtual ~KexMethod() = default;
  virtual Hash hash() const noexcept = 0;
  /// As client: our public value, the blob of SSH_MSG_KEX_ECDH_INIT.
  virtual Result<Bytes> init() = 0;
  /// As client: the server's blob in; K as it enters the exchange hash, with its length, out.
  virtual Result<SecretBytes> finish(ByteView server_blob) = 0;
  struct Response {
    Bytes blob;             ///< for SSH_MSG_KEX_ECDH_REPLY
    SecretBytes shared_secret;
  };
  /// As server: the client's blob in.
  virtual Result<Response> respond(ByteView client_blob) = 0;
};

/// mlkem768x25519-sha256 is there only where libcrypto has ML-KEM at run time (OpenSSL 3.5).
const std::vector<std::string_view>& kex_names();
/// Errc::negotiation for a name that is not in kex_names().
Result<std::unique_ptr<KexMethod>> make_kex_method(std::string_view name);

}  // namespace streamkit::crypto
