// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "lib/base/process.hpp"

namespace husk::keeper {

/// Reads the shims of a VM's containers from the VM's record (lib/runtime/vm/vm_record.hpp), of any
/// version: "members", an array of {"shim": {"pid", "startTime"}}, keeps its name and meaning. Whether the
/// VM ends depends on it, so no other program is asked. Throws system, invalid_argument.
std::vector<ProcessIdentity> read_shims(const std::filesystem::path& record);

/// Whether the record lists containers, with or without a shim. Throws as read_shims().
bool has_members(const std::filesystem::path& record);

}  // namespace husk::keeper
