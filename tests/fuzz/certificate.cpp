// Certificates as blobs and as the line of a -cert.pub file. One that is read has one blob, and
// every sentence about it is safe to print.
#include <streamkit/base/text.hpp>
#include <streamkit/crypto/certificate.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;
using crypto::Certificate;
using crypto::CertificateType;

namespace {

void check(const Certificate& certificate) {
  require(Certificate::from_text(certificate.text()).value() == certificate);
  require(Certificate::from_blob(certificate.blob()).value() == certificate);
  require(certificate.fits(certificate.key()));
  require(certificate.principals().size() <= crypto::kMaxCertificatePrincipals);
  require(escape(certificate.description()) == certificate.description());
  for (const auto* options : {&certificate.critical_options(), &certificate.extensions()}) {
    require(options->size() <= crypto::kMaxCertificateOptions);
    for (std::size_t i = 1; i < options->size(); ++i)
      require((*options)[i - 1].name < (*options)[i].name);
  }
  for (const CertificateType type : {CertificateType::user, CertificateType::host}) {
    const auto checked = certificate.check(1'800'000'000, type, "alice");
    if (!checked) require(escape(checked.error().message(), 4096) == checked.error().message());
    require(!checked || (certificate.type() == type && !certificate.principals().empty()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (const auto certificate = Certificate::from_text(as_text(in))) check(*certificate);
  if (const auto certificate = Certificate::from_blob(in)) {
    check(*certificate);
    require(to_bytes(certificate->blob()) == to_bytes(in));
  }
  return 0;
}
