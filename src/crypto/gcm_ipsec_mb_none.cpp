// What stands in for gcm_ipsec_mb.cpp where ipsec-mb is not built in.
#include "gcm_cipher.hpp"

namespace streamkit::crypto {

std::unique_ptr<GcmCipher> make_ipsec_mb_gcm(ByteView) {
  return nullptr;
}
bool ipsec_mb_is_available() noexcept {
  return false;
}
bool ipsec_mb_is_fast() noexcept {
  return false;
}
std::string_view ipsec_mb_implementation() noexcept {
  return {};
}

}  // namespace streamkit::crypto
