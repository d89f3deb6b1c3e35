// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lib/guestcomm/protocol/kernel_settings.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/plan/file_server_plan.hpp"
#include "lib/runtime/plan/pod.hpp"
#include "lib/runtime/plan/vm_size.hpp"

namespace husk::runtime {

/// What a VM boots from, wherever it is installed.
struct BootAssets {
  std::filesystem::path kernel, initrd;
  std::filesystem::path firmware;  ///< empty: the hypervisor needs none
  /// The directory from which the guest's kernel loads modules on demand (rootfs-builder/modules); empty: none.
  std::filesystem::path modules = {};
};

/// husk's own programs that a VM's keeper is, and calls.
struct Programs {
  std::filesystem::path keeper, husk;
};

/// The VM's vsock device is the host's kernel, a program that the VM's keeper runs, or the hypervisor.
enum class VsockDeviceIs { host_kernel, program, hypervisor };

/// The plan of a VM; nothing has been made yet.
struct VmPlan {
  std::string id;           ///< random; names its directory
  std::string secret;       ///< 32 random hex digits, by which the guest knows husk
  std::string uri;          ///< libvirt's
  hypervisor::VmUser user;  ///< as whom the hypervisor runs
  VsockDeviceIs vsock_device = VsockDeviceIs::host_kernel;
  FileServerPlan files;                          ///< for the share
  std::optional<std::string> network_namespace;  ///< its path, if the caller made it
  std::optional<VmPod> pod = {};                 ///< that has the VM
  BootAssets assets;
  guestcomm::KernelSettings kernel_settings = {};
  Programs programs;
  /// The domain, but for the paths in the VM's directory, the vsock device, and what the kernel is told
  /// of that.
  hypervisor::VmConfig vm;
  Demand pod_demand = {};                  ///< Sizing::pod
  VmSize fixed_size = {};                  ///< Sizing::fixed
  std::filesystem::path config_file = {};  ///< Config::file, for a keeper that has the pool filled
  bool fills_pool = false;                 ///< KeeperBegin::fills_pool
};

}  // namespace husk::runtime
