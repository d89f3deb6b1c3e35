// SPDX-License-Identifier: Apache-2.0
#include "keeper/device_system_calls.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <thread>

#include "test/filtered_call.hpp"

using namespace husk;
using namespace husk::keeper;

namespace {

/// What `doing` returned (a byte) in a process that has the filter.
template <typename F>
int filtered(F&& doing) {
  return test::filtered(restrict_device_system_calls, doing);
}

/// Each fails in another way, or works, where nothing refuses it.
const test::SystemCall forbidden[] = {
    {"ptrace", SYS_ptrace, {0 /* PTRACE_TRACEME */}},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, 0, 0}},
    {"kill", SYS_kill, {1, 0}},
    {"tgkill of another", SYS_tgkill, {1, 1, 0}},
    {"mount", SYS_mount},
    {"umount2", SYS_umount2},
    {"open_tree", SYS_open_tree, {AT_FDCWD, 0, 0}},
    {"fsopen", SYS_fsopen},
    {"pivot_root", SYS_pivot_root},
    {"chroot", SYS_chroot},
    {"setns", SYS_setns, {-1, 0}},
    {"unshare", SYS_unshare, {0}},
#ifdef SYS_fork  // arm64 has clone only
    {"fork", SYS_fork},
#endif
    {"clone of a process", SYS_clone, {SIGCHLD}},
    {"clone of a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"clone3", SYS_clone3},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"add_key", SYS_add_key},
    {"bpf", SYS_bpf},
    {"perf_event_open", SYS_perf_event_open},
    {"io_uring_setup", SYS_io_uring_setup, {1}},
    {"userfaultfd", SYS_userfaultfd},
    {"seccomp", SYS_seccomp, {2 /* SECCOMP_GET_ACTION_AVAIL */}},
    {"kexec_load", SYS_kexec_load, {0, 1000}},
    {"init_module", SYS_init_module},
    {"finit_module", SYS_finit_module, {-1}},
    {"delete_module", SYS_delete_module},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1}},
    {"memfd_create", SYS_memfd_create},
    {"execveat", SYS_execveat, {-1, 0, 0, 0, 0}},
    {"socket(AF_INET)", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket(AF_NETLINK)", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"socket(AF_PACKET)", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"socket(AF_ALG)", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"socket(AF_VSOCK)", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"TIOCSTI", SYS_ioctl, {-1, 0x5412, 0}},
    {"PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}}};

}  // namespace

TEST_CASE("device system calls: what a vsock device does not need is not there", "[keeper]") {
  for (const test::SystemCall& call : forbidden) {
    CAPTURE(call.name);
    CHECK(filtered([&] { return test::error_of(call); }) == ENOSYS);
  }
}

TEST_CASE("device system calls: limits can be read and not changed", "[keeper]") {
  CHECK(filtered([] {
          rlimit limits{};
          return ::getrlimit(RLIMIT_NOFILE, &limits) == 0 ? 0 : errno;
        }) == 0);
  CHECK(filtered([] {
          const rlimit none{0, 0};
          return ::setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : errno;
        }) == ENOSYS);
}

TEST_CASE("device system calls: threads, files, AF_UNIX sockets and abort(3) are as ever",
          "[keeper]") {
  CHECK(filtered([] {
          int seen = 1;
          std::thread([&] { seen = 0; }).join();
          return seen;
        }) == 0);
  CHECK(filtered([] {
          std::array<int, 2> pair{};
          return ::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 &&
                         ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 &&
                         ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0
                     ? 0
                     : errno;
        }) == 0);
  CHECK(filtered([] { return ::raise(0) == 0 ? 0 : errno; }) == 0);
  // The C library and the loader of a program that is executed find what they need.
  CHECK(filtered([] {
          ::execl("/bin/true", "true", nullptr);
          return errno;
        }) == 0);
}
