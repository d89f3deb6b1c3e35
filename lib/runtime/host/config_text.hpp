// SPDX-License-Identifier: Apache-2.0
// The settings that hold, as text: for `husk env`.
#pragma once

#include <string>

#include "lib/runtime/host/config.hpp"
#include "lib/runtime/host/install_paths.hpp"

namespace husk::runtime {

/// Formats every key of husk.toml(5) as TOML, which load_config() reads again. A comment says which ones are defaults. A
/// key whose default depends on the container is a comment altogether.
std::string format_config(const Config& config, const InstallPaths& paths);

}  // namespace husk::runtime
