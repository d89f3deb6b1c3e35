// SPDX-License-Identifier: Apache-2.0
// What the shim sees as "/": the container's rootfs with its binds and a /proc of the shim's pid
// namespace, so that `podman cp` and `podman top`, which enter the shim's namespaces, meet the
// container and not the host.
#pragma once

#include <string>

#include "lib/oci/spec.hpp"
#include "lib/runtime/vm_directory.hpp"

namespace husk::runtime {

/// Call in a process with a mount namespace and pid namespace of its own; it ends with "/" being
/// that root. Paths are resolved inside the root: the image may hold any symbolic link. Throws.
void enter_host_root(const VmPaths& paths, const std::string& id, const oci::Spec& spec);

}  // namespace husk::runtime
