// SPDX-License-Identifier: Apache-2.0
// Callers whose mount namespace is not that of libvirt's daemon: Buildah calls the runtime in one of
// its own.
#pragma once

#include "lib/runtime/vm_paths.hpp"

namespace husk::runtime {

/// Mounts the VM's directory, with all that is mounted below it, in `mount_namespace` as well. From
/// then on each mount and unmount below it in one of the two namespaces shows in the other.
/// remove_vm_directory, called in either of them, removes it from both.
/// Throws unsupported where /run/husk-vm is another directory there.
void show_vm_directory(const VmPaths& paths, int mount_namespace);

}  // namespace husk::runtime
