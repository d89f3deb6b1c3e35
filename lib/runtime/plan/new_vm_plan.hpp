// SPDX-License-Identifier: Apache-2.0
// The plan of a VM: for a container, or for the pool. Pure.
#pragma once

#include <optional>
#include <string>

#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/file_options.hpp"
#include "lib/runtime/host/install_paths.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/plan/pod.hpp"
#include "lib/runtime/plan/sizing.hpp"
#include "lib/runtime/plan/vm_plan.hpp"

namespace husk::runtime {

/// What a VM is made for.
struct NewVmWish {
  std::string title;  ///< hypervisor::VmConfig::title
  std::optional<VmPod> pod = {};
  FileOptions files = {};
  const Sizing& sizing;
};

/// The VM that facts.vm_id names. Throws as plan_vm_size and plan_file_server.
VmPlan plan_vm(const NewVmWish& wish, const Config& config, const InstallPaths& paths,
               const HostFacts& facts);

/// A VM of the pool: as for a container that says nothing of its VM.
VmPlan plan_spare(const Config& config, const InstallPaths& paths, const HostFacts& facts);

/// Whether `spare`, planned from the same facts, can be resized to be the VM `wanted`.
bool can_become(const VmPlan& spare, const VmPlan& wanted);

}  // namespace husk::runtime
