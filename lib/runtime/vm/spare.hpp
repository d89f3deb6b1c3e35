// SPDX-License-Identifier: Apache-2.0
// VMs of the pool: they have booted, and run nothing. Such a VM is a directory as that of any VM (vm_directory.hpp), with
// a record without members and one file more, whose name says where the VM stands and which is renamed under the VM's lock
// alone:
//   spare.boots   a husk makes the VM, as long as that holds the lock
//   spare         the VM is ready; the file has the VM's key (spare_key.hpp) and the time since which it is
//   spare.taken   for good: the VM is a container's, or is about to be ended
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/directory_lock.hpp"
#include "lib/guestcomm/link/agent_client.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/runtime/vm/vm_record.hpp"

namespace husk::runtime {

/// One that a command has taken, and that its keeper ends unless it is handed over.
struct TakenSpare {
  DirectoryLock lock;  ///< of the VM's directory
  VmRecord record;     ///< with the secret by which the guest knows husk from now on
  handoff::VmKeeper keeper;
  guestcomm::AgentClient agent;  ///< the guest powers off after its last connection
};

/// A container that may have got such a VM. On destruction the VM ends, unless it was released.
class PoolClaim {
 public:
  PoolClaim(std::optional<TakenSpare> spare, hypervisor::ConnectHypervisor connect)
      : spare_(std::move(spare)), connect_(std::move(connect)) {}
  PoolClaim(const PoolClaim&) = delete;
  PoolClaim& operator=(const PoolClaim&) = delete;
  ~PoolClaim();
  const VmRecord* vm() const noexcept { return spare_ ? &spare_->record : nullptr; }
  std::optional<TakenSpare> release() {
    std::optional<TakenSpare> released = std::move(spare_);
    spare_.reset();
    return released;
  }
  void keep() noexcept {}

 private:
  std::optional<TakenSpare> spare_;
  hypervisor::ConnectHypervisor connect_;
};

/// Makes the mark of a VM that boots. The caller has the VM's lock, until mark_ready().
void mark_booting(const std::string& vm_id);
/// The VM can be taken from now on.
void mark_ready(const std::string& vm_id, const std::string& key);

/// Takes a spare of that key, no older than `max_age`, whose guest answers at once. Empty: there is none. Others are left
/// as they are, but for one that does not answer, which is ended. Warns of what goes wrong.
std::optional<TakenSpare> take_spare(const std::string& key, std::chrono::seconds max_age,
                                     const hypervisor::ConnectHypervisor& connect);

enum class SpareState {
  boots,
  ready,
  left  ///< by a husk that was killed, or its VM has ended
};

struct SpareFacts {
  std::string vm_id;
  SpareState state = SpareState::left;
  std::string key = {};                    ///< of one that is ready
  std::chrono::seconds age = {};           ///< the same
  std::optional<ProcessIdentity> process;  ///< the hypervisor's
};

/// All that belong to no container, the newest last.
std::vector<SpareFacts> find_spares();

/// Ends the spare, and removes what is left of it. False: another command has it.
bool drop_spare(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect);

}  // namespace husk::runtime
