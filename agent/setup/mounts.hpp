// SPDX-License-Identifier: Apache-2.0
// The mounts of config.json, each at its place inside the rootfs.
#pragma once

#include <vector>

#include "lib/base/unique_fd.hpp"
#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Makes all mounts in order. Returns those that must become read-only once /dev and the mount
/// points in them are made: seal_mounts().
std::vector<UniqueFd> apply_mounts(int root_fd, const oci::Spec& spec);
void seal_mounts(const std::vector<UniqueFd>& mounts);

}  // namespace husk::agent
