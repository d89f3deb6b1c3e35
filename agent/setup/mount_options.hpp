// SPDX-License-Identifier: Apache-2.0
// The options of a mount in config.json, as the kernel's mount calls want them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace husk::agent {

struct AttributeChange {  ///< MOUNT_ATTR_* for mount_setattr(2)
  std::uint64_t set = 0, clear = 0;
  bool empty() const { return set == 0 && clear == 0; }
  friend bool operator==(const AttributeChange&, const AttributeChange&) = default;
};

struct PropagationChange {
  std::uint64_t type = 0;  ///< MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE
  bool recursive = false;
  friend bool operator==(const PropagationChange&, const PropagationChange&) = default;
};

struct MountOptions {
  bool bind = false;            ///< "bind" or "rbind"
  bool recursive_bind = false;  ///< "rbind"
  bool remount = false;
  bool copy_up = false;             ///< "tmpcopyup"
  AttributeChange attributes;       ///< "ro", "nosuid", ...
  AttributeChange tree_attributes;  ///< "rro", "rnosuid", ...: with every mount below
  std::vector<PropagationChange> propagation;
  /// Other options go to the file system: "size=64m" as {size, 64m}, "sync" as {sync, none}.
  std::vector<std::pair<std::string, std::optional<std::string>>> filesystem;
};

/// Later options win over earlier ones, as with mount(8). Throws unsupported for id-mapped mounts.
MountOptions parse_mount_options(const std::vector<std::string>& options);

/// "rshared" and the like, as in linux.rootfsPropagation. Empty if it is none of them.
std::optional<PropagationChange> find_propagation(const std::string& name);

}  // namespace husk::agent
