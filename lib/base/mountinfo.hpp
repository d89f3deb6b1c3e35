// SPDX-License-Identifier: Apache-2.0
// The mount table, /proc/self/mountinfo (proc(5)).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace husk {

struct MountEntry {
  std::string device;                 ///< "major:minor", one for each file system
  std::filesystem::path root;         ///< what of the file system is mounted; "/": all
  std::filesystem::path mount_point;  ///< as this process sees it
  /// Its group of peers passes on to it what is mounted below one of them (mount_namespaces(7)), and
  /// it is no slave of another group.
  bool is_plain_peer;
  /// The group of peers of which it is a slave, as "master:7"; empty: none.
  std::string master{};
  std::string options{};      ///< the mount's own: "rw,nosuid,relatime"
  std::string type;           ///< "tmpfs", "cgroup2"
  std::string super_options;  ///< the file system's own, as written in the table
};

/// One line of the table, blanks and the like in its paths (\040) decoded. Throws internal for one
/// of another form.
MountEntry parse_mount_entry(std::string_view line);

/// A mount namespace's, in the table's order: what is mounted on another mount comes after it.
/// Throws system.
std::vector<MountEntry> load_mount_table(
    const std::filesystem::path& table = "/proc/self/mountinfo");

}  // namespace husk
