// The table of key exchange methods, in our order of preference. There is no finite-field
// Diffie-Hellman: its cost to a server is what unauthenticated clients would choose.
#include "ecdh.hpp"
#include "mlkem.hpp"
#include "x25519.hpp"

#include <streamkit/crypto/kex_method.hpp>

#include <array>

namespace streamkit::crypto {
namespace {

struct Row {
  std::string_view name;
  std::unique_ptr<KexMethod> (*make)();
  bool (*is_available)() noexcept;
};

bool always() noexcept {
  return true;
}

constexpr std::array<Row, 6> kMethods = {{
    {"mlkem768x25519-sha256", &make_mlkem768_x25519_kex, &has_mlkem768},
    {"curve25519-sha256", &make_x25519_kex, &always},
    {"curve25519-sha256@libssh.org", &make_x25519_kex, &always},
    {"ecdh-sha2-nistp256", [] { return make_ecdh_kex(kP256); }, &always},
    {"ecdh-sha2-nistp384", [] { return make_ecdh_kex(kP384); }, &always},
    {"ecdh-sha2-nistp521", [] { return make_ecdh_kex(kP521); }, &always},
}};

}  // namespace

const std::vector<std::string_view>& kex_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const Row& row : kMethods)
      if (row.is_available()) out.push_back(row.name);
    return out;
  }();
  return names;
}

Result<std::unique_ptr<KexMethod>> make_kex_method(std::string_view name) {
  for (const std::string_view known : kex_names())
    if (known == name)
      for (const Row& row : kMethods)
        if (row.name == name) return row.make();
  return Error(Errc::negotiation, "no such key exchange method in this build");
}

}  // namespace streamkit::crypto
