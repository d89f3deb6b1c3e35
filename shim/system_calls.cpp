// SPDX-License-Identifier: Apache-2.0
#include "shim/system_calls.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

#include "lib/base/allowed_system_calls.hpp"

namespace husk::shim {
namespace {

/// The C library's too: memory, signals that were caught, abort(3), the end of a thread, and the first
/// steps (rseq, set_robust_list) of one that was made before but has not run yet.
constexpr int plain_calls[] = {SCMP_SYS(read),
                               SCMP_SYS(write),
                               SCMP_SYS(readv),
                               SCMP_SYS(writev),
                               SCMP_SYS(poll),
                               SCMP_SYS(ppoll),
                               SCMP_SYS(recvfrom),
                               SCMP_SYS(recvmsg),
                               SCMP_SYS(sendto),
                               SCMP_SYS(sendmsg),
                               SCMP_SYS(connect),
                               SCMP_SYS(shutdown),
                               SCMP_SYS(close),
                               SCMP_SYS(futex),
                               SCMP_SYS(brk),
                               SCMP_SYS(munmap),
                               SCMP_SYS(mremap),
                               SCMP_SYS(madvise),
                               SCMP_SYS(exit),
                               SCMP_SYS(exit_group),
                               SCMP_SYS(rt_sigreturn),
                               SCMP_SYS(rt_sigprocmask),
                               SCMP_SYS(getrandom),
                               SCMP_SYS(getpid),
                               SCMP_SYS(gettid),
                               SCMP_SYS(tgkill),
                               SCMP_SYS(sched_yield),
                               SCMP_SYS(clock_gettime),
                               SCMP_SYS(restart_syscall),
                               SCMP_SYS(rseq),
                               SCMP_SYS(set_robust_list)};

/// Allows a part of some calls: memory without code, IPv4 sockets, and two questions about a terminal.
void allow_in_part(AllowedSystemCalls& filter) {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    filter.allow(call, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
  filter.allow(SCMP_SYS(socket), {SCMP_A0(SCMP_CMP_EQ, AF_INET)});
  for (const auto request : {std::uint64_t{TIOCGWINSZ}, std::uint64_t{TCGETS}})
    filter.allow(SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_EQ, request)});
}

}  // namespace

void restrict_system_calls(const OomMark& oom_mark) {
  AllowedSystemCalls filter(EPERM);
  filter.allow(plain_calls);
  allow_in_part(filter);
  oom_mark.allow(filter);
  filter.load_for_all_threads();  // the streams' threads run already
}

}  // namespace husk::shim
