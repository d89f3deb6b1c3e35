// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/vm_files.hpp"

#include <sys/mount.h>

#include <fstream>

#include "lib/base/error.hpp"
#include "test/lib/base/private_mounts.hpp"

namespace husk::test {
namespace {

namespace fs = std::filesystem;

/// Left by the end of the process, so it is for a child.
void enter_own_run() {
  enter_private_mounts();
  check_sys(::mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), "mount /run");
}

}  // namespace

std::string in_own_run(const std::function<void()>& body) {
  return thrown_in_child([&] {
    enter_own_run();
    body();
  });
}

bool is_mounted_below(const fs::path& directory) {
  std::ifstream table("/proc/thread-self/mountinfo");
  for (std::string line; std::getline(table, line);)
    if (line.find(directory.string()) != std::string::npos) return true;
  return false;
}

Assets::Assets() {
  std::ofstream(path() / "kernel") << "k";
  std::ofstream(path() / "initrd") << "i";
  std::ofstream(path() / "firmware") << "f";
  fs::create_directories(path() / "modules/6.1");
  std::ofstream(path() / "modules/6.1/modules.dep") << "m";
  fs::create_directories(path() / "rootfs/etc");
  std::ofstream(path() / "rootfs/etc/file") << "content";
  std::ofstream(path() / "hosts") << "127.0.0.1";
}

runtime::BootAssets Assets::boot() const {
  return {path() / "kernel", path() / "initrd", path() / "firmware", path() / "modules"};
}

}  // namespace husk::test
