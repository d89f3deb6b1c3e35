// SPDX-License-Identifier: Apache-2.0
// Where the hypervisor reaches the server of a VM's share, and what the server says.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/unique_fd.hpp"

namespace husk::runtime {

/// Makes a listening Unix socket at `path`, in a directory of root's, to which user `uid` alone may connect besides
/// root. Throws system.
UniqueFd listen_for_hypervisor(const std::filesystem::path& path, unsigned uid);

/// Makes a file in memory of a size that no process can raise: what a server prints cannot fill the host. What does not fit is
/// lost. Throws system.
UniqueFd make_bounded_log();
/// The first lines in such a file as one, at most 500 bytes, with plain characters alone; empty: nothing was printed.
std::string beginning_of_log(int log);

}  // namespace husk::runtime
