// SPDX-License-Identifier: Apache-2.0
#include "test/lib/runtime/vm_files.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"

namespace husk::test {
namespace {

namespace fs = std::filesystem;

/// Left by the end of the process, so it is for a child.
void enter_own_run() {
  check_sys(::unshare(CLONE_NEWNS), "unshare");
  check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  check_sys(::mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), "mount /run");
}

}  // namespace

std::string in_own_run(const std::function<void()>& body) {
  Pipe text = make_pipe();
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) {
    try {
      enter_own_run();
      body();
    } catch (const std::exception& e) {
      write_all(text.write_end.get(), e.what());
    }
    ::_exit(0);
  }
  text.write_end.reset();
  std::string thrown = read_all(text.read_end.get(), 65536, "the child's error");
  ::waitpid(child, nullptr, 0);
  return thrown;
}

void expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

Assets::Assets() {
  std::ofstream(path() / "kernel") << "k";
  std::ofstream(path() / "initrd") << "i";
  std::ofstream(path() / "firmware") << "f";
  fs::create_directories(path() / "rootfs/etc");
  std::ofstream(path() / "rootfs/etc/file") << "content";
  std::ofstream(path() / "hosts") << "127.0.0.1";
}

runtime::BootAssets Assets::boot() const {
  return {path() / "kernel", path() / "initrd", path() / "firmware"};
}

}  // namespace husk::test
