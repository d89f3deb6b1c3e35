// SPDX-License-Identifier: Apache-2.0
// The nodes of linux.devices in a root, whose links and files are the image's.
#pragma once

#include <string>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"

namespace husk::oci {

struct DevicePlace {
  UniqueFd directory;
  std::string name;
};

/// The directory of a device's path inside root_fd, which is made if it is missing, and the name in it. Throws
/// invalid_argument for a path without a name, system.
DevicePlace make_device_place(int root_fd, const std::string& path);

/// Makes the node with its mode and owner; a file that has its name is left as it is (runc does the same). Throws
/// invalid_argument for an unknown type or a node without numbers, system.
void make_device_node(int root_fd, const Device& device);

}  // namespace husk::oci
