// SPDX-License-Identifier: Apache-2.0
// Callers whose mount namespace is not that of libvirt's daemon: Buildah calls the runtime in one of
// its own, and so does a service with PrivateMounts=.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/namespace_id.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/runtime/plan/vm_paths.hpp"

namespace husk::runtime {

/// Whether this thread's mount namespace has the VM's files, and passes on to the VM's what is mounted
/// and unmounted there. A copy of it that is private, or a slave, does not; a namespace older than the
/// VM has an empty directory.
bool shows_vm_directory(const VmPaths& paths);

/// The same for another mount namespace.
bool shows_vm_directory_in(const VmPaths& paths, int mount_namespace);

/// Whether the file leads to the network namespace in that mount namespace as well: a file on which this
/// mount namespace alone has bound the network namespace is an empty one there.
bool shows_network_in(const std::filesystem::path& file, const NamespaceId& id,
                      int mount_namespace);

/// The mount namespace that shows the VM's directory where this thread's does not: that of libvirt's
/// daemon for `uri`, or that of process 1. Empty: this thread's shows it, or neither does.
UniqueFd find_vm_directory(const VmPaths& paths, const std::string& uri);

/// For what has to be done in the mount namespace that shows the VM's directory: unsupported,
/// "/run/husk-vm/1234: is mounted in another mount namespace than husk's".
Error other_mount_namespace_error(const VmPaths& paths);

/// Mounts the VM's directory, with all that is mounted below it, in `mount_namespace` as well, unless
/// that shows it already. From then on each mount and unmount below it in one of the two namespaces
/// shows in the other. remove_vm_directory, called in either of them, removes it from both.
/// Throws unsupported where /run/husk-vm is another directory there.
void show_vm_directory(const VmPaths& paths, int mount_namespace);

}  // namespace husk::runtime
