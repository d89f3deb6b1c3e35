// SPDX-License-Identifier: Apache-2.0
// The administrator's settings: /etc/husk/config.toml, every key optional (husk.toml(5)).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/file_options.hpp"
#include "lib/runtime/host/host_sysctls.hpp"

namespace husk::runtime {

/// VMs that have booted before a container needs them.
struct PoolOptions {
  unsigned size = 0;                    ///< how many are ready at a time
  std::chrono::seconds max_age{86400};  ///< of one that is given to a container
  /// Percent of the time in which processes of the host may wait for memory while one is made, and of the host's memory
  /// that has to be left.
  unsigned memory_pressure = 10;
  /// They are for pods of Kubernetes, and for containers with files of a network: files are served by several threads.
  bool pods = false;
};

struct Config {
  // [hypervisor]
  std::string uri = hypervisor::HypervisorOptions{}.uri;
  std::optional<hypervisor::Accelerator> accelerator;  ///< empty ("auto"): what the host has
  std::optional<std::filesystem::path> firmware;
  std::optional<std::filesystem::path> cloud_hypervisor;  ///< empty: find_cloud_hypervisor()
  // [files]
  std::optional<std::filesystem::path> virtiofsd;  ///< empty: find_virtiofsd()
  FileOptions files;
  // [vm]
  unsigned vcpus = 1;                ///< where no limit of a container says more
  std::uint64_t memory_mib = 512;    ///< where no limit of a container says otherwise
  unsigned max_vcpus = 0;            ///< of each VM; 0: see plan_shape()
  std::uint64_t max_memory_mib = 0;  ///< of each VM; 0: see plan_shape()
  std::set<std::string>
      allowed_annotations;  ///< of a VM's first container: check_own_annotations()
  std::optional<std::filesystem::path> kernel, initrd, modules;
  std::string kernel_arguments;  ///< added to husk's own
  KernelParameters sysctl;       ///< of the whole guest, whatever the host has
  std::chrono::seconds boot_timeout{120};
  // [pool]
  PoolOptions pool = {};

  std::filesystem::path file = {};  ///< empty: there was none
  std::set<std::string> given{};    ///< the keys that the file has: "vm.vcpus"
};

/// Defaults where `path` does not exist. Throws invalid_argument with file and line for malformed
/// TOML, an unknown key, a wrong type, a value out of range.
Config load_config(const std::filesystem::path& path);

}  // namespace husk::runtime
