// SPDX-License-Identifier: Apache-2.0
// The kernel's modules in the initrd (rootfs-builder/initrd), in the order of when they are needed:
// each takes milliseconds of every start.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agent/loop/event_loop.hpp"

namespace husk::agent {

/// Loads the modules by which the guest reaches its host and its files. Logs the ones that fail.
void load_first_modules();

/// The others, one in a turn of the loop, so that requests get in between: first those of network
/// cards, for which configure_network waits; after a second those that no start needs.
void load_other_modules(EventLoop& loop);

/// Says what is wrong where `directory`, the modules that are loaded on demand, has files and none of them are of the
/// kernel `release` (uname -r). Nothing where the directory is empty or missing: such a guest has no modules.
std::optional<std::string> wrong_modules(const std::filesystem::path& directory,
                                         const std::string& release);

}  // namespace husk::agent
