// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {
const std::string secret(32, '5');

bool is_mounted_below(const fs::path& directory) {
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    if (line.find(directory.string()) != std::string::npos) return true;
  }
  return false;
}

struct Assets : Scratch {
  Assets() {
    std::ofstream(path() / "kernel") << "k";
    std::ofstream(path() / "initrd") << "i";
    fs::create_directories(path() / "rootfs/etc");
    std::ofstream(path() / "rootfs/etc/file") << "content";
    std::ofstream(path() / "hosts") << "127.0.0.1";
  }
};
}  // namespace

TEST_CASE("VmDirectory: pins assets, rootfs and binds, and takes all of it away again",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  const fs::path directory = VmPaths(id).directory;
  {
    VmDirectory vm(id, assets.path() / "kernel", assets.path() / "initrd", 65534, 65534, secret);
    vm.add_container("c1", assets.path() / "rootfs", {{3, assets.path() / "hosts"}});
    CHECK(read_file(vm.paths().rootfs("c1") / "etc/file", 100) == "content");
    CHECK(read_file(vm.paths().mount("c1", 3), 100) == "127.0.0.1");
    // libvirt would hand them to QEMU's user: a read-only mount does not let it.
    CHECK(::chown(vm.paths().kernel().c_str(), 65534, 65534) == -1);
    CHECK(errno == EROFS);
    std::ofstream(vm.paths().rootfs("c1") / "etc/new") << "written";
  }
  CHECK_FALSE(fs::exists(directory));
  CHECK_FALSE(is_mounted_below(directory));
  CHECK(read_file(assets.path() / "rootfs/etc/file", 100) ==
        "content");  // not followed by the removal
  CHECK(read_file(assets.path() / "rootfs/etc/new", 100) == "written");
}

TEST_CASE("VmDirectory: a failing pin names the source and leaves nothing", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  CHECK_THROWS_WITH(
      VmDirectory(id, assets.path() / "nothing", assets.path() / "initrd", 0, 0, secret),
      ContainsSubstring("guest kernel " + (assets.path() / "nothing").string()));
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
  {
    VmDirectory vm(id, assets.path() / "kernel", assets.path() / "initrd", 0, 0, secret);
    CHECK_THROWS_WITH(
        vm.add_container("c1", assets.path() / "rootfs", {{0, assets.path() / "missing"}}),
        ContainsSubstring("missing"));
  }
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
  CHECK_FALSE(is_mounted_below(VmPaths(id).directory));
}

TEST_CASE("VmDirectory: the share's top is small, read-only, and holds the secret",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  {
    VmDirectory vm(id, assets.path() / "kernel", assets.path() / "initrd", 0, 0, secret);
    vm.add_container("c1", assets.path() / "rootfs", {});
    vm.add_container("c2", assets.path() / "rootfs", {});  // the share can still be added to
    const fs::path shared = vm.paths().shared();
    CHECK(read_file(shared / "secret", 100) == secret);
    CHECK((fs::status(shared / "secret").permissions() & fs::perms::mask) == fs::perms::owner_read);
    for (const fs::path& folder : {shared, shared / "c1", shared / "c1/mounts"}) {
      CHECK(::mkdir((folder / "new").c_str(), 0755) == -1);
      CHECK(errno == EROFS);
    }
    CHECK(fs::space(shared).capacity <= 64 * 1024);
    CHECK(read_file(vm.paths().rootfs("c2") / "etc/file", 100) == "content");
  }
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
}
