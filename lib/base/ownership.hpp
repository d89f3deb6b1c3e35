// SPDX-License-Identifier: Apache-2.0
// Whether a file can be believed: a record names processes to kill and mounts to remove, so nobody
// but this process's user may be able to write one.
#pragma once

#include <filesystem>

namespace husk {

/// Throws invalid_argument, naming `path`, unless the open file belongs to this process's effective
/// user and neither its group nor others may write to it. An ACL that lets others write shows in the
/// group's bits (acl(5)).
void check_own_file(int fd, const std::filesystem::path& path);

}  // namespace husk
