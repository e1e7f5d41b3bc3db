include(GNUInstallDirs)

# Declares one room of the house as a static library.
#
#   streamkit_floor(<name> SOURCES <cpp...> HEADERS <public hpp...>
#                   [USES <lower rooms...>] [LINKS <private targets...>])
#
# Public headers live under include/streamkit/<name>/. Everything beside the sources is private: the
# room's own folder is on its own include path only, so other rooms cannot see it.
#
# LINKS that are nothing but headers (Boost, nlohmann/json) are needed to build the room and not
# to use it: an installed Streamkit does not ask its users for them.
function(streamkit_floor name)
  cmake_parse_arguments(PARSE_ARGV 1 F "" "" "SOURCES;HEADERS;USES;LINKS")
  list(TRANSFORM F_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/streamkit/${name}/")
  list(TRANSFORM F_USES PREPEND streamkit::)

  add_library(streamkit_${name} STATIC ${F_SOURCES})
  add_library(streamkit::${name} ALIAS streamkit_${name})
  target_sources(streamkit_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${F_HEADERS})
  target_include_directories(streamkit_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_features(streamkit_${name} PUBLIC cxx_std_20)
  target_link_libraries(streamkit_${name} PUBLIC ${F_USES})
  foreach(link IN LISTS F_LINKS)
    get_target_property(type ${link} TYPE)
    if(type STREQUAL INTERFACE_LIBRARY AND NOT link STREQUAL Threads::Threads)
      target_link_libraries(streamkit_${name} PRIVATE $<BUILD_INTERFACE:${link}>)
    else()
      target_link_libraries(streamkit_${name} PRIVATE ${link})
    endif()
  endforeach()
  set_target_properties(streamkit_${name} PROPERTIES
    EXPORT_NAME ${name}
    CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    VERIFY_INTERFACE_HEADER_SETS ON)
  set_property(GLOBAL APPEND PROPERTY STREAMKIT_FLOORS ${name})
endfunction()

# Puts the roof on: streamkit::streamkit, which is all rooms at once.
function(streamkit_roof)
  get_property(floors GLOBAL PROPERTY STREAMKIT_FLOORS)
  list(TRANSFORM floors PREPEND streamkit::)
  add_library(streamkit_all INTERFACE)
  add_library(streamkit::streamkit ALIAS streamkit_all)
  set_target_properties(streamkit_all PROPERTIES EXPORT_NAME streamkit)
  target_link_libraries(streamkit_all INTERFACE ${floors})
endfunction()
