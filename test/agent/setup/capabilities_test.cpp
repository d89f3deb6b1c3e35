// SPDX-License-Identifier: Apache-2.0
// The sets as the kernel shows them; the names alone are in security_test.cpp.
#include "agent/setup/capabilities.hpp"

#include <sys/prctl.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "lib/base/log.hpp"
#include "test/agent/setup/in_child.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;

namespace {

/// Inheritable, permitted, effective, bounding, ambient.
std::string sets_after(const oci::Capabilities& wanted, bool as_user = false) {
  return in_child([&] {
    apply_bounding_set(wanted);
    if (as_user) {
      check_sys(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities");
      check_sys(::setresuid(65534, 65534, 65534), "setuid");
    }
    apply_capabilities(wanted);
    std::string sets;
    for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      const std::string line = status_line(name);
      const std::size_t digit = line.find_first_not_of('0');
      sets += (sets.empty() ? "" : " ") + (digit == std::string::npos ? "0" : line.substr(digit));
    }
    return sets;
  });
}

const std::string cap_chown = "CAP_CHOWN", cap_kill = "CAP_KILL",
                  cap_bpf = "CAP_BPF";  // bits 0, 5 and 39

}  // namespace

TEST_CASE("capabilities: each set is what is listed for it", "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(sets_after({}) == "0 0 0 0 0");
  CHECK(sets_after({.bounding = {cap_chown, cap_kill, cap_bpf},
                    .effective = {cap_chown},
                    .permitted = {cap_chown, cap_kill},
                    .inheritable = {cap_kill},
                    .ambient = {}}) == "20 21 1 8000000021 0");
  CHECK(sets_after({.bounding = {cap_bpf},
                    .effective = {cap_bpf},
                    .permitted = {cap_bpf},
                    .inheritable = {cap_bpf},
                    .ambient = {cap_bpf}}) ==
        "8000000000 8000000000 8000000000 8000000000 8000000000");
}

TEST_CASE("capabilities: a user who is not root keeps those that are listed", "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(sets_after({.bounding = {cap_kill},
                    .effective = {cap_kill},
                    .permitted = {cap_kill},
                    .inheritable = {cap_kill},
                    .ambient = {cap_kill}},
                   true) == "20 20 20 20 20");
  CHECK(sets_after({.bounding = {cap_kill},
                    .effective = {},
                    .permitted = {},
                    .inheritable = {},
                    .ambient = {}},
                   true) == "0 0 0 20 0");
}

TEST_CASE("capabilities: ambient ones that may not be, and names that are none, are left out",
          "[root]") {
  SKIP_UNLESS_ROOT();
  CHECK(sets_after({.bounding = {cap_kill, cap_chown, "CAP_NO_SUCH"},
                    .effective = {cap_kill, "cap_chown"},
                    .permitted = {cap_kill, cap_chown},
                    .inheritable = {cap_kill},
                    .ambient = {cap_kill, cap_chown, "CAP_NO_SUCH"}}) == "20 21 20 21 20");
}

TEST_CASE("capabilities: the kernel's refusals are said", "[root]") {
  SKIP_UNLESS_ROOT();
  // Effective ones are permitted ones.
  CHECK(sets_after({.bounding = {cap_kill},
                    .effective = {cap_kill},
                    .permitted = {},
                    .inheritable = {},
                    .ambient = {}}) == "error: set capabilities: operation not permitted");
  CHECK(in_child([] {
          apply_bounding_set({.bounding = {"CAP_SETPCAP"},
                              .effective = {},
                              .permitted = {},
                              .inheritable = {},
                              .ambient = {}});
          apply_capabilities({});
          apply_bounding_set({});
          return std::string("none");
        }) == "error: drop capability 0: operation not permitted");
}

TEST_CASE("capabilities: each name that is left out is told once", "[agent]") {
  const std::string told = in_child([] {
    static std::string lines;
    set_log_sink([](LogLevel, std::string_view text) { lines += std::string(text) + "\n"; });
    warn_of_ignored({.bounding = {"CAP_B", cap_kill, std::string(100, 'x')},
                     .effective = {"CAP_B"},
                     .permitted = {"CAP_B"},
                     .inheritable = {"CAP_A"},
                     .ambient = {}});
    warn_of_ignored({.bounding = {},
                     .effective = {},
                     .permitted = {cap_kill},
                     .inheritable = {cap_kill},
                     .ambient = {cap_kill}});
    warn_of_ignored({.bounding = {},
                     .effective = {},
                     .permitted = {cap_kill},
                     .inheritable = {},
                     .ambient = {cap_kill}});
    return lines;
  });
  CHECK(told ==
        "unknown capability CAP_A is ignored\nunknown capability CAP_B is ignored\n"
        "unknown capability " +
            std::string(64, 'x') +
            " is ignored\n"
            "ambient capabilities that are not inheritable are ignored\n");
}
