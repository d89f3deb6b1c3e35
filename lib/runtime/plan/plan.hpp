// SPDX-License-Identifier: Apache-2.0
// Plans, from the bundle and the configuration, what is asked of the hypervisor, of the guest, and of
// the host. Pure: reads nothing, changes nothing. The only place that knows both the OCI's words
// and the VM's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/hypervisor/vm.hpp"
#include "lib/oci/bundle.hpp"
#include "lib/runtime/host/config.hpp"
#include "lib/runtime/plan/guest_plan.hpp"

namespace husk::runtime {

struct HostFacts;

/// Throws unsupported for what cannot work in a VM: the host's network namespace, a
/// read-only root without a /dev. Throws invalid_argument for a bind without a source.
GuestPlan plan_guest(const std::string& id, const oci::Bundle& bundle);

/// A bind of the host's cgroup file system on /sys/fs/cgroup becomes a mount of the guest's, with the
/// same ro or rw; one on a directory below, as `podman --systemd=always` makes it for cgroup v1, goes.
/// Programs in the guest, systemd above all, need the cgroups of the guest's kernel.
oci::Spec with_guest_cgroups(oci::Spec spec);

/// Adds them to the plan. The host's tmpfs stays pinned as long as the guest has one in its place, or another one could
/// get its device number, which is the name of the guest's.
void use_shared_tmpfs(GuestPlan& plan, const std::vector<guestcomm::SharedTmpfs>& shared);

/// "ro" is the bind's own mount alone, as with runc. In the guest a bind is one mount, with whatever is
/// mounted below it on the host: for the binds of these numbers, which have mounts below, the guest's
/// mount is not made read-only, and the host alone keeps the top so. A tmpfs of the guest's stays read-only.
void leave_writable_below(GuestPlan& plan, const std::vector<std::size_t>& with_mounts_below);

/// Gives each bind the restrictions of the mount that its source is on, as the kernel does where a mount is bound. An
/// option of the bind that asks for the opposite (suid, dev, exec) holds.
void carry_restrictions(GuestPlan& plan,
                        const std::map<std::size_t, std::vector<std::string>>& options);

/// The first `count` cards of the VM of that id.
std::vector<hypervisor::NetworkCard> vm_cards(const std::string& vm_id, unsigned count);

/// For VmConfig::title and VmConfig::description, which say whose VM that is.
std::string vm_title(const std::string& container_id);
std::string vm_description(const std::string& title);

/// Fills what does not depend on the VM's directory: no paths, no vsock device.
hypervisor::VmConfig plan_vm_config(const std::string& title, const Config& config,
                                    const HostFacts& facts, const hypervisor::VmShape& shape);

/// The arguments that tell the guest's kernel of the machine (the hypervisor's driver says it), for a quick
/// start, and by the administrator, in this order.
std::string plan_kernel_arguments(const Config& config, const std::string& machine);

/// Has the guest go on while no husk and no shim is connected: the VM of a pod without a sandbox container.
inline constexpr const char* stay_argument = "husk.stay";

/// The same until the VM, one of the pool, is claimed (guestcomm::ClaimVm).
inline constexpr const char* spare_argument = "husk.spare";

/// The kernel arguments for the agent. privileged_ports: the agent keeps room for peers with these ports; an agent before
/// guestcomm::any_port_protocol refuses peers with others.
std::string plan_vsock_arguments(std::uint32_t announcement_port, bool privileged_ports);

}  // namespace husk::runtime
