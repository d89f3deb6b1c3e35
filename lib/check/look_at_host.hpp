// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "lib/check/host.hpp"

namespace husk::check {

/// Looks at everything that `husk check` judges. What is missing or broken is in the answer, not thrown. Starts libvirt's
/// daemon if none listens, as a create does; starts no VM but run_tiny_vm()'s. Takes some 200 ms, a minute more where
/// libvirt does not answer, and half a minute more where the file
/// systems of config.toml's paths do not. Forks: call while the process has one thread.
Host look_at_host(const std::filesystem::path& config);

}  // namespace husk::check
