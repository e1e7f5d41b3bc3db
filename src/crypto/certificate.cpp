// Certificates as OpenSSH's PROTOCOL.certkeys lays them out. The key inside is given to PublicKey
// as a blob of its own, so that it passes every check that a plain key passes, and so does the
// authority's.
#include "key_blob.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/certificate.hpp>

#include <algorithm>
#include <chrono>

namespace streamkit::crypto {
namespace {

constexpr std::string_view kSuffix = "-cert-v01@openssh.com";
/// A line of a -cert.pub file: the base64 of the longest blob, the type and a comment.
constexpr std::size_t kMaxCertificateText = kMaxCertificateSize / 3 * 4 + 16 * 1024;
constexpr std::size_t kMaxShownName = 64;

Error bad(std::string_view words) {
  return Error(Errc::bad_key, "a certificate " + std::string(words));
}

bool has_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

/// The certified key's fields, as the blob that the key has without a certificate.
Bytes read_plain_blob(wire::Reader& in, std::string_view type) {
  Bytes out;
  wire::Writer to(out);
  to.string(type);
  if (type == key_type_name(KeyType::ed25519)) {
    to.string(in.string());
  } else if (type == key_type_name(KeyType::rsa)) {
    const ByteView exponent = in.mpint();
    const ByteView modulus = in.mpint();
    to.mpint(exponent).mpint(modulus);
  } else {
    const ByteView curve = in.string();
    const ByteView point = in.string();
    to.string(curve).string(point);
  }
  return out;
}

Result<std::vector<std::string>> read_principals(ByteView list) {
  std::vector<std::string> out;
  for (wire::Reader in(list); !in.end();) {
    const std::string_view name = in.text();
    if (!in.ok() || has_nul(name)) return bad("has a malformed list of principals");
    if (out.size() == kMaxCertificatePrincipals) return bad("has more than 256 principals");
    out.emplace_back(name);
  }
  return out;
}

Result<std::vector<Certificate::Option>> read_options(ByteView list) {
  std::vector<Certificate::Option> out;
  for (wire::Reader in(list); !in.end();) {
    const std::string_view name = in.text();
    const ByteView data = in.string();
    if (!in.ok() || name.empty() || has_nul(name)) return bad("has a malformed list of options");
    if (!out.empty() && out.back().name >= name)
      return bad("has options out of order, or one twice");
    if (out.size() == kMaxCertificateOptions) return bad("has more than 256 options");
    out.push_back({std::string(name), to_bytes(data)});
  }
  return out;
}

/// A second as people write it, in UTC. Far beyond every calendar: the number.
std::string shown_time(std::uint64_t seconds) {
  constexpr std::uint64_t kYear9999 = 253402300800;
  if (seconds >= kYear9999) return "second " + std::to_string(seconds);
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  const auto digits = [](long number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return std::to_string(int(date.year())) + "-" + digits(unsigned(date.month())) + "-" +
         digits(unsigned(date.day())) + " " + digits(time.hours().count()) + ":" +
         digits(time.minutes().count()) + ":" + digits(time.seconds().count()) + " UTC";
}

std::string shown_list(const std::vector<std::string>& names) {
  constexpr std::size_t kEnough = 256;
  std::string out;
  for (const std::string& name : names) {
    if (out.size() > kEnough) return out + ", ...";
    out += (out.empty() ? "" : ", ") + escape(name, kMaxShownName);
  }
  return out;
}

}  // namespace

std::string certificate_algorithm(std::string_view algorithm) {
  return std::string(algorithm) += kSuffix;
}

bool is_certificate_algorithm(std::string_view name) noexcept {
  return name.ends_with(kSuffix);
}

std::string_view plain_algorithm(std::string_view name) noexcept {
  if (is_certificate_algorithm(name)) name.remove_suffix(kSuffix.size());
  return name;
}

const std::vector<std::string_view>& certificate_algorithms() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const std::string_view plain : signature_algorithms())
      out.push_back(certificate_algorithm(plain));
    return out;
  }();
  static const std::vector<std::string_view> views(names.begin(), names.end());
  return views;
}

struct Certificate::Impl {
  Bytes blob;
  PublicKey key, signature_key;
  CertificateType type{};
  std::uint64_t serial = 0, valid_after = 0, valid_before = 0;
  std::string key_id;
  std::vector<std::string> principals;
  std::vector<Option> critical_options, extensions;

  Result<void> read(ByteView from);
  Result<void> read_authority(ByteView authority, ByteView signed_part, ByteView signature);
};

Result<void> Certificate::Impl::read(ByteView from) {
  wire::Reader in(from);
  const std::string_view name = in.text();
  if (!is_certificate_algorithm(name))
    return bad("is of a type that is not known; it must end in -cert-v01@openssh.com");
  in.string();  // nonce
  const Bytes plain = read_plain_blob(in, plain_algorithm(name));
  serial = in.u64();
  const std::uint32_t number = in.u32();
  const std::string_view id = in.text();
  const ByteView names = in.string();
  valid_after = in.u64();
  valid_before = in.u64();
  const ByteView critical = in.string(), others = in.string();
  in.string();  // reserved
  const ByteView authority = in.string();
  const ByteView signed_part = from.first(from.size() - in.rest().size());
  const ByteView signature = in.string();
  if (!in.end() || has_nul(id))
    return bad("is malformed: a field is missing, or something stands behind the last");
  if (number != 1 && number != 2) return bad("is for neither a user nor a host");
  type = CertificateType(number);
  key_id = id;
  if (auto verified = read_authority(authority, signed_part, signature); !verified) return verified;
  Result<PublicKey> certified = PublicKey::from_blob(plain);
  if (!certified) return certified.error();
  key = std::move(*certified);
  Result<std::vector<std::string>> read_names = read_principals(names);
  if (!read_names) return read_names.error();
  principals = std::move(*read_names);
  for (auto [list, options] :
       {std::pair(critical, &critical_options), std::pair(others, &extensions)}) {
    Result<std::vector<Option>> read = read_options(list);
    if (!read) return read.error();
    *options = std::move(*read);
  }
  blob = to_bytes(from);
  return {};
}

