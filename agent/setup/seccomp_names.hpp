// SPDX-License-Identifier: Apache-2.0
// The specification's words for seccomp as libseccomp's numbers.
#pragma once

#include <seccomp.h>

#include <cstdint>
#include <string>

namespace husk::agent {

/// "SCMP_ARCH_X86_64" → libseccomp's token. Throws invalid_argument for an unknown name.
std::uint32_t find_architecture(const std::string& name);

/// "SCMP_CMP_EQ" → libseccomp's operator. Throws invalid_argument for an unknown name.
scmp_compare find_operator(const std::string& name);

}  // namespace husk::agent
