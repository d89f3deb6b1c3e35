// SPDX-License-Identifier: Apache-2.0
// Naming a namespace of the host (namespaces(7)) without joining it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "lib/base/process.hpp"

namespace husk {

/// Two files with the same numbers are the same namespace, as long as it exists: the kernel gives the
/// number of one that is gone to another.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const NamespaceId&, const NamespaceId&) = default;
};

std::string to_string(const NamespaceId& id);  ///< "4:4026531839"
/// Throws invalid_argument for another form.
NamespaceId parse_namespace_id(std::string_view text);

/// type: as in /proc/PID/ns, "pid" or "net" say. Throws system if there is no such file, invalid_argument
/// "<path>: is not a namespace of type pid".
NamespaceId namespace_at(const std::filesystem::path& path, const std::string& type);
/// The namespace of exactly this process. Throws peer_lost "process 17: has ended", system.
NamespaceId namespace_of(const ProcessIdentity& process, const std::string& type);
/// Whether any process that husk may look into is in the namespace. Reads all of /proc.
bool has_process(const NamespaceId& id, const std::string& type);
/// Whether the namespace is this process's, or that of process 1 as far as husk may look.
bool is_the_hosts(const NamespaceId& id, const std::string& type);

}  // namespace husk
