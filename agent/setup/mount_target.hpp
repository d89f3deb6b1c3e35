// SPDX-License-Identifier: Apache-2.0
// Where in the rootfs something is mounted: found, or made as runc makes it.
#pragma once

#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {

// Links are followed inside the root. A link that leads nowhere is followed too, and what is missing on the way is
// made (runc: SecureJoin): images have /etc/resolv.conf or /var/run as such links. Both return an O_PATH descriptor
// and throw system.

UniqueFd directory_target(int root_fd, const std::string& path);
/// A file that is made is empty.
UniqueFd file_target(int root_fd, const std::string& path);

}  // namespace husk::agent
