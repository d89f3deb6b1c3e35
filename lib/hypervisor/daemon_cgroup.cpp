// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/daemon_cgroup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {
namespace {

constexpr const char* cgroup = "/sys/fs/cgroup/devices/husk-libvirt";
constexpr const char* kvm_device = "c 10:232 rw";  // to make its node stays allowed: libvirt does

}  // namespace

void enter_cgroup_without_kvm() {
  if (detect_accelerator() == Accelerator::kvm) return;
  if (::access("/sys/fs/cgroup/devices/devices.deny", W_OK) != 0) return;
  ::mkdir(cgroup, 0755);  // may be there already
  try {
    write_existing(std::string(cgroup) + "/devices.deny", kvm_device);
    write_existing(std::string(cgroup) + "/cgroup.procs", "0");
  } catch (const Error&) {
    // Slower, and nothing worse.
  }
}

void remove_cgroup_without_kvm() noexcept { ::rmdir(cgroup); }

}  // namespace husk::hypervisor