Result<void> Certificate::Impl::read_authority(ByteView authority, ByteView signed_part,
                                               ByteView signature) {
  // Otherwise certificates nest, as deep as somebody likes.
  if (is_certificate_algorithm(wire::Reader(authority).text()))
    return bad("is signed with a certificate; an authority is a plain key");
  Result<PublicKey> signer = PublicKey::from_blob(authority);
  if (!signer) return signer.error();
  signature_key = std::move(*signer);
  const std::string_view algorithm = wire::Reader(signature).text();
  const auto& allowed = signature_algorithms(signature_key.type());
  if (std::find(allowed.begin(), allowed.end(), algorithm) == allowed.end())
    return bad(
        "is signed with an algorithm that its authority's key may not use (no SHA-1: ssh-keygen -t "
        "rsa-sha2-512)");
  return signature_key.verify(algorithm, signed_part, signature);
}

Result<Certificate> Certificate::from_blob(ByteView blob) {
  if (blob.size() > kMaxCertificateSize) return bad("is longer than 64 KiB");
  auto impl = std::make_shared<Impl>();
  if (auto read = impl->read(blob); !read) return read.error();
  return Certificate(std::move(impl));
}

Result<Certificate> Certificate::from_text(std::string_view line) {
  const Result<KeyLine> read = read_key_line(line, kMaxCertificateText);
  if (!read) return read.error();
  if (wire::Reader(read->blob).text() != read->type)
    return bad("line names another type than its certificate has");
  return from_blob(read->blob);
}

ByteView Certificate::blob() const noexcept {
  return impl_->blob;
}
std::string Certificate::text() const {
  return std::string(wire::Reader(impl_->blob).text()) + ' ' + base64_encode(impl_->blob);
}
const PublicKey& Certificate::key() const noexcept {
  return impl_->key;
}
const PublicKey& Certificate::signature_key() const noexcept {
  return impl_->signature_key;
}
CertificateType Certificate::type() const noexcept {
  return impl_->type;
}
std::uint64_t Certificate::serial() const noexcept {
  return impl_->serial;
}
const std::string& Certificate::key_id() const noexcept {
  return impl_->key_id;
}
const std::vector<std::string>& Certificate::principals() const noexcept {
  return impl_->principals;
}
std::uint64_t Certificate::valid_after() const noexcept {
  return impl_->valid_after;
}
std::uint64_t Certificate::valid_before() const noexcept {
  return impl_->valid_before;
}
const std::vector<Certificate::Option>& Certificate::critical_options() const noexcept {
  return impl_->critical_options;
}
const std::vector<Certificate::Option>& Certificate::extensions() const noexcept {
  return impl_->extensions;
}

std::optional<std::string_view> Certificate::Option::text() const {
  wire::Reader in(data);
  const std::string_view text = in.text();
  return in.end() ? std::optional(text) : std::nullopt;
}

const Certificate::Option* Certificate::critical_option(std::string_view name) const noexcept {
  for (const Option& option : impl_->critical_options)
    if (option.name == name) return &option;
  return nullptr;
}

bool Certificate::has_extension(std::string_view name) const noexcept {
  return std::any_of(impl_->extensions.begin(), impl_->extensions.end(),
                     [&](const Option& option) { return option.name == name; });
}

bool operator==(const Certificate& a, const Certificate& b) noexcept {
  return a.impl_->blob == b.impl_->blob;
}

std::string Certificate::description() const {
  return std::string("the ") + (type() == CertificateType::user ? "user" : "host") +
         " certificate '" + escape(key_id(), kMaxShownName) + "' (serial " +
         std::to_string(serial()) + ", signed by " + signature_key().fingerprint() + ")";
}

Result<void> Certificate::check(std::uint64_t now, CertificateType wanted,
                                std::string_view principal) const {
  const auto denied = [this](std::string words) {
    return Error(Errc::auth_denied, description() + " " + words);
  };
  const bool for_user = wanted == CertificateType::user;
  if (type() != wanted)
    return denied(for_user ? "is not a user's; sign the key without -h"
                           : "is not a host's; sign the key with ssh-keygen -h");
  if (now < valid_after())
    return denied("is valid from " + shown_time(valid_after()) + ", and it is " + shown_time(now));
  if (now >= valid_before())
    return denied("was valid until " + shown_time(valid_before()) + ", and it is " +
                  shown_time(now) + "; have the key signed anew");
  for (const Option& option : critical_options()) {
    if (for_user && option.name == "verify-required")
      return denied(
          "asks for a hardware key that has verified its user (verify-required), which this is "
          "not");
    const bool known =
        for_user && (option.name == "force-command" || option.name == "source-address");
    if (!known)
      return denied("has the critical option '" + escape(option.name, kMaxShownName) +
                    "', which is not known here");
    if (!option.text()) return denied("has a malformed critical option '" + option.name + "'");
  }
  if (principals().empty())
    return denied("names no principals, so it is nobody's; sign the key with -n NAME");
  const bool named =
      std::any_of(principals().begin(), principals().end(), [&](const std::string& name) {
        return for_user ? name == principal : matches_pattern(name, principal);
      });
  if (!named)
    return denied("is for " + shown_list(principals()) + " and not for '" +
                  escape(principal, kMaxShownName) + "'");
  return {};
}

}  // namespace streamkit::crypto
