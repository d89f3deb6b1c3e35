// SPDX-License-Identifier: Apache-2.0
// The words of the specification that are checked (check.cpp) or claimed (features.cpp). Private to
// lib/oci.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

namespace husk::oci {

using Names = std::span<const std::string_view>;

extern const Names hook_names;
extern const Names mount_options;         ///< that the agent implements; others are data for the fs
extern const Names supported_namespaces;  ///< sorted
extern const Names rlimit_names;
extern const Names capability_names;  ///< in the kernel's order
extern const Names seccomp_actions, seccomp_operators, seccomp_architectures, seccomp_flags;
extern const Names propagation_names;
extern const Names scheduler_policies, scheduler_flags;
extern const Names io_priority_classes;
extern const Names personality_domains;

inline bool is_one_of(std::string_view word, Names names) {
  return std::find(names.begin(), names.end(), word) != names.end();
}

}  // namespace husk::oci
