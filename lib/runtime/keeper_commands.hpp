// SPDX-License-Identifier: Apache-2.0
// The commands that the keeper of a VM (keeper/) runs: `husk internal COMMAND VM_ID [CONTAINER_ID]`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/hypervisor/vm.hpp"

namespace husk::runtime {

enum class KeeperCommand {
  follow_network,      ///< "follow-network": tells the guest what changed in the network namespace
  forward_connection,  ///< "forward-connection": carries the connection that is standard input
  count_oom_kill,  ///< "count-oom-kill": the guest's kernel has killed a process of the container
  correct_clock,   ///< "correct-clock": has the guest's clock follow the host's
  refill_pool,     ///< "refill-pool": a container has got the VM, which was one of the pool
  end_abandoned  ///< "end-abandoned": ends a VM whose create was killed; waits for libvirt, 60 s at most
};

/// Returns nothing if there is no such command.
std::optional<KeeperCommand> find_keeper_command(std::string_view name);

/// What a command works on.
struct KeeperWork {
  std::string vm_id, container;            ///< ids; the second for count_oom_kill
  std::filesystem::path config_file = {};  ///< for refill_pool; empty: the usual one
};

/// Throws what the command's work throws, and not_found when the VM is gone.
void run_keeper_command(KeeperCommand command, const KeeperWork& work,
                        const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
