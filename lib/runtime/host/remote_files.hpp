// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "lib/base/mountinfo.hpp"

namespace husk::runtime {

/// Whether what is at the absolute `path`, or mounted below when `recursive`, is on a file system that another machine or
/// another process serves (NFS, FUSE, ...), and may stop answering. Looks at the table alone, and so asks no such file
/// system; symbolic links in the path are not followed.
bool has_remote_files(const std::vector<MountEntry>& table, const std::filesystem::path& path,
                      bool recursive);

}  // namespace husk::runtime
