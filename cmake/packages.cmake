# What the library is built on. third_party/packages.txt says which Debian package each comes from.
#
# The targets are made global, so that a project that takes us in with add_subdirectory() can link
# our static libraries without finding these packages itself.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)
unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
