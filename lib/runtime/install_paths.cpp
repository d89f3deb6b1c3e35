// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/install_paths.hpp"

namespace husk::runtime {

InstallPaths find_install_paths() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path bin = program.parent_path();
  const std::filesystem::path prefix = bin.parent_path();
  const std::filesystem::path beside = bin / "husk-shim";
  return {.program = program,
          .shim = std::filesystem::exists(beside) ? beside : prefix / "libexec/husk/husk-shim",
          .kernel = prefix / "share/husk/vmlinuz",
          .initrd = prefix / "share/husk/initrd"};
}

}  // namespace husk::runtime
