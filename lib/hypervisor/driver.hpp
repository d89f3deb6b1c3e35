// SPDX-License-Identifier: Apache-2.0
// A table of the differences between libvirt's drivers, each of which runs another hypervisor.
// Names files, and touches none; what has to be asked of a daemon is behind `live`.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

class LiveDriver;

struct Driver {
  std::string_view name;  ///< libvirt's: "qemu"; the URI and all paths below have it
  const char* firmware;   ///< the default; an absolute path
  /// How libvirt is asked for VMs of this driver (live_driver.hpp).
  const LiveDriver& (*live)();
  /// What the guest's kernel is told of the machine that the hypervisor makes. tsc_khz: of the
  /// host's time stamp counter, which an emulated CPU passes on; 0 if unknown.
  std::string (*kernel_arguments)(Accelerator accelerator, const VmShape& shape,
                                  std::uint32_t tsc_khz);
  /// Reads libvirt's configuration and the user table. Throws unsupported, naming the user.
  VmUser (*find_user)();
  /// Part of the command line of the process of the VM `vm`, and of no other.
  std::string (*process_mark)(const std::string& vm);
  /// Whether that file of log_directory() is a log of `vm`.
  bool (*is_log_file)(const std::string& file, const std::string& vm);

  std::string uri() const;     ///< of the host's own libvirt: "qemu:///system"
  std::string daemon() const;  ///< that has this driver alone: "virtqemud"
  std::filesystem::path run_directory() const;
  std::filesystem::path log_directory() const;
  /// Holds the pid of the VM's process.
  std::filesystem::path pid_file(const std::string& vm) const;
  /// Exists as long as libvirt knows the VM.
  std::filesystem::path domain_file(const std::string& vm) const;
  /// Whether a directory of that name below a hierarchy's "machine" is libvirt's cgroup of `vm`:
  /// "qemu-<domain id>-NAME.libvirt-qemu".
  bool is_machine_cgroup(const std::string& directory, const std::string& vm) const;
};

/// Finds the driver by the scheme of a libvirt URI ("qemu:///system", "qemu+unix:///system"). QEMU's for anything
/// else: an empty URI or an alias in libvirt.conf say nothing, and libvirt refuses the rest.
const Driver& driver_for(std::string_view uri) noexcept;

}  // namespace husk::hypervisor
