// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/find_shared_tmpfs.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/runtime/plan/plan.hpp"
#include "test/lib/runtime/vm_files.hpp"

using namespace husk;
using namespace husk::runtime;
using guestcomm::SharedTmpfs;
using guestcomm::TmpfsPart;
using husk::test::expect;
using husk::test::in_own_run;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

oci::Spec spec_with_bind(const std::string& source, const std::string& destination) {
  oci::Spec spec;
  spec.mounts.resize(2);
  spec.mounts[0].destination = "/dev", spec.mounts[0].type = "tmpfs";
  spec.mounts[1].destination = destination, spec.mounts[1].type = "bind";
  spec.mounts[1].source = source;
  return spec;
}

fs::path make_tmpfs(const fs::path& place, unsigned long flags, const char* options) {
  fs::create_directories(place);
  check_sys(::mount("shm", place.c_str(), "tmpfs", flags, options), "mount tmpfs");
  return place;
}

bool is_shared(const fs::path& source, const std::string& destination) {
  return !find_shared_tmpfs(spec_with_bind(source, destination), {}).empty();
}

std::optional<SharedTmpfs> find(const fs::path& source,
                                const std::vector<std::string>& in_guest = {}) {
  const auto found = find_shared_tmpfs(spec_with_bind(source, "/cache"), in_guest);
  return found.empty() ? std::nullopt : std::optional(found[0]);
}

/// A pod with an emptyDir in memory, in kubelet's folders.
struct KubeletPod {
  explicit KubeletPod(const fs::path& place)
      : directory(place / "pods/1"),
        cache(make_tmpfs(directory / "volumes/kubernetes.io~empty-dir/cache", 0, "size=1m")) {}
  /// As kubelet gives a part of a volume to a container.
  fs::path bind_subpath(const fs::path& part) const {
    static int number = 0;
    const fs::path point = directory / "volume-subpaths/cache/main" / std::to_string(number++);
    fs::create_directories(point);
    check_sys(::mount((cache / part).c_str(), point.c_str(), nullptr, MS_BIND, nullptr), "bind");
    return point;
  }
  fs::path directory, cache;
};

}  // namespace

TEST_CASE("find_shared_tmpfs: an empty tmpfs for /dev/shm, with its size, mode, owner and flags",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const fs::path shm = make_tmpfs(place.path() / "shm", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                          "size=3m,mode=1757,uid=7,gid=8");
          for (const char* destination : {"/dev/shm", "/dev/shm/", "/dev/./shm"}) {
            const auto found =
                find_shared_tmpfs(spec_with_bind(shm.string() + "/", destination), {});
            expect(found.size() == 1, "it is not found");
            expect(found[0].mount == 1, "another mount");
            expect(!found[0].is_kept, "it is kept");
            expect(found[0].options == std::vector<std::string>{"nosuid", "nodev", "noexec",
                                                                "size=3072k", "mode=1757", "uid=7",
                                                                "gid=8"},
                   "other options");
          }
          const fs::path big = make_tmpfs(place.path() / "big", 0, "size=0");
          const auto found = find_shared_tmpfs(spec_with_bind(big, "/dev/shm"), {});
          expect(found.at(0).options == std::vector<std::string>{"mode=1777", "uid=0", "gid=0"},
                 "no limit becomes a size");
          expect(found[0].name != find_shared_tmpfs(spec_with_bind(shm, "/dev/shm"), {}).at(0).name,
                 "two have one name");
        }) == "");
}

TEST_CASE("find_shared_tmpfs: Kubernetes' emptyDir in memory, wherever the mount goes, is kept",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const fs::path volumes = place.path() / "pods/1/volumes";
          const fs::path cache =
              make_tmpfs(volumes / "kubernetes.io~empty-dir/cache", 0, "size=1m");
          const auto found = find_shared_tmpfs(spec_with_bind(cache, "/cache"), {});
          expect(found.size() == 1 && found[0].is_kept, "it is not found, or not kept");
          const fs::path credentials = make_tmpfs(volumes / "kubernetes.io~secret/s", 0, "size=1m");
          expect(!is_shared(credentials, "/secret"), "a secret is taken for an emptyDir");
        }) == "");
}

TEST_CASE("find_shared_tmpfs: a directory in an emptyDir in memory, with its path, mode and owner",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const KubeletPod pod(place.path());
          const auto whole = find(pod.cache);
          expect(whole && !whole->part, "the whole is not found");
          fs::create_directories(pod.cache / "logs/a");
          check_sys(::chmod((pod.cache / "logs/a").c_str(), 02750), "chmod");
          check_sys(::chown((pod.cache / "logs/a").c_str(), 7, 8), "chown");
          const fs::path bound = pod.bind_subpath("logs/a");
          for (const fs::path& source : {bound, pod.cache / "logs/a", pod.cache / "logs/./a/"}) {
            const auto found = find(source);
            expect(found && found->part, source.string() + " is not found");
            expect(*found->part == TmpfsPart{"/logs/a", 02750, 7, 8}, "another part");
            expect(found->name == whole->name && found->options == whole->options && found->is_kept,
                   "another tmpfs");
          }
          expect(find(pod.cache) == whole, "the whole, after kubelet has made a directory");
          fs::remove_all(pod.cache / "logs");
          expect(!find(bound), "one that was removed");
        }) == "");
}

