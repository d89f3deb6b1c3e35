// SPDX-License-Identifier: Apache-2.0
// The parameters of this kernel that the host asks for.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "lib/guestcomm/protocol/kernel_settings.hpp"

namespace husk::agent {

/// Returns, of each pair of numbers, the larger one; `own` where they are not as many, or something else than numbers.
std::string larger_numbers(const std::string& own, const std::string& wanted);

struct AppliedSettings {
  std::set<std::string> changed;  ///< paths below /proc/sys
  std::optional<std::string>
      refusal;  ///< what is wrong with the first exact one that cannot be set
};

/// Raises what is at_least, and logs what fails; then sets what is exact. No container shall start without one of these.
AppliedSettings apply_kernel_settings(const guestcomm::KernelSettings& settings,
                                      const std::filesystem::path& proc_sys = "/proc/sys");

/// The settings in the share; none, if there is no such file: an older husk started the VM.
guestcomm::KernelSettings load_kernel_settings(const std::filesystem::path& file);

}  // namespace husk::agent
