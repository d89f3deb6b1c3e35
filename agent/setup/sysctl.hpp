// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Returns the parameter's file below /proc/sys. Throws invalid_argument unless the parameter belongs to a namespace
/// the container has to itself; the network's are the guest's own.
std::string check_sysctl(const std::string& key, const oci::Spec& spec);

/// linux.sysctl but for late_sysctls, through the agent's /proc (before pivot_root), for this
/// process's namespaces.
void apply_sysctls(const oci::Spec& spec);

/// Path below /proc/sys, to the value: those of a link, which is there, with its name, when the
/// network was configured. Loopback's are not among them.
std::map<std::string, std::string> late_sysctls(const oci::Spec& spec);
/// Applies sysctls to the agent's own namespaces. Throws system, naming the one that failed.
void apply_late_sysctls(const std::map<std::string, std::string>& late);

/// The names below /proc/sys/net that the container sets.
std::set<std::string> network_sysctls(const oci::Spec& spec);

}  // namespace husk::agent
