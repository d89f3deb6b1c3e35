// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace husk::agent {
/// Copies what is in directory `from_fd` (O_PATH will do) into directory `to_fd`: files,
/// directories, links, devices, with owner, mode and times. Never follows a link. For "tmpcopyup".
void copy_tree(int from_fd, int to_fd);
}  // namespace husk::agent
