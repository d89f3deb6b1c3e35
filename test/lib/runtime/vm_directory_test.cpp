// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/vm_directory.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "test/lib/base/scratch.hpp"
#include "test/lib/runtime/vm_files.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using husk::test::Assets;
using husk::test::expect;
using husk::test::in_own_run;
using husk::test::is_mounted_below;
using husk::test::kernel_settings;
using husk::test::Scratch;
using husk::test::secret;

namespace fs = std::filesystem;

namespace {
GuestPlan with_binds(std::vector<PinnedMount> binds) {
  return {.spec = {}, .binds = std::move(binds)};
}

/// 0, or the errno of making a file in it.
int write_error(const fs::path& directory) {
  const std::string name = "written-" + random_hex(4);
  const UniqueFd fd{::open((directory / name).c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  return fd ? 0 : errno;
}

/// A directory with a tmpfs on its "below".
struct Tree : Scratch {
  Tree() {
    fs::create_directories(path() / "below");
    if (::mount("tmpfs", (path() / "below").c_str(), "tmpfs", 0, "size=64k") != 0) FAIL("mount");
    std::ofstream(path() / "below/file") << "mounted";
  }
  ~Tree() { ::umount2((path() / "below").c_str(), MNT_DETACH); }
};

oci::Mount mount_of(const std::string& type, const std::string& destination) {
  oci::Mount mount;
  mount.type = type;
  mount.destination = destination;
  return mount;
}

std::tuple<unsigned, unsigned, unsigned> owner_and_mode(const fs::path& path) {
  struct stat info {};
  expect(::lstat(path.c_str(), &info) == 0, "stat " + path.string());
  return {info.st_uid, info.st_gid, info.st_mode & 07777U};
}
}  // namespace

TEST_CASE("VmDirectory: pins assets, rootfs and binds, and takes all of it away again",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  const fs::path directory = VmPaths(id).directory;
  {
    VmDirectory vm(id, assets.boot(), secret, kernel_settings);
    vm.add_container("c1", assets.path() / "rootfs",
                     with_binds({{.number = 3, .source = assets.path() / "hosts"}}));
    CHECK(read_file(vm.paths().rootfs("c1") / "etc/file", 100) == "content");
    CHECK(read_file(vm.paths().mount("c1", 3), 100) == "127.0.0.1");
    // libvirt would hand them to QEMU's user: a read-only mount does not let it.
    CHECK(::chown(vm.paths().kernel().c_str(), 65534, 65534) == -1);
    CHECK(errno == EROFS);
    // Not its place in /usr/share, where AppArmor's helper refuses it.
    CHECK(read_file(vm.paths().firmware(), 100) == "f");
    const fs::path modules = vm.paths().shared() / guestcomm::share_modules;
    CHECK(read_file(modules / "6.1/modules.dep", 100) == "m");
    CHECK(::unlink((modules / "6.1/modules.dep").c_str()) == -1);
    CHECK(errno == EROFS);
    // QEMU's user gets through the first to one socket; the second is the device's alone.
    CHECK(owner_and_mode(vm.paths().vsock()) == std::tuple(0U, 0U, 0711U));
    const unsigned device = hypervisor::device_uid(id);
    CHECK(owner_and_mode(vm.paths().vsock_device()) == std::tuple(device, device, 0700U));
    std::ofstream(vm.paths().rootfs("c1") / "etc/new") << "written";
  }
  CHECK_FALSE(fs::exists(directory));
  CHECK_FALSE(is_mounted_below(directory));
  CHECK(read_file(assets.path() / "rootfs/etc/file", 100) ==
        "content");  // not followed by the removal
  CHECK(read_file(assets.path() / "rootfs/etc/new", 100) == "written");
}

TEST_CASE("VmDirectory: gives back what it pinned of one container, and keeps the others'",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  VmDirectory vm(random_hex(4), assets.boot(), secret, kernel_settings);
  const auto binds = with_binds({{.number = 0, .source = assets.path() / "hosts"},
                                 {.number = 1, .source = assets.path() / "rootfs"}});
  for (const char* id : {"c1", "c2"}) vm.add_container(id, assets.path() / "rootfs", binds);
  vm.remove_container("c1");
  CHECK_FALSE(is_mounted_below(vm.paths().shared() / "c1"));
  CHECK_FALSE(fs::exists(vm.paths().shared() / "c1"));
  CHECK(read_file(vm.paths().mount("c2", 0), 100) == "127.0.0.1");
  CHECK(read_file(vm.paths().rootfs("c2") / "etc/file", 100) == "content");
  CHECK_NOTHROW(vm.remove_container("c1"));
  vm.add_container("c1", assets.path() / "rootfs", binds);
  CHECK(read_file(vm.paths().mount("c1", 1) / "etc/file", 100) == "content");
}

TEST_CASE("VmDirectory: a failing pin names the source and leaves nothing", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const std::string id = random_hex(4);
  BootAssets without_kernel = assets.boot();
  without_kernel.kernel = assets.path() / "nothing";
  CHECK_THROWS_WITH(VmDirectory(id, without_kernel, secret, kernel_settings),
                    ContainsSubstring("guest kernel " + without_kernel.kernel.string()));
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
  BootAssets without_modules = assets.boot();
  without_modules.modules = assets.path() / "kernel";
  CHECK_THROWS_WITH(
      VmDirectory(id, without_modules, secret, kernel_settings),
      "guest modules " + without_modules.modules.string() + " are missing, or not a directory");
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
  without_modules.modules.clear();
  CHECK_NOTHROW(VmDirectory(id, without_modules, secret, kernel_settings));
  {
    VmDirectory vm(id, assets.boot(), secret, kernel_settings);
    CHECK_THROWS_WITH(
        vm.add_container("c1", assets.path() / "rootfs",
                         with_binds({{.number = 0, .source = assets.path() / "missing"}})),
        ContainsSubstring("mount source: bind " + (assets.path() / "missing").string()));
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
    VmDirectory vm(id, assets.boot(), secret, kernel_settings);
    vm.add_container("c1", assets.path() / "rootfs", with_binds({}));
    vm.add_container("c2", assets.path() / "rootfs",
                     with_binds({}));  // the share can still be added to
    const fs::path shared = vm.paths().shared();
    CHECK(owner_and_mode(shared) == std::tuple(0U, 0U, 0700U));
    CHECK(read_file(shared / "secret", 100) == secret);
    CHECK((fs::status(shared / "secret").permissions() & fs::perms::mask) == fs::perms::owner_read);
    for (const fs::path& folder : {shared, shared / "c1", shared / "c1/mounts"}) {
      CHECK(::mkdir((folder / "new").c_str(), 0755) == -1);
      CHECK(errno == EROFS);
    }
    CHECK(fs::space(shared).capacity <= 96 * 1024);
    CHECK(read_file(vm.paths().rootfs("c2") / "etc/file", 100) == "content");
  }
  CHECK_FALSE(fs::exists(VmPaths(id).directory));
}

TEST_CASE("VmDirectory: binds are read-only and recursive as asked, on the host",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const Tree tree;
  VmDirectory vm(random_hex(4), assets.boot(), secret, kernel_settings);
  const auto bind = [&](std::size_t n, bool recursive, bool ro, std::optional<bool> rro) {
    return PinnedMount{n, tree.path(), recursive, ro, rro, false};
  };
  CHECK(vm.add_container("c1", assets.path() / "rootfs",
                         with_binds({bind(0, false, false, {}),
                                     bind(1, true, true, {}),
                                     bind(2, true, false, true),
                                     bind(3, true, false, {}),
                                     {.number = 4, .source = assets.path(), .recursive = true}}))
            .with_mounts_below == std::vector<std::size_t>{1, 2, 3});  // those with mounts below
  const auto at = [&](std::size_t n) { return vm.paths().mount("c1", n); };
  CHECK(write_error(at(0)) == 0);
  CHECK_FALSE(fs::exists(at(0) / "below/file"));  // not recursive
  CHECK(write_error(at(1)) == EROFS);
  CHECK(write_error(at(1) / "below") == 0);  // "ro" is the top's alone, as with runc
  CHECK(write_error(at(2)) == EROFS);        // has mounts below, so has a mount of its own
  CHECK(write_error(at(2) / "below") == EROFS);
  CHECK(write_error(at(3) / "below") == 0);
  CHECK(write_error(tree.path()) == 0);  // the caller's own mounts are as they were
}

TEST_CASE("VmDirectory: a read-only rootfs has its mount points, made inside of it",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const Scratch outside;
  const fs::path rootfs = assets.path() / "rootfs";
  fs::create_symlink(outside.path(), rootfs / "link");
  fs::create_directories(rootfs / outside.path().relative_path());  // where the link leads
  GuestPlan plan;
  plan.spec.root = oci::Root{.path = "", .readonly = true};
  plan.spec.process.emplace().cwd = "/work/dir";
  plan.spec.mounts = {mount_of("tmpfs", "/scratch"),     mount_of("tmpfs", "/dev"),
                      mount_of("devpts", "/dev/pts"),    mount_of("bind", "/conf/hosts"),
                      mount_of("tmpfs", "/link/inside"), mount_of("bind", "/link/file"),
                      mount_of("tmpfs", "/there"),       mount_of("proc", "/var/proc")};
  fs::create_directory(rootfs / "there");
  fs::permissions(rootfs / "there", fs::perms{0750});
  plan.binds = {{.number = 3, .source = assets.path() / "hosts"},
                {.number = 5, .source = assets.path() / "hosts"}};
  VmDirectory vm(random_hex(4), assets.boot(), secret, kernel_settings);
  vm.add_container("c1", rootfs, plan);
  const fs::path shared = vm.paths().rootfs("c1");
  CHECK(write_error(shared) == EROFS);
  CHECK(fs::is_directory(shared / "scratch"));
  // The guest's tmpfs takes the mode: a missing mount point gets the kernel's default for a tmpfs.
  CHECK(fs::status(shared / "scratch").permissions() == fs::perms{01777});
  CHECK(fs::status(shared / "there").permissions() == fs::perms{0750});
  CHECK(fs::status(shared / "var/proc").permissions() == fs::perms{0755});
  CHECK(fs::is_directory(shared / "work/dir"));
  CHECK(fs::is_regular_file(shared / "conf/hosts"));
  CHECK(fs::is_directory(shared / "dev"));
  CHECK_FALSE(fs::exists(shared / "dev/pts"));  // is made in the guest's tmpfs
  CHECK(fs::is_directory(shared / outside.path().relative_path() / "inside"));
  CHECK(fs::is_empty(outside.path()));
  CHECK(write_error(rootfs) == 0);
}

TEST_CASE("VmDirectory: proc and sysfs on a link are refused in runc's words", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  fs::create_symlink("/not/there", assets.path() / "rootfs/link");
  const std::string type = GENERATE("proc", "sysfs");
  GuestPlan plan;
  plan.spec.root = oci::Root{.path = "", .readonly = true};
  plan.spec.mounts = {mount_of(type, "/link/")};
  VmDirectory vm(random_hex(4), assets.boot(), secret, kernel_settings);
  CHECK_THROWS_WITH(vm.add_container("c1", assets.path() / "rootfs", plan),
                    "mounts[0].destination /link/: filesystem \"" + type +
                        "\" must be mounted on ordinary directory");
}

TEST_CASE("VmPaths: nothing but an id that husk gave names a VM", "[runtime]") {
  for (const char* id : {"", ".", "..", "/run/volume", "1234", "../12345", "ABCDEF01"}) {
    CAPTURE(id);
    CHECK_THROWS_WITH(VmPaths(id), ContainsSubstring("is not 8 hexadecimal digits"));
  }
}

// In a /run of its own: where the check is missing, the machine's directories are not at stake.
TEST_CASE("remove_vm_directory: an id that is a path removes nothing", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  for (const char* id : {".", "..", "/run/volume", "../volume"}) {
    CAPTURE(id);
    CHECK_THAT(in_own_run([&] {
                 fs::create_directories("/run/husk-vm/0000cafe");
                 fs::create_directories("/run/volume/row");
                 std::string refusal;
                 try {
                   remove_vm_directory(id);
                 } catch (const Error& e) {
                   refusal = e.what();
                 }
                 expect(fs::exists("/run/husk-vm/0000cafe"), "another VM's directory is gone");
                 expect(fs::exists("/run/volume/row"), "a directory of the host is gone");
                 throw std::runtime_error(refusal);
               }),
               ContainsSubstring("is not 8 hexadecimal digits"));
  }
}

TEST_CASE("VmDirectory: behind a symbolic link its end takes nothing of what was mounted",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const Tree volume;
  std::ofstream(volume.path() / "row") << "committed";
  CHECK(in_own_run([&] {
          fs::create_directories("/run/elsewhere");
          fs::create_symlink("elsewhere", vm_directories);
          {
            VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
            vm.add_container(
                "c1", assets.path() / "rootfs",
                with_binds({{.number = 0, .source = volume.path(), .recursive = true}}));
          }
          expect(!fs::exists("/run/elsewhere/0000cafe"), "the directory is left");
          expect(!is_mounted_below("0000cafe"), "mounts are left");
        }) == "");
  CHECK(read_file(assets.path() / "rootfs/etc/file", 100) == "content");
  CHECK(read_file(volume.path() / "row", 100) == "committed");
  CHECK(read_file(volume.path() / "below/file", 100) == "mounted");
}

TEST_CASE("VmDirectory: what lies under a VM's mount is not husk's, and stays", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  CHECK(in_own_run([] {
          fs::create_directories("/run/husk-vm/0000cafe/precious");
          try {
            remove_vm_directory("0000cafe");
            expect(false, "it was removed");
          } catch (const Error& e) {
            expect(std::string(e.what()) == "remove /run/husk-vm/0000cafe: directory not empty",
                   e.what());
          }
          expect(fs::exists("/run/husk-vm/0000cafe/precious"), "something was removed");
        }) == "");
}

TEST_CASE("VmDirectory: is not made where others may write", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  CHECK(in_own_run([&] {
          fs::create_directories(vm_directories);
          fs::permissions(vm_directories, fs::perms(0777));
          const VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
        }) == "/run/husk-vm: other users may write to it");
}

TEST_CASE("VmDirectory: no mount of the host is taken off by who renames what lies below a bind",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  // Mounts on the user's m/<n>; the host's own on victim/<n>. The user swaps m for a link to victim.
  const Scratch user, victim;
  constexpr int mounts = 40;
  const std::string thrown = in_own_run([&] {
    fs::create_directories(user.path() / "m");
    fs::create_directory_symlink(victim.path(), user.path() / "swap");
    for (int n = 0; n < mounts; ++n) {
      for (const fs::path& place : {user.path() / "m", victim.path()}) {
        fs::create_directories(place / std::to_string(n));
        check_sys(::mount("tmpfs", (place / std::to_string(n)).c_str(), "tmpfs", 0, "size=64k"),
                  "mount");
      }
    }
    std::atomic<bool> done = false;
    std::thread swapping([&] {
      while (!done)
        ::renameat2(AT_FDCWD, (user.path() / "m").c_str(), AT_FDCWD, (user.path() / "swap").c_str(),
                    RENAME_EXCHANGE);
    });
    for (int round = 0; round < 3; ++round) {
      VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
      vm.add_container("c1", assets.path() / "rootfs",
                       with_binds({{.number = 0, .source = user.path(), .recursive = true}}));
      vm.remove_container("c1");
    }
    done = true;
    swapping.join();
    for (int n = 0; n < mounts; ++n)
      expect(is_mounted_below(victim.path() / std::to_string(n)), "a mount of the host is gone");
  });
  CHECK(thrown == "");
}

TEST_CASE("VmDirectory: a private bind shows nothing that the host mounts later, a slave does",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const Scratch source;
  fs::create_directories(source.path() / "later");
  CHECK(
      in_own_run([&] {
        const fs::path disk = source.path();
        check_sys(::mount(disk.c_str(), disk.c_str(), nullptr, MS_BIND, nullptr), "bind");
        check_sys(::mount(nullptr, disk.c_str(), nullptr, MS_SHARED, nullptr), "share");
        VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
        const auto bind = [&](std::size_t n, bool recursive, std::optional<bool> rro, bool follow) {
          return PinnedMount{n, disk, recursive, false, rro, follow};
        };
        vm.add_container("c0", disk, with_binds({bind(1, true, true, false)}));
        vm.add_container("c1", disk,
                         with_binds({bind(0, false, {}, false), bind(2, true, {}, true),
                                     bind(3, false, {}, true)}));
        check_sys(::mount("tmpfs", (disk / "later").c_str(), "tmpfs", 0, "size=64k"), "mount");
        std::ofstream(disk / "later/secret") << "x";
        for (const auto& bound : {vm.paths().mount("c1", 0), vm.paths().mount("c0", 1)})
          expect(!fs::exists(bound / "later/secret"), "a private bind follows");
        expect(!fs::exists(vm.paths().rootfs("c1") / "later/secret"), "the rootfs follows");
        for (const std::size_t n : {2U, 3U})
          expect(fs::exists(vm.paths().mount("c1", n) / "later/secret"), "a slave does not follow");
        expect(write_error(vm.paths().mount("c0", 1) / "later") == EROFS, "rro is writable");
        check_sys(::umount((disk / "later").c_str()), "the host cannot unmount its own mount");
        vm.remove_container("c1");
        expect(is_mounted_below(disk), "the host's own mount is gone");
      }) == "");
}

TEST_CASE(
    "VmDirectory: binds of the whole host grow the mount table linearly, and show no other VM",
    "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  CHECK(in_own_run([&] {
          check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), "share");
          std::vector<std::unique_ptr<VmDirectory>> vms;
          std::vector<std::size_t> sizes{load_mount_table().size()};
          for (int n = 0; n < 8; ++n) {
            const std::string id = "0000caf" + std::to_string(n);
            vms.push_back(
                std::make_unique<VmDirectory>(id, assets.boot(), secret, kernel_settings));
            vms.back()->add_container(
                "c", assets.path() / "rootfs",
                with_binds(
                    {{.number = 0, .source = "/", .recursive = true},
                     {.number = 1, .source = "/run", .recursive = true, .follow_host = true}}));
            sizes.push_back(load_mount_table().size());
          }
          // A slave of /run gets a mount point, of nothing, for each VM that comes later.
          for (std::size_t n = 2; n < sizes.size(); ++n)
            expect(sizes[n] - sizes[n - 1] <= sizes[1] - sizes[0] + n,
                   "the table does not grow evenly");
          for (const char* bound : {"0/run/husk-vm", "1/husk-vm"})
            for (const auto& entry :
                 fs::directory_iterator(vms.back()->paths().mount("c", 0).parent_path() / bound))
              expect(fs::is_empty(entry.path()), "a VM's files show in another's bind");
          for (const auto& entry :
               fs::directory_iterator(vms.front()->paths().mount("c", 1) / "husk-vm"))
            expect(fs::is_empty(entry.path()), "a later VM's files show in a bind that follows");
        }) == "");
}

