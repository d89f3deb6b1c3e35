// SPDX-License-Identifier: Apache-2.0
// Which bind sources containers of a VM have in common, and for how long.
#include "lib/runtime/vm/volumes.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "test/lib/runtime/vm_files.hpp"

using namespace husk;
using namespace husk::runtime;
using husk::test::Assets;
using husk::test::expect;
using husk::test::in_own_run;
using husk::test::is_mounted_below;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

struct VolumeBench {
  /// A container "c<n>" with these binds.
  std::vector<std::size_t> add(const std::string& id, std::vector<PinnedMount> binds) const {
    for (std::size_t n = 0; n < binds.size(); ++n) binds[n].number = n;
    return vm.add_container(id, assets.path() / "rootfs", {.spec = {}, .binds = std::move(binds)})
        .with_mounts_below;
  }
  /// What virtiofsd tells inodes apart by.
  std::string inode(const std::string& id, std::size_t number = 0) const {
    struct statx status {};
    const fs::path path = vm.paths().mount(id, number);
    check_sys(::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_MNT_ID, &status), path.string());
    return std::to_string(status.stx_mnt_id) + ":" + std::to_string(status.stx_dev_minor) + ":" +
           std::to_string(status.stx_ino);
  }
  bool can_write(const std::string& id, std::size_t number = 0) const {
    const fs::path file = vm.paths().mount(id, number) / ("written-" + random_hex(4));
    const UniqueFd made{::open(file.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    return static_cast<bool>(made);
  }
  std::ptrdiff_t volumes() const {
    return fs::exists(vm.paths().volumes())
               ? std::distance(fs::directory_iterator(vm.paths().volumes()), {})
               : 0;
  }
  Assets assets;
  VmDirectory vm{random_hex(4), assets.boot(), husk::test::secret, husk::test::kernel_settings};
};

PinnedMount bind_of(const fs::path& source) { return {.source = source, .recursive = true}; }
PinnedMount read_only_bind_of(const fs::path& source) {
  return {.source = source, .recursive = true, .read_only = true};
}

void mount_tmpfs(const fs::path& place) {
  check_sys(::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=64k"), "mount tmpfs");
}

}  // namespace

TEST_CASE("volumes: one source is one mount for all binds of a VM, until the last user goes",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch source, other;
  const fs::path hosts = bench.assets.path() / "hosts";
  bench.add("c1", {bind_of(source.path()), {.source = source.path()}, bind_of(hosts)});
  bench.add("c2", {bind_of(other.path()), bind_of(source.path()), bind_of(hosts)});
  CHECK(bench.inode("c1", 0) ==
        bench.inode("c1", 1));  // with nothing below, recursive or not is the same
  CHECK(bench.inode("c1", 0) == bench.inode("c2", 1));
  CHECK(bench.inode("c1", 2) == bench.inode("c2", 2));
  CHECK(bench.inode("c1", 0) != bench.inode("c2", 0));
  CHECK(bench.volumes() == 3);
  bench.vm.remove_container("c1");
  CHECK(bench.volumes() == 3);
  CHECK(bench.can_write("c2", 1));
  CHECK(read_file(bench.vm.paths().mount("c2", 2), 100) == "127.0.0.1");
  bench.add("c1", {bind_of(source.path())});
  CHECK(bench.inode("c1") == bench.inode("c2", 1));
  bench.vm.remove_container("c2");
  CHECK(bench.volumes() == 1);
  bench.vm.remove_container("c1");
  CHECK(bench.volumes() == 0);
  CHECK_FALSE(is_mounted_below(bench.vm.paths().volumes()));
}

TEST_CASE("volumes: a source is told by its inode, not by its path", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch folder;
  fs::create_directory(folder.path() / "a");
  bench.add("c1", {bind_of(folder.path() / "a")});
  fs::rename(folder.path() / "a", folder.path() / "b");
  fs::create_directory(folder.path() / "a");
  bench.add("c2", {bind_of(folder.path() / "a"), bind_of(folder.path() / "b")});
  CHECK(bench.inode("c1") != bench.inode("c2", 0));
  CHECK(bench.inode("c1") == bench.inode("c2", 1));
  fs::remove(folder.path() / "b");  // while it is in use
  fs::create_directory(folder.path() / "b");
  bench.add("c3", {bind_of(folder.path() / "b")});
  CHECK(bench.inode("c3") != bench.inode("c1"));
}

TEST_CASE("volumes: other VMs that can write to the same file are known", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const VolumeBench one, other, third;
  const Scratch both, own;
  const auto id = [](const VolumeBench& bench) {
    return bench.vm.paths().directory.filename().string();
  };
  const auto other_writers = [&](const VolumeBench& bench) {
    std::set<std::string> vms;
    const VolumeTable table(bench.vm.paths());
    for (const auto& volume : fs::directory_iterator(bench.vm.paths().volumes()))
      vms.merge(table.other_writers(volume.path().filename()));
    return vms;
  };
  one.add("c1", {bind_of(both.path()), bind_of(own.path())});
  CHECK(other_writers(one).empty());
  third.add("c1", {read_only_bind_of(both.path())});
  CHECK(other_writers(one).empty());
  CHECK(other_writers(third).empty());  // does not write itself
  other.add("c1", {bind_of(both.path())});
  CHECK(other_writers(one) == std::set{id(other)});
  CHECK(other_writers(other) == std::set{id(one)});
  one.vm.remove_container("c1");
  CHECK(other_writers(other).empty());
}

TEST_CASE("volumes: where all ask for read-only the host lets none write", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch source;
  bench.add("c1", {read_only_bind_of(source.path())});
  bench.add("c2", {{.source = source.path(), .recursive = true, .tree_read_only = true}});
  CHECK(bench.inode("c1") == bench.inode("c2"));
  CHECK_FALSE(bench.can_write("c1"));
  // A second mount for who writes: attributes of the first do not reach virtiofsd any more.
  bench.add("c3", {bind_of(source.path())});
  CHECK(bench.can_write("c3"));
  CHECK_FALSE(bench.can_write("c1"));
  CHECK(bench.inode("c1") == bench.inode("c2"));
  // From then on readers and writers have one inode.
  bench.add("c4", {read_only_bind_of(source.path()), bind_of(source.path())});
  CHECK(bench.inode("c4", 0) == bench.inode("c3"));
  CHECK(bench.inode("c4", 1) == bench.inode("c3"));
  for (const char* id : {"c3", "c4"}) bench.vm.remove_container(id);
  bench.add("c5", {read_only_bind_of(source.path())});
  CHECK_FALSE(bench.can_write("c5"));
}

TEST_CASE("volumes: one container's own writable bind serves its read-only one",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch source;
  bench.add("c1", {read_only_bind_of(source.path()), bind_of(source.path())});
  CHECK(bench.inode("c1", 0) == bench.inode("c1", 1));
  CHECK(bench.can_write("c1", 1));
  CHECK(bench.volumes() == 1);
}

TEST_CASE("volumes: mounts of another kind, or with mounts below, are not shared",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch folder;
  CHECK(in_own_run([&] {
          VolumeBench bench;
          const fs::path source = folder.path() / "source", view = folder.path() / "view";
          fs::create_directories(source / "below");
          fs::create_directory(view);
          const auto differ = [&](const char* what) {
            expect(bench.inode("c1") != bench.inode("c2"), what);
            for (const char* id : {"c1", "c2"}) bench.vm.remove_container(id);
          };
          check_sys(::mount(source.c_str(), view.c_str(), nullptr, MS_BIND, nullptr), "bind");
          bench.add("c1", {bind_of(source)});
          bench.add("c2", {bind_of(view)});
          expect(bench.inode("c1") == bench.inode("c2"), "two mounts of one kind are told apart");
          for (const char* id : {"c1", "c2"}) bench.vm.remove_container(id);
          const auto remount = [&](unsigned long flags) {
            check_sys(
                ::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr),
                "remount");
          };
          remount(MS_NOSUID | MS_RELATIME);
          bench.add("c1", {bind_of(source)});
          bench.add("c2", {bind_of(view)});
          differ("nosuid is lost");
          // Nobody asked the guest to be read-only here: the host's mount is.
          remount(MS_RDONLY | MS_RELATIME);
          bench.add("c1", {bind_of(source)});
          bench.add("c2", {bind_of(view)});
          expect(!bench.can_write("c2"), "a mount that the host has read-only can be written");
          differ("read-only is lost");
          check_sys(
              ::mount(nullptr, source.c_str(), nullptr, MS_PRIVATE, nullptr) == 0 || errno == EINVAL
                  ? 0
                  : -1,
              "private");
          check_sys(::mount(source.c_str(), source.c_str(), nullptr, MS_BIND, nullptr), "bind");
          check_sys(::mount(nullptr, source.c_str(), nullptr, MS_SHARED, nullptr), "share");
          bench.add("c1", {bind_of(source)});
          bench.add("c2", {{.source = source, .recursive = true, .follow_host = true}});
          differ("a bind that follows the host is as one that does not");
          bench.add("c1", {bind_of(source)});
          mount_tmpfs(source / "below");
          const auto with_mounts_below = bench.add("c2", {bind_of(source)});
          expect(with_mounts_below == std::vector<std::size_t>{0}, "the mount below is missing");
          differ("the mount below is missing");
        }) == "");
}

