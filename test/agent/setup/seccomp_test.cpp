// SPDX-License-Identifier: Apache-2.0
// What makes of linux.seccomp a filter or an error, and what the filter answers; the stub for newer system calls is in
// seccomp_stub_test.cpp.
#include "agent/setup/seccomp.hpp"

#include <linux/filter.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "test/filtered_call.hpp"

using namespace husk;
using namespace husk::agent;
using namespace husk::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Allows all but what is ruled.
oci::Seccomp allowing(std::vector<oci::SeccompRule> rules) {
  oci::Seccomp made;
  made.default_action = "SCMP_ACT_ALLOW";
  made.syscalls = std::move(rules);
  return made;
}

oci::SeccompRule refusing(const std::string& name, std::vector<oci::SeccompArg> args,
                          std::optional<std::uint32_t> errno_ret = {}) {
  return {{name}, "SCMP_ACT_ERRNO", errno_ret, std::move(args)};
}

/// The error of getpgid(argument) under the filter; ESRCH is the kernel's own, of no such process.
int error_of_getpgid(const oci::Seccomp& seccomp, std::uint64_t argument) {
  const SeccompProgram program(seccomp);
  return filtered([&] { program.load(); },
                  [&] {
                    return error_of({"getpgid", SYS_getpgid, {static_cast<long>(argument)}});
                  });
}

std::string failure_of(const oci::Seccomp& seccomp) {
  try {
    const SeccompProgram program(seccomp);
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("seccomp: each operator compares as its name says") {
  struct Case {
    const char* op;
    std::uint64_t value, value_two;
    std::vector<std::uint64_t> refused, passed;
  };
  constexpr std::uint64_t base = 0x7f000000;  // no process has such a number
  for (const Case& one : {Case{"SCMP_CMP_EQ", base, 0, {base}, {base + 1, base - 1}},
                          Case{"SCMP_CMP_NE", base, 0, {base + 1, base - 1}, {base}},
                          Case{"SCMP_CMP_LT", base, 0, {base - 1}, {base, base + 1}},
                          Case{"SCMP_CMP_LE", base, 0, {base - 1, base}, {base + 1}},
                          Case{"SCMP_CMP_GT", base, 0, {base + 1}, {base, base - 1}},
                          Case{"SCMP_CMP_GE", base, 0, {base + 1, base}, {base - 1}},
                          Case{"SCMP_CMP_MASKED_EQ",
                               0x7f0000f0,
                               base + 0x30,
                               {base + 0x31, base + 0x3f},
                               {base + 0x41, base + 1}}}) {
    const oci::Seccomp seccomp =
        allowing({refusing("getpgid", {{0, one.value, one.value_two, one.op}}, 99)});
    for (const std::uint64_t argument : one.refused) {
      CAPTURE(one.op, argument);
      CHECK(error_of_getpgid(seccomp, argument) == 99);
    }
    for (const std::uint64_t argument : one.passed) {
      CAPTURE(one.op, argument);
      CHECK(error_of_getpgid(seccomp, argument) == ESRCH);
    }
  }
}

TEST_CASE("seccomp: comparisons of several arguments are all to hold, those of one are any") {
  constexpr std::uint64_t base = 0x7f000000;
  const oci::Seccomp both =
      allowing({refusing("getpgid", {{0, base, 0, "SCMP_CMP_EQ"}, {1, 5, 0, "SCMP_CMP_EQ"}}, 99)});
  const SeccompProgram program(both);
  const auto error_with = [&](long second) {
    return filtered([&] { program.load(); },
                    [&] {
                      return error_of({"getpgid", SYS_getpgid, {static_cast<long>(base), second}});
                    });
  };
  CHECK(error_with(5) == 99);
  CHECK(error_with(6) == ESRCH);
  const oci::Seccomp any = allowing(
      {refusing("getpgid", {{0, base, 0, "SCMP_CMP_EQ"}, {0, base + 1, 0, "SCMP_CMP_EQ"}}, 99)});
  CHECK(error_of_getpgid(any, base) == 99);
  CHECK(error_of_getpgid(any, base + 1) == 99);
  CHECK(error_of_getpgid(any, base + 2) == ESRCH);
}

TEST_CASE("seccomp: an errno of the profile, the default one, and one for all that is not named") {
  constexpr std::uint64_t base = 0x7f000000;
  CHECK(error_of_getpgid(allowing({refusing("getpgid", {})}), base) == EPERM);
  CHECK(error_of_getpgid(allowing({refusing("getpgid", {}, 0)}), base) == 0);  // "did nothing"
  oci::Seccomp listed;
  listed.default_action = "SCMP_ACT_ERRNO";
  listed.default_errno_ret = 77;
  listed.syscalls = {{{"getpid"}, "SCMP_ACT_ALLOW", {}, {}}};
  // Not loaded: an address sanitizer needs more calls than a test could list.
  const auto returns = [&](std::uint32_t action) {
    const SeccompProgram program(listed);
    return std::ranges::any_of(program.instructions(), [&](const sock_filter& one) {
      return one.code == (BPF_RET | BPF_K) && one.k == action;
    });
  };
  CHECK(returns(SCMP_ACT_ERRNO(77)));
  CHECK(returns(SCMP_ACT_ALLOW));
  CHECK_FALSE(returns(SCMP_ACT_ERRNO(EPERM)));
  // A rule of the same action and value changes nothing, and is none for libseccomp.
  listed.syscalls.push_back(refusing("getpgid", {}, 77));
  CHECK(failure_of(listed) == "none");
  listed.syscalls.push_back(refusing("getpgid", {}, 78));
  CHECK(returns(SCMP_ACT_ERRNO(78)));
}

TEST_CASE("seccomp: what cannot become a filter is named") {
  CHECK(failure_of(allowing({refusing("getpgid", {{6, 0, 0, "SCMP_CMP_EQ"}})})) ==
        "linux.seccomp: argument index over 5");
  CHECK_THAT(failure_of(allowing({refusing("getpgid", {{0, 0, 0, "SCMP_CMP_LIKE"}})})),
             ContainsSubstring("SCMP_CMP_LIKE"));
  CHECK(failure_of(allowing({{{"getpgid"}, "SCMP_ACT_MAYBE", {}, {}}})) ==
        "linux.seccomp: unknown action SCMP_ACT_MAYBE");
  CHECK(failure_of(allowing({{{"getpgid"}, "SCMP_ACT_NOTIFY", {}, {}}})) ==
        "linux.seccomp: SCMP_ACT_NOTIFY is not supported in a VM");
  oci::Seccomp flagged = allowing({});
  flagged.flags = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC",
                   "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
  CHECK(failure_of(flagged) == "none");
  flagged.flags.push_back("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
  CHECK(failure_of(flagged) ==
        "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is not supported");
  oci::Seccomp endless = allowing({});
  for (std::uint64_t i = 0; i < 1500; ++i)
    endless.syscalls.push_back(refusing("getpgid", {{0, i << 32 | i, 0, "SCMP_CMP_EQ"}}));
  CHECK_THAT(failure_of(endless), ContainsSubstring("linux.seccomp as a filter: larger than"));
}

TEST_CASE("seccomp: a name that libseccomp does not know refuses nothing else") {
  constexpr std::uint64_t base = 0x7f000000;
  oci::Seccomp seccomp = allowing({{{"no_such_call", "getpgid", ""}, "SCMP_ACT_ERRNO", 99, {}}});
  seccomp.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};
  CHECK(error_of_getpgid(seccomp, base) == 99);
}
