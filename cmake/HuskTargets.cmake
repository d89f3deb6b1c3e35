# husk_options: warnings and sanitizers, linked PRIVATE by every target of ours.
# husk_library(NAME SOURCES ... DEPENDS ...) makes the static library husk_NAME, alias husk::NAME.
# unit-tests: every test program that needs no guest; what scripts/test builds with sanitizers, and only so: a
#   plain build of the release leaves them out.
# husk_test(NAME [RELEASE] SOURCES ... DEPENDS ... LABELS ...) makes the Catch2 program test_NAME and its ctest
#   entries: one for each test case, or, with LABELS, one for the program (its cases share a VM). RELEASE: is about
#   what has no sanitizers, and so belongs to the release. Skipped ones count as such.

option(HUSK_WERROR "Warnings are errors" OFF)
option(HUSK_FUZZ "Build the fuzz targets (test/fuzz) instead of the tests, with clang; wants HUSK_SANITIZE" OFF)
option(HUSK_SANITIZE "Build with ASan and UBSan (host programs and tests; the agent and the shim are static and stay without)" OFF)

add_library(husk_options INTERFACE)
target_compile_options(husk_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wformat=2 -Wimplicit-fallthrough
  # -Wrestrict: g++ 12 sees an overlap in every "text" + std::string (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op -Wno-restrict>
  $<$<BOOL:${HUSK_WERROR}>:-Werror>)
target_compile_definitions(husk_options INTERFACE HUSK_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
# -Wnull-dereference and -Wmaybe-uninitialized see ghosts in inlined library code once sanitizers are on.
if(HUSK_SANITIZE)
  target_compile_options(husk_options INTERFACE -Wno-null-dereference $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()

# Libraries that go into the static programs (agent, shim) as well are built twice where sanitizers
# are on: husk_NAME with them, husk_NAME_plain without, since ASan cannot be linked statically.
function(husk_sanitize target)
  if(HUSK_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
      $<$<BOOL:${HUSK_FUZZ}>:-fsanitize=fuzzer-no-link,float-cast-overflow>)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

function(husk_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(husk_${name} STATIC ${arg_SOURCES})
  add_library(husk::${name} ALIAS husk_${name})
  target_include_directories(husk_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(husk_${name} PRIVATE husk_options ${arg_PRIVATE_DEPENDS} PUBLIC ${arg_DEPENDS})
  husk_sanitize(husk_${name})
  if(HUSK_SANITIZE)
    add_library(husk_${name}_plain STATIC EXCLUDE_FROM_ALL ${arg_SOURCES})
    target_include_directories(husk_${name}_plain PUBLIC ${CMAKE_SOURCE_DIR})
    string(REGEX REPLACE "husk::([a-z]+)" "husk::\\1_plain" plain "${arg_DEPENDS}")
    target_link_libraries(husk_${name}_plain PRIVATE husk_options ${arg_PRIVATE_DEPENDS} PUBLIC ${plain})
    add_library(husk::${name}_plain ALIAS husk_${name}_plain)
  else()
    add_library(husk::${name}_plain ALIAS husk_${name})
  endif()
endfunction()

# A static program for the guest or the shim: no sanitizer, size matters.
function(husk_static_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE husk_options ${arg_DEPENDS})
  target_link_options(${name} PRIVATE -static -Wl,--gc-sections $<$<CONFIG:Release>:-s>)
endfunction()

add_custom_target(unit-tests)
function(husk_test name)
  cmake_parse_arguments(arg "RELEASE" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE husk_options ${arg_DEPENDS} Catch2::Catch2WithMain)
  husk_sanitize(test_${name})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  # 4: what Catch2 exits with when every test case that it ran was skipped.
  set(properties TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 4)
  if(arg_LABELS)
    add_test(NAME ${name} COMMAND test_${name} --durations no)
    set_tests_properties(${name} PROPERTIES ${properties} LABELS "${arg_LABELS}")
  else()
    if(arg_RELEASE)
      list(APPEND properties LABELS release)
    else()
      add_dependencies(unit-tests test_${name})
      if(NOT HUSK_SANITIZE)
        set_target_properties(test_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
      endif()
    endif()
    catch_discover_tests(test_${name} TEST_PREFIX "${name}: " DISCOVERY_MODE PRE_TEST PROPERTIES ${properties})
  endif()
endfunction()
