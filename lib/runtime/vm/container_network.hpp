// SPDX-License-Identifier: Apache-2.0
// Between the network namespace that the caller wires for a container, and its VM's cards.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/hypervisor/network_card.hpp"
#include "lib/network/plan.hpp"
#include "lib/network/plug.hpp"
#include "lib/runtime/plan/network_facts.hpp"
#include "lib/runtime/vm/vm_handle.hpp"

namespace husk::runtime {

/// Throws as NetworkNamespace::of_path, and unsupported for an interface that cannot be carried.
NetworkFacts find_network_facts(const std::filesystem::path& path);

/// Throws peer_lost "the shim: process 1234: has ended", system.
network::NetworkNamespace network_of(const ProcessIdentity& shim);

/// Moves the taps of a VM that was just started to where its container's interfaces are or will be:
/// into the namespace of its shim. Throws system, peer_lost, unsupported for the host's own namespace.
void place_taps(const std::vector<hypervisor::NetworkCard>& cards, const ProcessIdentity& shim);

/// Moves them into a new network namespace, which is bound on the file `parking`, until a container gets the VM.
/// Throws system.
void park_taps(const std::vector<hypervisor::NetworkCard>& cards,
               const std::filesystem::path& parking);
/// Moves them from there into the namespace of `shim`, and takes the one of `parking` away. Throws as place_taps.
void place_parked_taps(const std::vector<hypervisor::NetworkCard>& cards,
                       const std::filesystem::path& parking, const ProcessIdentity& shim);

/// The network that the caller has wired by now, carried into the guest. Undone on destruction unless kept, as far
/// as it was not there before.
class ContainerNetwork {
 public:
  /// Reads the namespace of `shim`, and gives the guest what is in it, unless it was given just that
  /// before. `lock`: VmHandle::lock_network(), taken before anything of the namespace was read. Throws
  /// unsupported and system, with the interface's name; unsupported for the host's own namespace; peer_lost if
  /// `shim` has ended; what the agent answers.
  ContainerNetwork(DirectoryLock lock, const ProcessIdentity& shim, VmHandle& vm,
                   const hypervisor::ConnectHypervisor& connect, guestcomm::AgentClient& agent);
  void keep() noexcept;

 private:
  /// False: they are there already. `ports` keeps the namespace's range of ports.
  bool plug(const std::filesystem::path& ports, const network::NetworkNamespace& ns,
            const std::vector<network::PlannedPlug>& wanted,
            const std::vector<network::PluggedInterface>& present);
  DirectoryLock lock_;
  std::vector<network::Plug> plugs_;
};

/// After something changed in the namespace of a VM's containers (`docker network connect`): what is
/// there now, carried into the guest. Before the first of them starts there is nothing to be done:
/// its start will see it. Throws as ContainerNetwork.
void follow_network(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect);

/// Takes what husk added for an ended VM away from the interfaces of a namespace that the caller has
/// made, and may go on with, by now perhaps with another VM. Without another VM in it, the namespace
/// gets its range of ports back as well. Fine if it is gone. Reads the VM's directory.
void unplug_all(const std::filesystem::path& network_namespace, const std::string& vm_id);

}  // namespace husk::runtime
