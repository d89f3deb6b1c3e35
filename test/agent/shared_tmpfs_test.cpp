// SPDX-License-Identifier: Apache-2.0
// Memory that containers of one guest have in common.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "agent/container/tmpfs_table.hpp"
#include "agent/request/request_check.hpp"
#include "lib/base/mountinfo.hpp"
#include "test/agent/container_bench.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::test;
using agent::TmpfsTable;
using Catch::Matchers::ContainsSubstring;
using guestcomm::SharedTmpfs;

namespace {

SharedTmpfs tmpfs_named(const std::string& name) {
  return {.mount = 1, .name = name, .options = {"noexec", "size=1024k", "mode=1757"}};
}

/// A container that runs `script` with the tmpfs at /dev/shm, and what it says.
struct Sharing {
  Sharing(TmpfsTable& table, const std::string& name,
          std::vector<std::string> options = {"rbind"}) {
    bench.tmpfs_table = &table;
    bench.shared_tmpfs = {tmpfs_named(name)};
    bind.type = "bind";
    bind.source = "/none";  // of the host: is not looked at
    bind.destination = "/dev/shm";
    bind.options = std::move(options);
  }
  std::string run(const std::string& script) {
    oci::Spec spec = bench.spec(script);
    spec.mounts.push_back(bind);
    bench.create(std::move(spec));
    REQUIRE_FALSE(bench.error);
    bench.start();
    return bench.finish();
  }
  void show(const guestcomm::TmpfsPart& part) { bench.shared_tmpfs[0].part = part; }
  oci::Mount bind;
  Bench bench;
};

std::size_t mounts_below(const fs::path& directory) {
  return static_cast<std::size_t>(std::ranges::count_if(load_mount_table(), [&](const auto& mount) {
    return mount.mount_point.string().starts_with(directory.string());
  }));
}

}  // namespace

TEST_CASE("shared tmpfs: one for all containers that name it, until the last is deleted",
          "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  const Scratch place;
  TmpfsTable table(place.path() / "tmpfs");
  {
    Sharing first(table, "0:1"), second(table, "0:1"), other(table, "0:2");
    CHECK(first.run("/bin/busybox stat -c %a /dev/shm; echo said >/dev/shm/file") == "1757\n");
    CHECK(second.run("/bin/busybox cat /dev/shm/file; /bin/busybox stat -f -c %b*%S /dev/shm") ==
          "said\n256*4096\n");
    CHECK(other.run("/bin/busybox ls -A /dev/shm") == "");
    CHECK(mounts_below(place.path()) == 2);
  }
  CHECK(mounts_below(place.path()) == 0);
  Sharing later(table, "0:1");
  CHECK(later.run("/bin/busybox ls -A /dev/shm") == "");
}

TEST_CASE("shared tmpfs: is read-only for who asks for that", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  const Scratch place;
  TmpfsTable table(place.path() / "tmpfs");
  Sharing reader(table, "0:1", {"rbind", "ro"}), writer(table, "0:1");
  CHECK(reader.run("echo x 2>/dev/null >/dev/shm/file || echo refused").ends_with("refused\n"));
  CHECK(writer.run("echo x >/dev/shm/file && /bin/busybox cat /dev/shm/file") == "x\n");
}

TEST_CASE("shared tmpfs: one that is kept outlives its containers", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  const Scratch place;
  {
    TmpfsTable table(place.path() / "tmpfs");
    for (const char* seen : {"", "file\n"}) {
      Sharing container(table, "0:1");
      container.bench.shared_tmpfs[0].is_kept = true;
      CHECK(container.run("/bin/busybox ls -A /dev/shm; echo x >/dev/shm/file") == seen);
    }
    CHECK(mounts_below(place.path()) == 1);
  }
  CHECK(mounts_below(place.path()) == 0);
}

