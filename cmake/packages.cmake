# What the library is built on. third_party/packages.txt says which Debian package each comes from.
#
# The targets are made global, so that a project that takes us in with add_subdirectory() can link
# our static libraries without finding these packages itself.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)
# Optional; there is one for x86-64 only.
if(STREAMKIT_IPSEC_MB STREQUAL "AUTO" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  find_package(IPSecMB 1.3)
elseif(STREAMKIT_IPSEC_MB AND NOT STREAMKIT_IPSEC_MB STREQUAL "AUTO")
  find_package(IPSecMB 1.3 REQUIRED)
endif()
if(STREAMKIT_LIBSSH STREQUAL "AUTO")
  find_package(libssh 0.10 CONFIG QUIET)
elseif(STREAMKIT_LIBSSH)
  find_package(libssh 0.10 CONFIG REQUIRED)
endif()
unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
