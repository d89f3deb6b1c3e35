// SPDX-License-Identifier: Apache-2.0
// Mount namespaces of other processes (mount_namespaces(7)).
#pragma once

#include <sys/types.h>

#include <functional>

#include "lib/base/unique_fd.hpp"

namespace husk {

/// The mount namespace of the process `pid`, if it is another one than this thread's. Empty
/// otherwise, and where this process may not look into `pid`.
UniqueFd other_mount_namespace(pid_t pid);

/// Runs `body` in a thread that is in `mount_namespace` (a descriptor); throws what `body` throws.
void in_mount_namespace(int mount_namespace, const std::function<void()>& body);

}  // namespace husk
