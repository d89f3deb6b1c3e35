// SPDX-License-Identifier: Apache-2.0
// The parameters of this kernel that the host asks for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lib/guestcomm/protocol/kernel_settings.hpp"

namespace husk::agent {

/// Returns, of each pair of numbers, the larger one; `own` where they are not as many, or something else than numbers.
std::string larger_numbers(const std::string& own, const std::string& wanted);

/// Raises what is at_least, and logs what fails; then sets what is exact. Returns what is wrong with the first of these
/// that cannot be set: no container shall start without it.
std::optional<std::string> apply_kernel_settings(
    const guestcomm::KernelSettings& settings, const std::filesystem::path& proc_sys = "/proc/sys");

/// The settings in the share; none, if there is no such file: an older husk started the VM.
guestcomm::KernelSettings load_kernel_settings(const std::filesystem::path& file);

}  // namespace husk::agent