TEST_CASE("find_shared_tmpfs: files in the host's emptyDir count, unless the guest has one",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const KubeletPod pod(place.path());
          const std::string name = find(pod.cache)->name;
          fs::create_directories(pod.cache / "logs/a");
          const fs::path bound = pod.bind_subpath("logs");
          for (const char* file : {"logs/a/file", "link"}) {
            if (file == std::string("link"))
              fs::create_directory_symlink("logs", pod.cache / file);
            else
              std::ofstream(pod.cache / file) << "x";
            for (const fs::path& source : {pod.cache, bound}) {
              expect(!find(source), "one with " + std::string(file));
              expect(!find(source, {"0:1"}), "one with files, in a guest that has another");
              expect(find(source, {"0:1", name})->name == name, "one that the guest has");
            }
            fs::remove(pod.cache / file);
            expect(find(bound).has_value(), "directories alone");
          }
          std::ofstream(pod.cache / "logs/file") << "x";
          expect(!find(pod.cache / "logs/file", {name}), "a file");
          fs::create_directory_symlink("logs", pod.cache / "link");
          expect(!find(pod.cache / "link/a", {name}), "a path with a link");
          make_tmpfs(pod.cache / "logs/a", 0, "size=1m");
          expect(!find(pod.cache / "logs/a", {name}), "another mount");
        }) == "");
}

TEST_CASE("find_shared_tmpfs: a part of any other volume stays a bind", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const KubeletPod pod(place.path());
          const fs::path volumes = pod.cache.parent_path().parent_path();
          const fs::path secrets = make_tmpfs(volumes / "kubernetes.io~secret/s", 0, "size=1m");
          const fs::path disk = pod.cache.parent_path() / "disk";
          for (const fs::path& volume : {secrets, disk}) {
            fs::create_directories(volume / "part");
            expect(!find(volume / "part"), volume.string());
            expect(!find(pod.bind_subpath(volume / "part")),
                   "kubelet's part of " + volume.string());
          }
          fs::create_directory(pod.cache / "logs");
          const fs::path bound = pod.bind_subpath("logs");
          expect(find(bound).has_value(), "the example is wrong");
          make_tmpfs(pod.cache, 0, "size=1m");
          expect(!find(bound), "a part of one that is hidden by another mount");
        }) == "");
}

TEST_CASE("find_shared_tmpfs: everything else stays a bind", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch place;
  CHECK(in_own_run([&] {
          const fs::path shm = make_tmpfs(place.path() / "shm", 0, "size=1m");
          expect(is_shared(shm, "/dev/shm"), "the example is wrong");
          expect(!is_shared(shm, "/data"), "for another destination");
          expect(!is_shared("/dev/shm", "/dev/shm"), "the host's own /dev/shm");
          expect(!is_shared(place.path(), "/dev/shm"), "a folder");
          expect(!is_shared(place.path() / "none", "/dev/shm"), "nothing");
          expect(!is_shared("shm", "/dev/shm"), "a path below the bundle");
          const fs::path view = place.path() / "view";
          fs::create_directory(view);
          check_sys(::mount("/dev/shm", view.c_str(), nullptr, MS_BIND, nullptr), "bind");
          expect(!is_shared(view, "/dev/shm"), "another view of the host's /dev/shm");
          std::ofstream(shm / "file") << "x";
          expect(!is_shared(shm, "/dev/shm"), "one with files of the host");
          fs::remove(shm / "file");
          fs::create_directory(shm / "folder");
          fs::create_directory(place.path() / "part");
          check_sys(::mount((shm / "folder").c_str(), (place.path() / "part").c_str(), nullptr,
                            MS_BIND, nullptr),
                    "bind");
          expect(!is_shared(place.path() / "part", "/dev/shm"), "a part of one");
          fs::remove(shm / "folder");
          check_sys(::mount(place.path().c_str(), shm.c_str(), nullptr, MS_BIND, nullptr), "bind");
          expect(!is_shared(shm, "/dev/shm"), "one that is hidden by another mount");
        }) == "");
}

TEST_CASE("use_shared_tmpfs: the pins of those that are kept are kept", "[runtime]") {
  GuestPlan plan;
  plan.binds = {{.number = 3, .source = "/a"}, {.number = 4, .source = "/b"}};
  use_shared_tmpfs(plan, {{.mount = 3, .name = "0:3", .options = {}, .is_kept = false},
                          {.mount = 4, .name = "0:4", .options = {}, .is_kept = true}});
  CHECK(plan.shared_tmpfs.size() == 2);
  CHECK_FALSE(plan.binds[0].is_kept);
  CHECK(plan.binds[1].is_kept);
}
