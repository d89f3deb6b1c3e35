// SPDX-License-Identifier: Apache-2.0
// The pool: VMs that have booted before a container needs them (vm/spare.hpp). husk(8) "pool".
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/install_paths.hpp"
#include "lib/runtime/plan/host_facts.hpp"
#include "lib/runtime/plan/vm_plan.hpp"
#include "lib/runtime/vm/spare.hpp"

namespace husk::runtime {

struct Pool {
  const Config& config;
  const InstallPaths& paths;
  hypervisor::ConnectHypervisor connect = hypervisor::bounded_libvirt;
};

/// Takes a VM that becomes the one that is `wanted`, planned from `facts`. Empty: none suits, or none is wanted; where
/// the pool should have had one, the keeper of `wanted` has the pool filled.
std::optional<TakenSpare> take_from_pool(const Pool& pool, std::optional<VmPlan>& wanted,
                                         const HostFacts& facts);

/// Called with one line for each VM.
using PoolReport = std::function<void(const std::string&)>;

/// While another command fills or drains the pool.
enum class PoolPatience {
  wait,  ///< for ten minutes at most; then throws timed_out
  leave  ///< does nothing: a command that fills sees by itself what is missing by now
};

/// Ends the VMs that no container would get, and makes others until there are as many as the configuration says. Throws as
/// creating a container does; wrong_state where the host has too little memory.
void fill_pool(const Pool& pool, PoolPatience patience, const PoolReport& report);

/// Ends all VMs of the pool, whatever configuration they are of, once no other command fills the pool. Throws as
/// Hypervisor::destroy.
void drain_pool(const hypervisor::ConnectHypervisor& connect, const PoolReport& report);

struct PoolVm {
  std::string id;
  std::string
      state;  ///< "booting", "ready", "stale": no container gets the VM; "left": by a husk that was killed
  std::chrono::seconds age{0};
  std::uint64_t memory_bytes = 0;  ///< of the host
};
std::vector<PoolVm> list_pool(const Pool& pool);

/// Has `husk pool fill` run by a process that does not descend from this one, and does not wait for it.
void refill_pool(const std::filesystem::path& config_file);

}  // namespace husk::runtime
