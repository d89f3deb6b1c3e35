// SPDX-License-Identifier: Apache-2.0
// A table of the differences between libvirt's drivers, each of which runs another hypervisor.
// Names files, and touches none; what has to be asked of a daemon is behind `live`.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/hypervisor/vm.hpp"

namespace husk::hypervisor {

class LiveDriver;

/// The daemons of libvirt that may have a driver.
struct Daemon {
  std::string own;      ///< has this driver alone: "virtqemud"
  bool is_in_libvirtd;  ///< Driver::is_in_libvirtd
  bool uses_virtlogd;   ///< Driver::uses_virtlogd
};

struct Driver {
  std::string_view name;    ///< libvirt's: "qemu"; the URI and all paths below have it
  std::string_view called;  ///< the hypervisor's name, for texts
  const char* firmware;     ///< the default, an absolute path; "": the hypervisor needs none
  bool needs_kvm;           ///< the hypervisor emulates no CPU
  /// libvirtd always has this driver. False: some distributions build libvirt without the driver, so its own daemon comes
  /// first.
  bool is_in_libvirtd;
  bool has_go_between;  ///< VmConfig::go_between
  bool
      uses_virtlogd;  ///< which bounds VmConfig::console_log; else the hypervisor writes there without a bound
  /// The hypervisor itself is the vsock device (VsockDevice::hybrid_socket).
  bool has_own_vsock;
  /// libvirt lets go of a VM whose process has ended. Otherwise libvirt has to be told (Hypervisor::destroy).
  bool notices_end;
  /// The file in a VM's directory with the process that runs the VM, "PID START_TIME" (lib/base/process.hpp); nullptr:
  /// libvirt's pid_file() leads to the process.
  const char* process_file;
  const char* domain_suffix;  ///< of the name of domain_file()
  /// How libvirt is asked for VMs of this driver (live_driver.hpp).
  const LiveDriver& (*live)();
  /// What the guest's kernel is told of the machine that the hypervisor makes. tsc_khz: of the
  /// host's time stamp counter, which an emulated CPU passes on; 0 if unknown.
  std::string (*kernel_arguments)(Accelerator accelerator, const VmShape& shape,
                                  std::uint32_t tsc_khz);
  /// Reads libvirt's configuration and the user table. Throws unsupported, naming the user.
  VmUser (*find_user)();
  /// Part of the command line of the process of the VM `vm`, and of no other. Not asked of a driver with a process_file.
  std::string (*process_mark)(const std::string& vm);
  /// Whether that file of log_directory() is a log of `vm`.
  bool (*is_log_file)(const std::string& file, const std::string& vm);

  std::string uri() const;  ///< of the host's own libvirt: "qemu:///system"
  Daemon daemon() const;
  std::filesystem::path run_directory() const;
  std::filesystem::path log_directory() const;
  /// Holds the pid of the VM's process.
  std::filesystem::path pid_file(const std::string& vm) const;
  /// Exists as long as libvirt knows the VM.
  std::filesystem::path domain_file(const std::string& vm) const;
  /// What libvirt makes of the VM in run_directory(), and forgets when its daemon is restarted.
  std::vector<std::filesystem::path> run_files(const std::string& vm) const;
  /// Whether a directory of that name below a hierarchy's "machine" is libvirt's cgroup of `vm`:
  /// "qemu-<domain id>-NAME.libvirt-qemu".
  bool is_machine_cgroup(const std::string& directory, const std::string& vm) const;
};

/// Finds the driver by the scheme of a libvirt URI ("qemu:///system", "qemu+unix:///system"). QEMU's for anything
/// else: an empty URI or an alias in libvirt.conf say nothing, and libvirt refuses the rest.
const Driver& driver_for(std::string_view uri) noexcept;

}  // namespace husk::hypervisor