TEST_CASE("volumes: what a killed husk has left goes with the next removal", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch source, other;
  const VmPaths& paths = bench.vm.paths();
  bench.add("c1", {bind_of(source.path())});
  {
    const UniqueFd share = writable_share(paths);
    const auto left = [&](const fs::path& path) {
      return open_bind_source({.path = path}, std::chrono::seconds(10));
    };
    add_volume(paths, share.get(), left(other.path()));  // mounted, and no user yet
    check_sys(::mkdirat(share.get(), "@volumes/1-2-3", 0755), "a mount point without a mount");
    check_sys(::mkdirat(share.get(), "c2", 0700), "a container's folder without more");
    check_sys(::mkdirat(share.get(), "c3", 0700), "a container's folder");
    check_sys(::mkdirat(share.get(), "c3/mounts", 0700), "a container's folder of links");
    link_volume(share.get(), "c3", 0, "1-2-4");  // which is not there
  }
  CHECK(bench.volumes() == 3);
  for (const char* id : {"c2", "c3"}) bench.vm.remove_container(id);
  CHECK(bench.volumes() == 1);
  CHECK_FALSE(fs::exists(paths.shared() / "c3"));
  CHECK(bench.can_write("c1"));
  bench.vm.remove_container("c1");
  CHECK(bench.volumes() == 0);
}

