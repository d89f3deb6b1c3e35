// SPDX-License-Identifier: Apache-2.0
// How virtiofsd serves a VM's share. Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "lib/handoff/file_server.hpp"
#include "lib/runtime/host/file_options.hpp"
#include "lib/runtime/host/virtiofsd.hpp"

namespace husk::runtime {

/// `usual`, changed by "io.husk.files.cache" and "io.husk.files.threads" of the container that makes the VM, which
/// check_own_annotations() has allowed. Throws invalid_argument with the annotation's name.
FileOptions asked_files(const std::map<std::string, std::string>& annotations,
                        const FileOptions& usual);

/// Throws unsupported for what this virtiofsd cannot do.
handoff::FileServerSetup plan_file_server(const Virtiofsd& virtiofsd,
                                          const std::filesystem::path& share,
                                          const FileOptions& options, std::uint64_t max_open_files);

}  // namespace husk::runtime
