// SPDX-License-Identifier: Apache-2.0
#include "lib/base/detach.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>

#include "lib/base/cancellation.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/base/mountinfo.hpp"

namespace husk {
namespace {

void move_to_root_cgroups() {
  for (const MountEntry& mount : load_mount_table()) {
    if (mount.type != "cgroup" && mount.type != "cgroup2") continue;
    if (mount.root != "/") continue;  // a part of a hierarchy, bound somewhere
    try {
      write_existing(mount.mount_point / "cgroup.procs", "0");
    } catch (const Error&) {
      continue;  // not allowed here: then it stays where it is
    }
  }
}

/// Callers give containers, and sometimes themselves, scores that are not meant for a daemon.
void reset_oom_score() {
  try {
    write_existing("/proc/self/oom_score_adj", "0");
  } catch (const Error&) {
    // Lowering it may be forbidden; then it keeps the caller's.
  }
}

[[noreturn]] void run_to_the_end(const std::function<void()>& body) noexcept {
  try {
    body();
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

void fork_orphan(const std::function<void()>& body) {
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) run_to_the_end(body);
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("wait for a forked process");
  }
  if (status != 0) throw Error(Errc::system, "fork: failed in the child");
}

void detach_process(const std::vector<int>& keep, DetachedCgroups cgroups) {
  set_log_sink({});  // its descriptor goes, and another file may get the number
  ::setsid();
  check_sys(::chdir("/"), "chdir /");
  ::umask(022);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const UniqueFd null{check_sys(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")};
  for (const int stream : {0, 1, 2}) check_sys(::dup2(null.get(), stream), "dup2");
  forget_cancellation();
  close_other_descriptors(keep);
  if (cgroups == DetachedCgroups::root) move_to_root_cgroups();
  reset_oom_score();
}

}  // namespace husk
