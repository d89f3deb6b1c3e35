// SPDX-License-Identifier: Apache-2.0
// Folders and names in a VM's share.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// Throws system.
void make_folder(int parent, const std::string& name, mode_t mode);
/// Empty: there is no such folder. `name` is not followed if it is a symbolic link. Throws system.
UniqueFd find_folder(int parent, const std::string& name);
/// Removes a file, a link or an empty folder; fine if there is none. Throws system.
void remove_from_share(int parent, const std::string& name);

}  // namespace husk::runtime
