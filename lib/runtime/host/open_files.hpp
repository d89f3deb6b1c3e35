// SPDX-License-Identifier: Apache-2.0
// How many files virtiofsd may have open. It keeps a descriptor for each file that the guest has looked
// up, so that a guest decides how much of the host's file table it takes.
#pragma once

#include <cstdint>

namespace husk::runtime {

/// The limit for one VM on a host with this fs.file-max: an eighth, at least 65536, at most 1000000.
std::uint64_t open_files_limit(std::uint64_t file_max);

/// The same for this host. Throws system.
std::uint64_t open_files_limit();

}  // namespace husk::runtime
