// SPDX-License-Identifier: Apache-2.0
// Listening for the announcement of a guest that is about to boot.
#pragma once

#include <filesystem>
#include <memory>

#include "lib/guestcomm/link/announcement.hpp"

namespace husk::guestcomm {

/// On a random port, which no other guest can guess.
std::unique_ptr<Announcement> listen_vsock();
/// Listens on the Unix socket "<uds_path>_<port>", owned by uid/gid (the vsock device's user),
/// removed on destruction.
std::unique_ptr<Announcement> listen_hybrid(const std::filesystem::path& uds_path, unsigned uid,
                                            unsigned gid);

}  // namespace husk::guestcomm
