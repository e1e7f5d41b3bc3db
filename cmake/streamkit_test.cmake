include(GoogleTest)

# Declares the tests of one room: one executable `<name>_test`, each TEST a ctest of its own.
#
#   streamkit_test(<name> SOURCES <cpp...> [USES <targets...>] [PROPERTIES <ctest properties...>])
function(streamkit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 T "" "" "SOURCES;USES;PROPERTIES")
  add_executable(${name}_test ${T_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${T_USES} fmt::fmt GTest::gmock GTest::gtest_main)
  target_include_directories(${name}_test PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_features(${name}_test PRIVATE cxx_std_20)
  target_compile_definitions(${name}_test PRIVATE STREAMKIT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 120 ${T_PROPERTIES})
endfunction()
