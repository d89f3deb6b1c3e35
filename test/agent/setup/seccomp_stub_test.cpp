// SPDX-License-Identifier: Apache-2.0
// What system calls return that are newer than a seccomp profile.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "agent/setup/seccomp.hpp"
#include "agent/setup/seccomp_stub.hpp"
#include "test/agent/profiles.hpp"

using namespace husk::agent;
using husk::oci::Seccomp;
using husk::test::load_profile;

namespace {

constexpr long fchmodat2 = 452;  // Linux 6.6; the profiles end with process_mrelease, 448

Seccomp make_profile(const std::string& default_action) {
  Seccomp made;
  made.default_action = default_action;
  made.syscalls = {{{"write", "exit_group", "process_mrelease"}, "SCMP_ACT_ALLOW", {}, {}}};
  return made;
}

/// The error of a system call under the filter; 0 for none, -1 if the filter ended the process.
int error_of(const Seccomp& seccomp, long number) {
  const SeccompProgram program(seccomp);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(255);
    program.load();
    ::syscall(SYS_exit_group, ::syscall(number, -1, -1, -1, -1, -1, -1) == -1 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#if defined(__x86_64__)  // other processors have neither x32 nor int 0x80
constexpr long x32_bit = 1L << 30;

/// Some hosts that are virtual machines themselves do not have them.
bool has_i386_calls() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    int result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    ::_exit(result > 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// The same by int 0x80, as a program for i386 does.
int i386_error_of(const Seccomp& seccomp, int number) {
  const SeccompProgram program(seccomp);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(255);
    program.load();
    int result = number;
    asm volatile("int $0x80"
                 : "+a"(result)
                 : "b"(-1), "c"(-1), "d"(-1)
                 : "memory", "r8", "r9", "r10", "r11");
    ::syscall(SYS_exit_group, result < 0 ? -result : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#endif

}  // namespace

TEST_CASE("seccomp: system calls newer than an engine's profile return ENOSYS, others EPERM") {
  for (const char* name : {"docker-20.10", "podman-4.3"}) {
    CAPTURE(name);
    const Seccomp profile = load_profile(name);
    CHECK(error_of(profile, fchmodat2) == ENOSYS);
    CHECK(error_of(profile, 1'000'000) == ENOSYS);
    CHECK(error_of(profile, SYS_kexec_load) == EPERM);
    CHECK(error_of(profile, SYS_getppid) == 0);
  }
}

#if defined(__x86_64__)
TEST_CASE("seccomp: i386 has limits of its own") {
  if (!has_i386_calls()) SKIP("this kernel kills programs that call it by int 0x80");
  const Seccomp profile = load_profile("docker-20.10");
  CHECK(i386_error_of(profile, fchmodat2) == ENOSYS);
  CHECK(i386_error_of(profile, static_cast<int>(x32_bit) + 1) == ENOSYS);
  CHECK(i386_error_of(profile, 283) == EPERM);  // kexec_load
}

TEST_CASE("seccomp: x32 has limits of its own") {
  const Seccomp profile = load_profile("docker-20.10");
  CHECK(error_of(profile, x32_bit + fchmodat2) == EPERM);  // x32's own calls go up to 547
  CHECK(error_of(profile, x32_bit + 1000) == ENOSYS);
  Seccomp without_x32 = profile;
  without_x32.architectures = {"SCMP_ARCH_X86_64"};
  CHECK(error_of(without_x32, x32_bit + 1000) == -1);
  CHECK(error_of(without_x32, fchmodat2) == ENOSYS);
}
#endif

TEST_CASE("seccomp: the native architecture has its limit when the profile names none") {
  CHECK(error_of(make_profile("SCMP_ACT_ERRNO"), fchmodat2) == ENOSYS);
  CHECK(error_of(make_profile("SCMP_ACT_ERRNO"), SYS_getppid) == EPERM);
  CHECK(error_of(make_profile("SCMP_ACT_KILL_PROCESS"), fchmodat2) == ENOSYS);
  CHECK(error_of(make_profile("SCMP_ACT_KILL_PROCESS"), SYS_getppid) == -1);
}

TEST_CASE("seccomp: names that libseccomp does not know set no limit") {
  Seccomp profile = make_profile("SCMP_ACT_ERRNO");
  profile.syscalls.push_back({{"newer_than_libseccomp"}, "SCMP_ACT_ALLOW", {}, {}});
  CHECK(error_of(profile, fchmodat2) == ENOSYS);
}

TEST_CASE("seccomp: rules of the default action count for the limit") {
  Seccomp profile = make_profile("SCMP_ACT_ERRNO");
  profile.syscalls = {{{"write", "exit_group"}, "SCMP_ACT_ALLOW", {}, {}},
                      {{"process_mrelease"}, "SCMP_ACT_ERRNO", {}, {}}};
  CHECK(error_of(profile, SYS_process_mrelease) == EPERM);
  CHECK(error_of(profile, fchmodat2) == ENOSYS);
}

TEST_CASE("seccomp: a profile that lets unknown calls pass, or names none, is left as it is") {
  for (const char* action : {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"})
    CHECK(make_enosys_stub(make_profile(action)).empty());
  Seccomp empty;
  empty.default_action = "SCMP_ACT_KILL_PROCESS";
  CHECK(error_of(empty, fchmodat2) == -1);
}