TEST_CASE("shared tmpfs: a part is made as it is wanted, and is in the whole", "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  const Scratch place;
  {
    TmpfsTable table(place.path() / "tmpfs");
    Sharing part(table, "0:1"), whole(table, "0:1"), again(table, "0:1", {"rbind", "ro"});
    part.show({"/logs/a", 02757, 7, 8});
    CHECK(part.run("/bin/busybox stat -c %a:%u:%g /dev/shm; echo said >/dev/shm/file") ==
          "2757:7:8\n");
    CHECK(
        whole.run("cd /dev/shm; /bin/busybox stat -c %a:%u . logs; /bin/busybox cat logs/a/file") ==
        "1757:0\n755:0\nsaid\n");
    again.show({"/logs/a", 0700, 0, 0});  // which is there
    CHECK(again.run("/bin/busybox stat -c %a:%u /dev/shm; /bin/busybox ls -A /dev/shm;"
                    "echo x 2>/dev/null >/dev/shm/file || echo refused") ==
          "2757:7\nfile\nrefused\n");
    Sharing file(table, "0:1");
    file.show({"/logs/a/file", 0700, 0, 0});
    file.bind.destination = "/etc/file";
    CHECK(file.run("/bin/busybox cat /etc/file") == "said\n");
    CHECK(mounts_below(place.path()) == 4);
  }
  CHECK(mounts_below(place.path()) == 0);
  CHECK(fs::is_empty(place.path() / "tmpfs"));
}

TEST_CASE("shared tmpfs: no part leads out of the whole, whatever containers make there",
          "[agent][root]") {
  SKIP_UNLESS_POSSIBLE();
  const Scratch place;
  std::ofstream(place.path() / "secret") << "secret";
  TmpfsTable table(place.path() / "tmpfs");
  Sharing hostile(table, "0:1");
  const std::string up = "../../../../../../../..";
  CHECK(hostile.run("cd /dev/shm; /bin/busybox mkdir real && echo inside >real/file;"
                    "/bin/busybox ln -s /real inner; /bin/busybox ln -s " +
                    up + place.path().string() + " up; /bin/busybox ln -s " +
                    place.path().string() + " out; /bin/busybox ln -s loop loop; echo x >plain") ==
        "");
  Sharing inner(table, "0:1");
  inner.show({"/inner", 0700, 0, 0});
  CHECK(inner.run("/bin/busybox cat /dev/shm/file") == "inside\n");
  const auto fails = [&](const std::string& path) {
    Sharing sharing(table, "0:1");
    sharing.show({path, 0700, 0, 0});
    CAPTURE(path);
    CHECK_THROWS_WITH(sharing.run(":"), ContainsSubstring("shared tmpfs 0:1: "));
  };
  for (const char* path : {"/up", "/out", "/up/new", "/out/new", "/loop", "/plain/new"})
    fails(path);
  Sharing dots(table, "0:1");
  dots.show({"/" + up + place.path().string() + "/made", 0700, 0, 0});
  CHECK(dots.run("/bin/busybox ls -A /dev/shm") == "");
  CHECK_FALSE(fs::exists(place.path() / "new"));
  CHECK_FALSE(fs::exists(place.path() / "made"));
}

TEST_CASE("create request: a shared tmpfs stands for a bind") {
  const std::string own = "/run/husk/shared/one";
  guestcomm::CreateContainer request;
  request.id = "one";
  request.spec.mounts.resize(2);
  request.spec.mounts[0].type = "tmpfs";
  request.spec.mounts[1].type = "bind";
  request.spec.mounts[1].source = own + "/mounts/1";
  request.shared_tmpfs = {tmpfs_named("0:1")};
  CHECK_NOTHROW(agent::check_create_request(request));
  for (const std::size_t wrong : {0U, 2U, 65535U}) {
    request.shared_tmpfs[0].mount = wrong;
    CHECK_THROWS_WITH(agent::check_create_request(request),
                      "shared_tmpfs: mounts[" + std::to_string(wrong) + "] is not a bind");
  }
}
