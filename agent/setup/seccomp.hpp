// SPDX-License-Identifier: Apache-2.0
// linux.seccomp as a kernel filter, by libseccomp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// "SCMP_ACT_ERRNO" with its value → libseccomp's action. Throws invalid_argument for an unknown
/// name, unsupported for SCMP_ACT_NOTIFY (its listener lives on the host).
std::uint32_t seccomp_action(const std::string& name, std::optional<std::uint32_t> errno_ret);

/// Installs the filter for this process. System calls that libseccomp does not know are skipped, as
/// runc does.
void apply_seccomp(const oci::Seccomp& seccomp);

/// The filter as the kernel gets it (struct sock_filter[]), without installing it.
std::vector<char> export_seccomp(const oci::Seccomp& seccomp);

}  // namespace husk::agent
