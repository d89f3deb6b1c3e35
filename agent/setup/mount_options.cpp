// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/mount_options.hpp"

#include <sys/mount.h>

#include <array>
#include <string_view>

#include "lib/base/error.hpp"

namespace husk::agent {
namespace {

struct AttributeName {
  std::string_view name;
  AttributeChange change;
};

// The access time policy is one field of the attributes: setting it means clearing the field first.
constexpr std::uint64_t atime = MOUNT_ATTR__ATIME;

constexpr std::array attribute_names{
    AttributeName{"ro", {MOUNT_ATTR_RDONLY, 0}},
    AttributeName{"rw", {0, MOUNT_ATTR_RDONLY}},
    AttributeName{"nosuid", {MOUNT_ATTR_NOSUID, 0}},
    AttributeName{"suid", {0, MOUNT_ATTR_NOSUID}},
    AttributeName{"nodev", {MOUNT_ATTR_NODEV, 0}},
    AttributeName{"dev", {0, MOUNT_ATTR_NODEV}},
    AttributeName{"noexec", {MOUNT_ATTR_NOEXEC, 0}},
    AttributeName{"exec", {0, MOUNT_ATTR_NOEXEC}},
    AttributeName{"nodiratime", {MOUNT_ATTR_NODIRATIME, 0}},
    AttributeName{"diratime", {0, MOUNT_ATTR_NODIRATIME}},
    AttributeName{"nosymfollow", {MOUNT_ATTR_NOSYMFOLLOW, 0}},
    AttributeName{"symfollow", {0, MOUNT_ATTR_NOSYMFOLLOW}},
    AttributeName{"relatime", {MOUNT_ATTR_RELATIME, atime}},
    AttributeName{"atime", {MOUNT_ATTR_RELATIME, atime}},
    AttributeName{"nostrictatime", {MOUNT_ATTR_RELATIME, atime}},
    AttributeName{"noatime", {MOUNT_ATTR_NOATIME, atime}},
    AttributeName{"strictatime", {MOUNT_ATTR_STRICTATIME, atime}},
    AttributeName{"norelatime", {MOUNT_ATTR_STRICTATIME, atime}},
};

const AttributeChange* find_attribute(std::string_view name) {
  for (const AttributeName& known : attribute_names) {
    if (known.name == name) return &known.change;
  }
  return nullptr;
}

/// A later option that sets an attribute undoes an earlier one that clears it, and the other way round.
void add(AttributeChange& total, const AttributeChange& change) {
  total.set = (total.set & ~(change.set | change.clear)) | change.set;
  total.clear = (total.clear & ~change.set) | change.clear;
  if ((change.clear & atime) != 0) total.clear |= atime;
}

/// "rro": as "ro", for every mount below too. The option "ro" itself starts with r, so both are
/// tried.
const AttributeChange* find_tree_attribute(std::string_view name) {
  return name.starts_with('r') ? find_attribute(name.substr(1)) : nullptr;
}

/// Words that mean something to mount(8) or to engines only.
bool is_ignored(std::string_view option) {
  return option.empty() || option == "defaults" || option == "async" || option == "loud" ||
         option == "notmpcopyup" || option == "z" || option == "Z";
}

bool parse_kind(const std::string& option, MountOptions& parsed) {
  if (option == "bind" || option == "rbind") {
    parsed.bind = true;
    parsed.recursive_bind |= option == "rbind";
  } else if (option == "remount") {
    parsed.remount = true;
  } else if (option == "tmpcopyup") {
    parsed.copy_up = true;
  } else if (option == "idmap" || option == "ridmap") {
    throw Error(Errc::unsupported,
                "mount option " + option + ": id-mapped mounts are not supported");
  } else {
    return false;
  }
  return true;
}

bool parse_attribute(const std::string& option, MountOptions& parsed) {
  if (const AttributeChange* change = find_attribute(option)) {
    add(parsed.attributes, *change);
  } else if (const AttributeChange* tree_change = find_tree_attribute(option)) {
    add(parsed.tree_attributes, *tree_change);
  } else if (const auto propagation = find_propagation(option)) {
    parsed.propagation.push_back(*propagation);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::optional<PropagationChange> find_propagation(const std::string& name) {
  const bool recursive = name.starts_with('r');
  const std::string_view type = std::string_view(name).substr(recursive ? 1 : 0);
  if (type == "shared") return PropagationChange{MS_SHARED, recursive};
  if (type == "slave") return PropagationChange{MS_SLAVE, recursive};
  if (type == "private") return PropagationChange{MS_PRIVATE, recursive};
  if (type == "unbindable") return PropagationChange{MS_UNBINDABLE, recursive};
  return std::nullopt;
}

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    if (is_ignored(option) || parse_kind(option, parsed) || parse_attribute(option, parsed))
      continue;
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) {
      parsed.filesystem.emplace_back(option, std::nullopt);
    } else {
      parsed.filesystem.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
  }
  return parsed;
}

}  // namespace husk::agent
