# Everything that comes from outside, in one place. All of it is packaged by Debian (scripts/install-deps).
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(Threads REQUIRED)
find_package(tomlplusplus QUIET)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBVIRT REQUIRED IMPORTED_TARGET libvirt)      # headers only: loaded with dlopen
pkg_check_modules(LIBSYSTEMD REQUIRED IMPORTED_TARGET libsystemd)  # headers only: loaded with dlopen
pkg_check_modules(LIBNL REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(LIBSECCOMP REQUIRED IMPORTED_TARGET libseccomp)
find_library(LIBSECCOMP_ARCHIVE libseccomp.a REQUIRED)  # husk's: a shared library costs each call start-up time
if(BUILD_TESTING)
  find_package(Catch2 3 REQUIRED)
  include(Catch)  # catch_discover_tests
endif()
