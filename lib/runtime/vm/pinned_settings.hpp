// SPDX-License-Identifier: Apache-2.0
// CRI-O without an infra container sets a pod's sysctls and host name in namespaces that it makes, and tells them in
// no config.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "lib/oci/spec.hpp"

namespace husk::runtime {

struct PinnedSettings {
  std::map<std::string, std::string> sysctl;  ///< "net.core.somaxconn" and its value
  std::string host_name;                      ///< empty: none was given
};

/// Reads the sysctls of the network and ipc namespaces that `spec` gives by paths, where they differ from those of a
/// new namespace, and the host name of the uts namespace. The sysctls of single links and neighbours are carried with
/// the network (lib/network). Throws system.
PinnedSettings read_pinned_settings(const oci::Spec& spec);

/// What config.json says itself stays.
void add_settings(oci::Spec& spec, const PinnedSettings& settings);

}  // namespace husk::runtime
