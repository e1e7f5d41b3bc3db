# What `cmake --install` puts down: the libraries, their public headers, a CMake package and a
# pkg-config file. The program is installed by src/cli.
include(CMakePackageConfigHelpers)

get_property(floors GLOBAL PROPERTY STREAMKIT_FLOORS)
list(TRANSFORM floors PREPEND streamkit_ OUTPUT_VARIABLE floor_targets)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/streamkit)

install(TARGETS ${floor_targets} streamkit_all EXPORT streamkitTargets FILE_SET HEADERS)
if(EXISTS "${PROJECT_SOURCE_DIR}/include/streamkit/streamkit.hpp")
  install(FILES "${PROJECT_SOURCE_DIR}/include/streamkit/streamkit.hpp"
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/streamkit)
endif()
install(EXPORT streamkitTargets NAMESPACE streamkit:: DESTINATION ${package_folder})

write_basic_package_version_file(streamkitConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/streamkitConfig.cmake.in" streamkitConfig.cmake
  INSTALL_DESTINATION ${package_folder})
install(FILES "${PROJECT_BINARY_DIR}/streamkitConfig.cmake"
              "${PROJECT_BINARY_DIR}/streamkitConfigVersion.cmake"
  DESTINATION ${package_folder})

# A linker takes static libraries from top to bottom: each room before the rooms that it uses.
set(pkgconfig_libraries "")
foreach(floor IN LISTS floors)
  string(PREPEND pkgconfig_libraries " -lstreamkit_${floor}")
endforeach()
set(pkgconfig_private "")
if(IPSecMB_FOUND)
  install(FILES "${PROJECT_SOURCE_DIR}/third_party/FindIPSecMB.cmake" DESTINATION ${package_folder})
  set(pkgconfig_private " ${IPSecMB_LIBRARY}")  # it has no pkg-config file that we could require
endif()
if(libssh_FOUND)
  string(APPEND pkgconfig_private " -lssh")
endif()
file(RELATIVE_PATH pkgconfig_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")  # so that the tree can be moved
string(REGEX REPLACE "/$" "" pkgconfig_up "${pkgconfig_up}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/streamkit.pc.in" streamkit.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/streamkit.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
