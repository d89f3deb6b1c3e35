// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace husk::runtime {

/// The program that husk-ch becomes: `configured`, or else the first that is there of the places where libvirt's daemon looks
/// as well. Throws unsupported with the paths where none is there.
std::filesystem::path find_cloud_hypervisor(const std::optional<std::filesystem::path>& configured);

/// The version that `cloud-hypervisor --version` has printed: "53.0.0". Empty: the program is another one.
std::optional<std::string> cloud_hypervisor_version(std::string_view printed);

/// Asks the program for its version. Throws unsupported with the path where it is no Cloud Hypervisor, or older than
/// least_cloud_hypervisor; system.
std::string identify_cloud_hypervisor(const std::filesystem::path& program);

/// The major version. Earlier ones have no serial port that libvirt from 10 on and husk could use in the same way.
inline constexpr unsigned least_cloud_hypervisor = 36;

}  // namespace husk::runtime
