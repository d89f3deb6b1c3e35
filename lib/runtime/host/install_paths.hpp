// SPDX-License-Identifier: Apache-2.0
// Where husk's own files are: relative to its program, so that a build directory works without
// installing; else in the prefix that the build was configured with.
#pragma once

#include <filesystem>

namespace husk::runtime {

struct InstallPaths {
  std::filesystem::path program = {};    ///< husk itself, to be opened by this process
  std::filesystem::path shim;            ///< husk-shim, beside husk or in ../libexec/husk
  std::filesystem::path keeper = {};     ///< husk-keeper, beside husk-shim
  std::filesystem::path ch = {};         ///< husk-ch, the same
  std::filesystem::path kernel, initrd;  ///< ../share/husk/{vmlinuz,initrd}
  std::filesystem::path modules = {};    ///< ../share/husk/modules
};

/// The paths for a program whose own path holds no symbolic link. All files come from one place, the program's own or `prefix`:
/// those of two versions may not fit together. The program's own is where a husk-shim is; a directory that everybody
/// may write to does not count. Where neither place has a husk-shim the paths are the program's own. Does not look
/// whether the other files exist: whoever opens one says so.
InstallPaths find_install_paths_of(const std::filesystem::path& program,
                                   const std::filesystem::path& prefix);

/// The paths for the running program, with CMAKE_INSTALL_PREFIX.
InstallPaths find_install_paths();

}  // namespace husk::runtime
