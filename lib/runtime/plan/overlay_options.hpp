// SPDX-License-Identifier: Apache-2.0
// The options of a mount of type overlay: those that overlayfs reads on the host, and those that are for the guest's bind.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "lib/oci/spec.hpp"
#include "lib/runtime/plan/guest_plan.hpp"

namespace husk::runtime {

/// What the host has to make for mounts[number]; `mount` becomes the bind that the guest makes of that. Relative
/// directories are the bundle's. Throws invalid_argument naming the field.
PinnedMount plan_overlay(std::size_t number, const std::filesystem::path& bundle,
                         oci::Mount& mount);

/// The directories that a mount of type overlay names, as its options name them; none for another mount, or one that
/// plan_overlay() refuses.
std::vector<std::filesystem::path> overlay_directories(const oci::Mount& mount);

}  // namespace husk::runtime
