# Declares a fuzz target: <name>.cpp, which defines LLVMFuzzerTestOneInput.
#
#   streamkit_fuzz(<name> USES <targets...> [SOURCES <more cpp...>])
#
# With STREAMKIT_FUZZ (preset fuzz, clang) it becomes the libFuzzer program fuzz_<name>.
# Otherwise it becomes a test that replays the inputs kept in corpus/<name>/, with every compiler.
function(streamkit_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 F "" "" "USES;SOURCES")
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  add_executable(fuzz_${name} ${name}.cpp ${F_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${F_USES})
  target_include_directories(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_features(fuzz_${name} PRIVATE cxx_std_20)
  if(STREAMKIT_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    add_test(NAME fuzz.${name}.replays_its_corpus COMMAND fuzz_${name} "${corpus}")
    set_tests_properties(fuzz.${name}.replays_its_corpus PROPERTIES TIMEOUT 120)
  endif()
endfunction()
