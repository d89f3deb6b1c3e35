// SPDX-License-Identifier: Apache-2.0
// Facts of this host, this caller and this moment that a plan takes, so that planning itself reads
// nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/guestcomm/protocol/kernel_settings.hpp"
#include "lib/guestcomm/protocol/shared_tmpfs.hpp"
#include "lib/guestcomm/protocol/stdio.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/caller/pid_file.hpp"
#include "lib/runtime/plan/namespace_facts.hpp"
#include "lib/runtime/plan/network_facts.hpp"
#include "lib/runtime/plan/pod.hpp"

namespace husk::runtime {

struct HostFacts {
  hypervisor::Accelerator accelerator = hypervisor::Accelerator::tcg;  ///< that VMs shall have
  std::uint32_t tsc_khz = 0;  ///< of the host's CPUs, for a VM whose are emulated; else 0
  // The facts down to max_open_files are found for a new VM alone: a container that joins a VM needs none.
  hypervisor::VmUser vm_user;                   ///< as whom the hypervisor runs
  bool has_vhost_vsock = false;                 ///< the host's kernel is the vsock device
  std::filesystem::path virtiofsd;              ///< the program that serves the share
  std::filesystem::path cloud_hypervisor = {};  ///< the program, if the driver is its own
  std::string kernel_release;                   ///< of the guest; empty: not known
  std::uint64_t max_open_files = 0;             ///< of virtiofsd
  /// The container has files that a server may stop to serve, now or by what the host mounts later.
  bool has_remote_files = false;
  std::uint64_t memory_mib = 0;         ///< of the host, swap included
  unsigned cpus = 1;                    ///< of the host, those that are online
  guestcomm::KernelParameters sysctls;  ///< of load_host_sysctls(), for a new VM
  bool has_systemd = false;
  PidFilePlace pid_file_place = PidFilePlace::good;  ///< if one was asked for
  std::optional<NetworkFacts> network;               ///< if the caller names a namespace
  std::vector<NamespaceFacts> namespaces;            ///< the others that the caller names
  std::vector<guestcomm::SharedTmpfs> shared_tmpfs;  ///< in place of some of the spec's binds
  std::string joined_vm;                             ///< by choose_vm(); empty: a new one
  std::optional<PodFacts> pod;                       ///< by find_pod()
  PodPlace place;                                    ///< known for a container of a pod
  /// The least memory limit of the cgroups above the container's; empty: none.
  std::optional<std::uint64_t> cgroup_memory_mib;
  guestcomm::WindowSize window;  ///< of the caller's terminal, if it has one
  std::string owner;             ///< the calling user's name, or number
  std::string now;               ///< as RFC 3339
  // Made up anew each time.
  std::string vm_id;   ///< 8 hex digits
  std::string secret;  ///< 32 hex digits
};

/// Whether no VM is made.
inline bool is_joining(const HostFacts& facts) { return !facts.joined_vm.empty(); }

}  // namespace husk::runtime
