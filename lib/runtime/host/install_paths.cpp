// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/install_paths.hpp"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

fs::path installed_shim(const fs::path& prefix) { return prefix / "libexec/husk/husk-shim"; }

InstallPaths paths_in(const fs::path& prefix, const fs::path& shim) {
  return {.program = {},
          .shim = shim,
          .keeper = shim.parent_path() / "husk-keeper",
          .ch = shim.parent_path() / "husk-ch",
          .kernel = prefix / "share/husk/vmlinuz",
          .initrd = prefix / "share/husk/initrd",
          .modules = prefix / "share/husk/modules"};
}

/// A user who can write to the directory could have root execute a husk-shim of their own: a husk is copied to
/// /var/tmp easily.
bool exists_safely(const fs::path& file) {
  std::error_code failure;
  const fs::perms directory = fs::status(file.parent_path(), failure).permissions();
  if (failure || (directory & fs::perms::others_write) != fs::perms::none) return false;
  return fs::exists(file, failure);
}

}  // namespace

InstallPaths find_install_paths_of(const fs::path& program, const fs::path& prefix) {
  const fs::path bin = program.parent_path();
  const fs::path own = bin.parent_path();
  if (exists_safely(bin / "husk-shim")) return paths_in(own, bin / "husk-shim");
  const bool is_elsewhere =
      !exists_safely(installed_shim(own)) && exists_safely(installed_shim(prefix));
  const fs::path& chosen = is_elsewhere ? prefix : own;
  return paths_in(chosen, installed_shim(chosen));
}

InstallPaths find_install_paths() {
  // The kernel resolved the symbolic links by which the program was called (proc(5)).
  const fs::path program = fs::read_symlink("/proc/self/exe");
  InstallPaths paths = find_install_paths_of(program, HUSK_PREFIX);
  // Leads to the program also after another one has taken its name.
  paths.program = "/proc/self/exe";
  return paths;
}

}  // namespace husk::runtime
