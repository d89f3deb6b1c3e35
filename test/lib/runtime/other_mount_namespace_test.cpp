// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/other_mount_namespace.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mount_namespace.hpp"
#include "lib/base/random_id.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/vm/vm_directory.hpp"
#include "test/lib/base/child.hpp"
#include "test/lib/base/private_mounts.hpp"
#include "test/lib/runtime/vm_files.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Assets;
using husk::test::expect;
using husk::test::is_mounted_below;
using husk::test::kernel_settings;
using husk::test::secret;

namespace fs = std::filesystem;

namespace {

/// A mount namespace of this process's own; returns the one that it leaves.
UniqueFd enter_new_namespace() {
  UniqueFd left{check_sys(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "open ns/mnt")};
  test::enter_private_mounts();
  return left;
}

/// Runs `body` in a child that has left two mount namespaces, and gives it the second; returns "", or
/// what it threw. The namespaces' mounts end with the child.
std::string between_namespaces(const std::function<void(int daemons)>& body) {
  return test::thrown_in_child([&] {
    enter_new_namespace();
    const UniqueFd daemons = enter_new_namespace();
    body(daemons.get());
  });
}

}  // namespace

TEST_CASE("show_vm_directory: mounts and unmounts show in both namespaces", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  const VmPaths paths(id);
  const fs::path root = assets.path() / "rootfs";
  const auto steps = [&](int daemons) {
    const auto there = [&](const std::function<void()>& body) {
      in_mount_namespace(daemons, body);
    };
    {
      VmDirectory vm(id, assets.boot(), secret, kernel_settings);
      vm.add_container("c1", root, {});
      there([&] { expect(!fs::exists(paths.kernel()), "is not another namespace"); });
      show_vm_directory(paths, daemons);
      vm.add_container("c2", root, {});
      there([&] {
        expect(read_file(paths.kernel(), 100) == "k", "no kernel");
        expect(read_file(paths.shared() / "secret", 100) == secret, "no share");
        for (const char* name : {"c1", "c2"})
          expect(read_file(paths.rootfs(name) / "etc/file", 100) == "content", "no rootfs");
        const UniqueFd copy = copy_mount("/run", true);
        expect(!fs::exists(fd_path(copy.get()) + "/husk-vm/" + id + "/vmlinuz"), "binds take it");
      });
      vm.remove_container("c1");
      there([&] { expect(!is_mounted_below(paths.rootfs("c1")), "c1 is still mounted"); });
    }
    there([&] {
      expect(!is_mounted_below(paths.directory), "the directory is still mounted");
      expect(!fs::exists(paths.directory), "the directory is there");
    });
  };
  CHECK(between_namespaces(steps).empty());
  CHECK_FALSE(fs::exists(paths.directory));
}

TEST_CASE("show_vm_directory: the other side may remove the directory", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  CHECK(between_namespaces([&](int daemons) {
          VmDirectory vm(id, assets.boot(), "secret", kernel_settings);
          vm.keep();
          show_vm_directory(vm.paths(), daemons);
          in_mount_namespace(daemons, [&] { remove_vm_directory(id); });
          expect(!is_mounted_below(vm.paths().directory), "the directory is still mounted");
        }).empty());
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
}

TEST_CASE("show_vm_directory: another /run is refused by name", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  const bool has_vms = GENERATE(true, false);
  const auto steps = [&](int daemons) {
    in_mount_namespace(daemons, [&] {
      check_sys(::mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), "mount /run");
      if (has_vms) fs::create_directories("/run/husk-vm");
    });
    VmDirectory vm(id, assets.boot(), "secret", kernel_settings);
    show_vm_directory(vm.paths(), daemons);
  };
  CHECK_THAT(between_namespaces(steps),
             ContainsSubstring(
                 "/run/husk-vm: is another directory in the mount namespace of libvirt's daemon"));
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
}

TEST_CASE("shows_network_in: a namespace that is bound in one mount namespace alone is not shown",
          "[runtime][root]") {
  CHECK(test::thrown_in_child([] {
          enter_new_namespace();
          check_sys(::mount("husk-test", "/mnt", "tmpfs", 0, nullptr), "mount");
          for (const char* file : {"/mnt/both", "/mnt/one"}) write_file_atomic(file, "", 0600);
          const auto bind = [](const char* file) {
            check_sys(::mount("/proc/self/ns/net", file, nullptr, MS_BIND, nullptr), "bind");
          };
          bind("/mnt/both");
          const UniqueFd systemds = enter_new_namespace();
          bind("/mnt/one");
          const NamespaceId id = namespace_at("/proc/self/ns/net", "net");
          expect(shows_network_in("/mnt/both", id, systemds.get()), "/mnt/both is not shown");
          expect(!shows_network_in("/mnt/one", id, systemds.get()), "/mnt/one is shown");
          expect(!shows_network_in("/mnt/none", id, systemds.get()), "/mnt/none is shown");
          expect(namespace_at("/mnt/one", "net") == id, "the thread stays in the other namespace");
        }) == "");
}
