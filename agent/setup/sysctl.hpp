// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Its file below /proc/sys. Throws invalid_argument unless the parameter belongs to a namespace
/// the container has to itself; the network's are the guest's own.
std::string check_sysctl(const std::string& key, const oci::Spec& spec);

/// linux.sysctl, through the agent's /proc (before pivot_root), for this process's namespaces.
void apply_sysctls(const oci::Spec& spec);

}  // namespace husk::agent
