// Certificates made field by field, also such as ssh-keygen would not make.
#pragma once

#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/certificate.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace streamkit::testing {

struct CertificateFields {
  std::uint32_t type = 1;
  std::uint64_t serial = 7;
  std::string key_id = "made by the test";
  std::vector<std::string> principals = {"alice"};
  std::uint64_t valid_after = 0, valid_before = ~std::uint64_t(0);
  /// Name and text; an empty text stands for no data.
  std::vector<std::pair<std::string, std::string>> critical_options = {}, extensions = {};
  std::string signature_algorithm = {};  ///< empty: the best that the authority has
  Bytes authority = {};                  ///< in place of the authority's own blob
};

inline Bytes packed(const std::vector<std::pair<std::string, std::string>>& options) {
  Bytes out;
  for (const auto& [name, text] : options) {
    Bytes data;
    if (!text.empty()) wire::Writer(data).string(text);
    wire::Writer(out).string(name).string(ByteView(data));
  }
  return out;
}

/// The blob, signed with `authority`.
inline Bytes certificate_blob(const crypto::PublicKey& key, const crypto::PrivateKey& authority,
                              const CertificateFields& fields = {}) {
  const std::string_view name = crypto::key_type_name(key.type());
  Bytes names;
  for (const std::string& principal : fields.principals) wire::Writer(names).string(principal);
  Bytes out;
  wire::Writer to(out);
  to.string(crypto::certificate_algorithm(name)).string("a nonce that is not random");
  to.bytes(key.blob().subspan(4 + name.size()));
  to.u64(fields.serial).u32(fields.type).string(fields.key_id).string(ByteView(names));
  to.u64(fields.valid_after).u64(fields.valid_before);
  to.string(ByteView(packed(fields.critical_options))).string(ByteView(packed(fields.extensions)));
  to.string("");
  to.string(fields.authority.empty() ? authority.public_key().blob() : ByteView(fields.authority));
  std::string algorithm = fields.signature_algorithm;
  if (algorithm.empty())
    algorithm = crypto::signature_algorithms(authority.public_key().type()).front();
  to.string(ByteView(authority.sign(algorithm, out).value()));
  return out;
}

inline crypto::Certificate certify(const crypto::PublicKey& key,
                                   const crypto::PrivateKey& authority,
                                   const CertificateFields& fields = {}) {
  return crypto::Certificate::from_blob(certificate_blob(key, authority, fields)).value();
}

}  // namespace streamkit::testing
