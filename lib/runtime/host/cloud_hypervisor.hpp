// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

namespace husk::runtime {

/// The program that husk-ch becomes: `configured`, or else the first that is there of the places where libvirt's daemon looks
/// as well. Throws unsupported with the paths where none is there.
std::filesystem::path find_cloud_hypervisor(const std::optional<std::filesystem::path>& configured);

}  // namespace husk::runtime
