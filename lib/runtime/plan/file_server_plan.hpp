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

/// The share of a VM, and its guest as far as virtiofsd's options depend on the guest.
struct ServedShare {
  std::filesystem::path directory;   ///< VmPaths::shared()
  std::string kernel_release;        ///< HostFacts::kernel_release
  std::uint64_t max_open_files = 0;  ///< that the guest may have
  /// One request may wait for a server that does not answer, and the others shall not.
  bool may_wait = false;
};

struct FileServerPlan {
  std::filesystem::path program;
  std::filesystem::path directory;
  std::string kernel_release;
  std::uint64_t max_open_files = 0;
  FileCache cache = FileCache::automatic;
  unsigned threads = 0;  ///< FileOptions::threads, chosen
  bool operator==(const FileServerPlan&) const = default;
};

FileServerPlan plan_file_server(const std::filesystem::path& program, const ServedShare& share,
                                const FileOptions& options);

/// How the keeper starts the program, which identify_virtiofsd() knows. Throws unsupported for what this virtiofsd cannot
/// do.
handoff::FileServerSetup file_server_setup(const FileServerPlan& plan, const Virtiofsd& virtiofsd);

}  // namespace husk::runtime
