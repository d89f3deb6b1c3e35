// SPDX-License-Identifier: Apache-2.0
// Volumes: the sources of binds, in the share's @volumes, where each is one for all containers of the VM. virtiofsd may
// announce that a directory there is a mount (Debian 13's does). The kernel then makes a file system of the directory
// for the first who goes there in a mount namespace. One made in the agent's mount namespace is in each that is copied
// from the agent's, so that the containers have one, with one set of locks and pages.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// The sources of a spec's binds, as paths in the guest.
std::vector<std::string> bind_sources(const oci::Spec& spec);

/// Has the kernel mount the directories among `sources` in the caller's mount namespace, which is the agent's. A source
/// that cannot be opened is left to who binds it. The host may not answer.
void mount_volumes(const std::vector<std::string>& sources) noexcept;

/// Where the kernel mounted volumes here. Asks nobody. Throws system.
std::vector<std::filesystem::path> mounted_volumes();

/// Unmounts all of `mounted` but those where one of `used` leads to, the sources of the containers that are there: a
/// file system of the host is busy as long as the guest knows files of it. The host may not answer. Throws system: then
/// nothing was unmounted.
void let_go_of_volumes(const std::vector<std::filesystem::path>& mounted,
                       const std::vector<std::string>& used);

}  // namespace husk::agent