TEST_CASE("VmDirectory: the share has no cgroup file system of the host's, which keeps its own",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Assets assets;
  const bool follow = GENERATE(true, false);
  CHECK(in_own_run([&] {
          check_sys(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), "share");
          const auto cgroups = [](const std::string& below) {
            return std::ranges::count_if(load_mount_table(), [&](const MountEntry& mount) {
              return mount.type.starts_with("cgroup") &&
                     mount.mount_point.string().starts_with(below);
            });
          };
          const auto before = cgroups("/");
          expect(before > 0, "this machine has no cgroups");
          VmDirectory vm("0000cafe", assets.boot(), secret, kernel_settings);
          const auto bind = [&](std::size_t n, const char* source) {
            return PinnedMount{n, source, true, false, {}, follow};
          };
          vm.add_container("c", assets.path() / "rootfs",
                           with_binds({bind(0, "/"), bind(1, "/sys/fs/cgroup")}));
          expect(cgroups(vm.paths().shared()) == 0,
                 "libvirt would take the share's for the host's");
          expect(cgroups("/") == before, "the host has lost its own");
          expect(fs::exists(vm.paths().mount("c", 0) / "proc/self"), "another mount is lost");
          expect(fs::is_directory(vm.paths().mount("c", 1)), "there is no empty directory");
        }) == "");
}
