// SPDX-License-Identifier: Apache-2.0
// How virtiofsd serves a VM's share.
#pragma once

#include <cstdint>
#include <filesystem>

#include "lib/handoff/file_server.hpp"
#include "lib/runtime/host/virtiofsd.hpp"

namespace husk::runtime {

handoff::FileServerSetup plan_file_server(const Virtiofsd& virtiofsd,
                                          const std::filesystem::path& share,
                                          std::uint64_t max_open_files);

}  // namespace husk::runtime
