// SPDX-License-Identifier: Apache-2.0
#include "keeper/device_system_calls.hpp"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "lib/base/allowed_system_calls.hpp"

namespace husk::keeper {
namespace {

// vhost-device-vsock is not husk's, and its calls change with its version and the C library's. So the
// lists have the relatives of each call that it was seen to make, and not those calls alone.

constexpr int memory_and_threads[] = {SCMP_SYS(brk),         SCMP_SYS(mmap),
                                      SCMP_SYS(munmap),      SCMP_SYS(mremap),
                                      SCMP_SYS(mprotect),    SCMP_SYS(madvise),
                                      SCMP_SYS(membarrier),  SCMP_SYS(futex),
                                      SCMP_SYS(rseq),        SCMP_SYS(set_robust_list),
                                      SCMP_SYS(arch_prctl),  SCMP_SYS(set_tid_address),
                                      SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
                                      SCMP_SYS(getcpu),      SCMP_SYS(exit),
                                      SCMP_SYS(exit_group),  SCMP_SYS(restart_syscall)};

constexpr int signals_and_time[] = {
    SCMP_SYS(rt_sigaction),   SCMP_SYS(rt_sigprocmask),  SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),    SCMP_SYS(clock_gettime),   SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),   SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(getrandom)};

constexpr int own_ids[] = {SCMP_SYS(getpid),  SCMP_SYS(getppid), SCMP_SYS(gettid),
                           SCMP_SYS(getuid),  SCMP_SYS(geteuid), SCMP_SYS(getgid),
                           SCMP_SYS(getegid), SCMP_SYS(uname),   SCMP_SYS(sysinfo)};

constexpr int files[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),    SCMP_SYS(close),      SCMP_SYS(close_range),
    SCMP_SYS(read),       SCMP_SYS(readv),     SCMP_SYS(pread64),    SCMP_SYS(write),
    SCMP_SYS(writev),     SCMP_SYS(pwrite64),  SCMP_SYS(lseek),      SCMP_SYS(stat),
    SCMP_SYS(fstat),      SCMP_SYS(lstat),     SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(access),     SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getcwd),    SCMP_SYS(getdents64), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),   SCMP_SYS(fcntl),     SCMP_SYS(dup),        SCMP_SYS(dup2),
    SCMP_SYS(dup3),       SCMP_SYS(pipe2)};

constexpr int sockets_and_events[] = {
    SCMP_SYS(bind),          SCMP_SYS(listen),     SCMP_SYS(accept),      SCMP_SYS(accept4),
    SCMP_SYS(connect),       SCMP_SYS(shutdown),   SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),    SCMP_SYS(setsockopt), SCMP_SYS(recvfrom),    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),        SCMP_SYS(sendmsg),    SCMP_SYS(poll),        SCMP_SYS(ppoll),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),  SCMP_SYS(epoll_wait),  SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),  SCMP_SYS(eventfd2)};

/// No namespaces either: clone(2) allows none beside these, and clone3(2), whose flags no filter sees,
/// is not there. The C library uses clone(2) then.
constexpr std::uint64_t thread_flags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
constexpr std::uint64_t namespace_flags = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP;

void allow_in_part(AllowedSystemCalls& filter) {
  const auto own_pid = static_cast<std::uint64_t>(::getpid());
  filter.allow(SCMP_SYS(clone),
               {SCMP_A0(SCMP_CMP_MASKED_EQ, thread_flags | namespace_flags, thread_flags)});
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)})
    filter.allow(call, {SCMP_A0(SCMP_CMP_EQ, AF_UNIX)});
  for (const auto request :
       {std::uint64_t{TCGETS}, std::uint64_t{FIONBIO}, std::uint64_t{FIONREAD}})
    filter.allow(SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, request)});
  filter.allow(SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)});
  filter.allow(SCMP_SYS(prlimit64), {SCMP_A2(SCMP_CMP_EQ, 0)});     // no new limits
  filter.allow(SCMP_SYS(tgkill), {SCMP_A0(SCMP_CMP_EQ, own_pid)});  // abort(3)
  // husk needs it once, to start the device. A device that was taken over can replace itself by
  // another program, which stays under this filter. It cannot start a second process.
  filter.allow(SCMP_SYS(execve));
}

}  // namespace

void restrict_device_system_calls() {
  AllowedSystemCalls filter(ENOSYS);
  filter.allow(memory_and_threads);
  filter.allow(signals_and_time);
  filter.allow(own_ids);
  filter.allow(files);
  filter.allow(sockets_and_events);
  allow_in_part(filter);
  filter.load_for_this_thread();
}

}  // namespace husk::keeper
