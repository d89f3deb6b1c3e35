// SPDX-License-Identifier: Apache-2.0
// Where husk's own files are: relative to its program, so that a build directory works without
// installing.
#pragma once

#include <filesystem>

namespace husk::runtime {

struct InstallPaths {
  std::filesystem::path program = {};    ///< husk itself
  std::filesystem::path shim;            ///< husk-shim, beside husk or in ../libexec/husk
  std::filesystem::path kernel, initrd;  ///< ../share/husk/{vmlinuz,initrd}
};

/// From /proc/self/exe. Does not look whether the files exist: whoever opens one says so.
InstallPaths find_install_paths();

}  // namespace husk::runtime
