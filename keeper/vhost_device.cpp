// SPDX-License-Identifier: Apache-2.0
#include "keeper/vhost_device.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <exception>

#include "keeper/device_system_calls.hpp"
#include "lib/base/capabilities.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/resource_limit.hpp"
#include "lib/base/unique_fd.hpp"

namespace husk::keeper {
namespace {

constexpr rlim_t max_device_files = 4096;  ///< one per connection the guest or the host opens

/// The device reads what a hostile guest wrote into its queues: it gets nothing it does not need.
void become_unprivileged(const handoff::VhostDeviceSetup& setup) {
  check_sys(::setgroups(0, nullptr), "drop groups");
  lower_limit(RLIMIT_CORE, 0);
  lower_limit(RLIMIT_NOFILE, max_device_files);
  check_sys(::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), "clear keep-capabilities");
  check_sys(::setresgid(setup.uid, setup.uid, setup.uid), "change group");
  drop_bounding_set();  // needs CAP_SETPCAP, so before the change of user
  check_sys(::setresuid(setup.uid, setup.uid, setup.uid), "change user");
  drop_capabilities();
  check_sys(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no-new-privileges");
}

[[noreturn]] void run_device(const handoff::VhostDeviceSetup& setup, pid_t parent) {
  close_other_descriptors({});
  become_unprivileged(setup);
  check_sys(::chdir((setup.directory + "/" + handoff::device_folder).c_str()),
            "enter the device's directory");
  ::umask(077);
  // A change of user clears it, so last.
  check_sys(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "bind the device to its keeper");
  if (::getppid() != parent) ::_exit(1);
  // Relative names: sun_path ends at 107 bytes.
  const std::array<const char*, 8> argv{
      "vhost-device-vsock", "--guest-cid",         "3",    "--socket", handoff::vhost_socket,
      "--uds-path",         handoff::vsock_socket, nullptr};
  const std::array<const char*, 1> environment{nullptr};
  restrict_device_system_calls();  // last: it allows none of the calls above
  ::execve(handoff::vhost_device_program, const_cast<char* const*>(argv.data()),
           const_cast<char* const*>(environment.data()));
  ::_exit(127);
}

}  // namespace

VhostDevice::VhostDevice(const handoff::VhostDeviceSetup& setup) {
  const pid_t self = ::getpid();
  pid_ = check_sys(::fork(), "fork the vsock device");
  if (pid_ == 0) {
    try {
      run_device(setup, self);
    } catch (const std::exception&) {
      ::_exit(126);
    }
  }
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0u)));
}

VhostDevice::~VhostDevice() {
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace husk::keeper
