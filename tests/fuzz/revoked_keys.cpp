// Lists of revoked keys: any file at all. What is read revokes what it names and goes on doing so
// when more is added; what is not read to its end is not read.
#include <streamkit/base/text.hpp>
#include <streamkit/peer/trust.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;

namespace {

constexpr const char* kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFUbmNUeAFUdpHJBKmHss0RjWsKv2HY5wEKFQuyUowZt";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::PublicKey key = crypto::PublicKey::from_text(kKey).value();
  const std::string file(as_text(std::as_bytes(std::span(data, size))));
  const auto revoked = RevokedKeys::parse(file);
  if (!revoked) {
    require(escape(revoked.error().message()) == revoked.error().message());
    return 0;
  }
  const bool is_revoked = revoked->has(key);
  const bool is_list = file.starts_with(std::string_view("SSHKRL\n\0", 8));
  const std::string more = is_list
                               ? std::string("\x02\0\0\0\x37\0\0\0\x33", 9) + to_string(key.blob())
                               : std::string("\n") + kKey;
  const auto with_more = RevokedKeys::parse(file + more);
  require(with_more.has_value() && with_more->has(key));
  require(RevokedKeys::parse(file).value().has(key) == is_revoked);
  require(!is_list || !RevokedKeys::parse(file + "x"));
  return 0;
}
