// When ipsec-mb is not to be used, and that nothing leaves in clear when it refuses to work. The
// linker puts the doubles below between the room and the library (--wrap, see CMakeLists.txt).
#include "aes_gcm.hpp"
#include "gcm_ipsec_mb.hpp"
#include "suites.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace {

bool no_memory = false;
bool init_does_nothing = false;
std::uint64_t features_gone = 0;  // what the CPU, or the build of the library, has not

}  // namespace

// NOLINTBEGIN: the names are the linker's
extern "C" {
IMB_MGR* __real_alloc_mb_mgr(uint64_t flags);
IMB_MGR* __wrap_alloc_mb_mgr(uint64_t flags);
IMB_MGR* __wrap_alloc_mb_mgr(uint64_t flags) {
  return no_memory ? nullptr : __real_alloc_mb_mgr(flags);
}
void __real_init_mb_mgr_auto(IMB_MGR* manager, IMB_ARCH* arch);
void __wrap_init_mb_mgr_auto(IMB_MGR* manager, IMB_ARCH* arch);
void __wrap_init_mb_mgr_auto(IMB_MGR* manager, IMB_ARCH* arch) {
  if (!init_does_nothing) __real_init_mb_mgr_auto(manager, arch);
  manager->features &= ~features_gone;
}
uint64_t __real_imb_get_feature_flags(void);
uint64_t __wrap_imb_get_feature_flags(void);
uint64_t __wrap_imb_get_feature_flags(void) {
  return __real_imb_get_feature_flags() & ~features_gone;
}
}
// NOLINTEND

namespace streamkit::crypto {
namespace {

using namespace test;

class IpsecMbTest : public ::testing::Test {
 protected:
  void TearDown() override {
    no_memory = init_does_nothing = false;
    features_gone = 0;
  }
};

TEST_F(IpsecMbTest, works_wherever_the_cpu_has_aes) {
  EXPECT_EQ(is_available(AesGcm::ipsec_mb), is_runnable(imb_get_feature_flags()));
}

TEST_F(IpsecMbTest, is_not_used_without_what_it_needs_of_the_cpu) {
  for (const std::uint64_t feature : {IMB_FEATURE_AESNI, IMB_FEATURE_PCLMULQDQ}) {
    features_gone = feature;
    EXPECT_FALSE(load_ipsec_mb()) << feature;
  }
  for (const std::uint64_t feature :
       {IMB_FEATURE_VAES, IMB_FEATURE_VPCLMULQDQ, IMB_FEATURE_AVX512F}) {
    EXPECT_TRUE(is_fast(IMB_CPUFLAGS_AVX512_T2));
    EXPECT_FALSE(is_fast(IMB_CPUFLAGS_AVX512_T2 & ~feature)) << feature;
  }
}

TEST_F(IpsecMbTest, is_not_used_when_it_was_built_without_its_safe_options_or_fails_its_own_test) {
  for (const std::uint64_t feature :
       {IMB_FEATURE_SAFE_DATA, IMB_FEATURE_SAFE_PARAM, IMB_FEATURE_SELF_TEST_PASS}) {
    features_gone = feature;
    EXPECT_FALSE(load_ipsec_mb()) << feature;
  }
  features_gone = 0;
  init_does_nothing = true;
  EXPECT_FALSE(load_ipsec_mb());
}

TEST_F(IpsecMbTest, is_not_used_without_memory_for_its_manager) {
  no_memory = true;
  EXPECT_FALSE(load_ipsec_mb());
}

/// In a process of its own, because what was found once is kept.
int exit_code_of_a_process_without_memory() {
  no_memory = true;
  const Suite suite{find_cipher("aes128-gcm@openssh.com"), nullptr};
  const auto sealer = make_sealer(*suite.cipher, nullptr, keys_for(suite));
  const auto forced = make_sealer(*suite.cipher, nullptr, keys_for(suite), AesGcm::ipsec_mb);
  const bool falls_back = sealer && (*sealer)->implementation() == libcrypto_implementation() &&
                          implementation_of(AesGcm::automatic) == libcrypto_implementation();
  const bool says_so = fails_with(forced, Errc::usage) && !is_available(AesGcm::ipsec_mb);
  return falls_back && says_so ? EXIT_SUCCESS : EXIT_FAILURE;
}

TEST_F(IpsecMbTest, automatic_falls_back_to_libcrypto) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(exit_code_of_a_process_without_memory()),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

/// What SAFE_PARAM makes of every call when it dislikes an argument: nothing.
IpsecMbGcmFunctions functions_without_effect() {
  return {
      [](const void*, gcm_key_data*) {},
      [](const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*, std::uint64_t,
         const std::uint8_t*, const std::uint8_t*, std::uint64_t, std::uint8_t*, std::uint64_t) {},
      [](const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*, std::uint64_t,
         const std::uint8_t*, const std::uint8_t*, std::uint64_t, std::uint8_t*, std::uint64_t) {},
      [](const gcm_key_data*, gcm_context_data*, const std::uint8_t*, const std::uint8_t*,
         std::uint64_t) {},
      [](const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
         std::uint64_t) {},
      [](const gcm_key_data*, gcm_context_data*, std::uint8_t*, std::uint64_t) {}};
}

TEST_F(IpsecMbTest, b7_a_call_without_effect_is_an_error_and_leaves_nothing_in_clear) {
  std::mt19937 generator(31);
  const Bytes key(16), iv(kGcmNonceSize);
  const Bytes clear = clear_packet(generator, 44);
  const auto gcm = [&] { return make_ipsec_mb_gcm(functions_without_effect(), key); };
  for (const std::size_t pieces : {1u, 2u}) {
    SCOPED_TRACE(pieces);
    Bytes packet = clear;
    packet.resize(clear.size() + kGcmTagSize, std::byte{0x5a});
    const ByteView in_place[] = {ByteView(packet).first(pieces == 1 ? clear.size() : 20),
                                 ByteView(packet).subspan(20, clear.size() - 20)};
    const auto sealer = make_gcm_sealer(gcm(), iv, 10);
    EXPECT_TRUE(
        fails_with(sealer->seal(0, std::span(in_place).first(pieces), packet), Errc::crypto));
    EXPECT_EQ(packet, Bytes(packet.size()));
  }
  for (const std::byte tag : {std::byte{0}, std::byte{0xff}, std::byte{0x5a}}) {
    Bytes packet = clear;
    packet.resize(clear.size() + kGcmTagSize, tag);
    const auto opener = make_gcm_opener(gcm(), iv);
    ASSERT_TRUE(opener->read_length(0, packet));
    EXPECT_TRUE(fails_with(opener->open(0, packet), Errc::mac));
  }
}

}  // namespace
}  // namespace streamkit::crypto
