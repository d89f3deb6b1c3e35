// SPDX-License-Identifier: Apache-2.0
// A container's files in the share of its VM: its rootfs and its bind sources, each held by a mount of
// husk's own, so that callers may drop theirs once create has returned.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/runtime/plan/guest_plan.hpp"
#include "lib/runtime/plan/vm_paths.hpp"
#include "lib/runtime/vm/volumes.hpp"

namespace husk::runtime {

/// A container's files, opened and restricted, attached nowhere.
struct OpenFiles {
  UniqueFd rootfs;
  std::map<std::size_t, VolumeSource> binds;  ///< by their mounts' numbers
};

/// May wait for each source. Throws system, naming the source; timed_out for a source that does not answer.
OpenFiles open_files(const std::filesystem::path& rootfs, const GuestPlan& plan);

// The two below change what containers of the VM have in common: call them with the VM's lock.

/// Mounts the rootfs below shared/<id>, and each bind source as a volume (volumes.hpp). A mount that is to be
/// read-only is so before virtiofsd sees the mount, whatever the guest does, unless a container of the VM has the same
/// source writable. Returns what is known of the binds then. What a failure leaves is for
/// unpin_files. Throws system.
PinnedBinds pin_files(const VmPaths& paths, const std::string& id, const OpenFiles& files);

/// Detaches the rootfs, removes shared/<id>, and detaches the volumes that no container uses; fine if there is nothing.
/// Throws system.
void unpin_files(const VmPaths& paths, const std::string& id);

}  // namespace husk::runtime
