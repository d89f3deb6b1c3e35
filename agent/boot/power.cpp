// SPDX-License-Identifier: Apache-2.0
#include "agent/boot/power.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "agent/boot/boot.hpp"

namespace husk::agent {
namespace {

constexpr int sync_patience_ms = 2000;

/// Nothing here may throw or wait for long: it is also the way out of a disaster.
void kill_containers() noexcept {
  const int fd =
      ::open((std::string(cgroup_parent) + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(fd, "1", 1);
  ::close(fd);
}

/// Syncs in a child: sync(2) hangs when the host no longer serves the shared directory.
void sync_files() noexcept {
  const pid_t child = ::fork();
  if (child == 0) {
    ::sync();
    ::_exit(0);
  }
  if (child < 0) return;
  struct pollfd ended {
    static_cast<int>(::syscall(SYS_pidfd_open, child, 0)), POLLIN, 0
  };
  if (ended.fd >= 0) ::poll(&ended, 1, sync_patience_ms);
}

}  // namespace

void power_off() noexcept {
  kill_containers();
  sync_files();
  ::reboot(RB_POWER_OFF);
  // Only where this is not the first process of a machine.
  ::_exit(1);
}

}  // namespace husk::agent