TEST_CASE("volumes: binds as an older husk made them are removed as well", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const VmPaths& paths = bench.vm.paths();
  bench.add("c1", {});
  {
    const UniqueFd share = writable_share(paths);
    write_new_file(share.get(), "c1/mounts/0", "", 0644);
    const fs::path hosts = bench.assets.path() / "hosts";
    check_sys(::mount(hosts.c_str(), paths.mount("c1", 0).c_str(), nullptr, MS_BIND, nullptr),
              "bind");
    check_sys(::unlinkat(share.get(), "@volumes", AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1,
              "remove the folder of volumes");
  }
  bench.add("c2", {bind_of(bench.assets.path() / "hosts")});
  CHECK(read_file(paths.mount("c1", 0), 100) == "127.0.0.1");
  bench.vm.remove_container("c1");
  CHECK_FALSE(fs::exists(paths.shared() / "c1"));
  CHECK(read_file(paths.mount("c2", 0), 100) == "127.0.0.1");
}

TEST_CASE("volumes: one that is kept stays for a later container, until the VM ends",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  VolumeBench bench;
  const Scratch source;
  PinnedMount kept = bind_of(source.path());
  kept.is_kept = true;
  bench.add("c1", {kept, kept});
  const std::string before = bench.inode("c1");
  bench.add("c2", {bind_of(source.path())});
  for (const char* id : {"c1", "c2"}) bench.vm.remove_container(id);
  CHECK(bench.volumes() == 1);
  bench.add("c3", {kept});
  CHECK(bench.inode("c3") == before);
  CHECK(bench.volumes() == 1);
}
