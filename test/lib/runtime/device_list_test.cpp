// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/device_list.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <functional>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
namespace fs = std::filesystem;

namespace {

/// 0, or the errno of opening the node.
int open_error(const fs::path& node) {
  const UniqueFd fd{::open(node.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  return fd ? 0 : errno;
}

/// What `question` answers in a child that `enter` was called for.
int ask_inside(const std::function<void(pid_t)>& enter, const std::function<int()>& question) {
  Pipe go = make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    go.write_end.reset();
    ::_exit(::read(go.read_end.get(), &byte, 1) == 1 ? question() : 255);
  }
  go.read_end.reset();
  enter(child);
  write_all(go.write_end.get(), "x");
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/// Device nodes that were made before: one that QEMU needs, and two that QEMU does not.
struct Nodes : test::Scratch {
  Nodes() {
    ::mknod((path() / "kmsg").c_str(), S_IFCHR | 0600, ::makedev(1, 11));
    ::mknod((path() / "null").c_str(), S_IFCHR | 0600, ::makedev(1, 3));
    ::mknod((path() / "disk").c_str(), S_IFBLK | 0600, ::makedev(7, 200));
  }
  void check(const std::function<void(pid_t)>& enter) const {
    CHECK(ask_inside(enter, [&] { return open_error(path() / "null"); }) == 0);
    CHECK(ask_inside(enter, [&] { return open_error("/dev/ptmx"); }) == 0);
    CHECK(ask_inside(enter, [&] { return open_error(path() / "kmsg"); }) == EPERM);
    CHECK(ask_inside(enter, [&] { return open_error(path() / "disk"); }) == EPERM);
    CHECK(ask_inside(enter, [&] {
            const fs::path made = path() / random_hex(4);
            if (::mknod(made.c_str(), S_IFBLK | 0600, ::makedev(7, 200)) != 0) return errno;
            return open_error(made) == EPERM ? 0 : 254;
          }) == 0);
  }
};

}  // namespace

TEST_CASE("device_rules: any node may be made, characters' numbers be opened", "[runtime]") {
  CHECK(device_rules({{1, 3}, {136, -1}}) ==
        std::vector<std::string>{"c *:* m", "b *:* m", "c 1:3 rw", "c 136:* rw"});
}

// As root on a host of either kind, a hybrid one has both.
TEST_CASE("restrict_devices: only the listed devices open, and nodes of all can be made",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Nodes nodes;
  bool tried = false;
  for (const MountEntry& mount : load_mount_table()) {
    const bool v2 = mount.type == "cgroup2";
    if (!v2 && !fs::exists(mount.mount_point / "devices.list")) continue;
    tried = true;
    CAPTURE(mount.mount_point.string());
    const fs::path cgroup = mount.mount_point / ("husk-test-" + random_hex(4));
    fs::create_directory(cgroup);
    restrict_devices(cgroup, v2);
    nodes.check([&](pid_t pid) { write_existing(cgroup / "cgroup.procs", std::to_string(pid)); });
    remove_cgroups({cgroup});
    CHECK_FALSE(fs::exists(cgroup));
  }
  if (!tried) SKIP("no hierarchy here keeps a list of devices");
}

TEST_CASE("restrict_devices: a device that the cgroup above denies costs none of the others",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const auto table = load_mount_table();
  const auto devices = std::ranges::find_if(table, [](const MountEntry& mount) {
    return mount.type == "cgroup" && fs::exists(mount.mount_point / "devices.list");
  });
  if (devices == table.end()) SKIP("no hierarchy of cgroup v1 keeps a list of devices");
  const fs::path above = devices->mount_point / ("husk-test-" + random_hex(4));
  fs::create_directories(above / "below");
  write_existing(above / "devices.deny", "c 1:3 rwm");  // the list's first
  CHECK_NOTHROW(restrict_devices(above / "below", false));
  const std::string list = read_file(above / "below/devices.list", 4096);
  CHECK(list.find("c 1:3 ") == std::string::npos);
  CHECK(list.find("c 10:241 rw") != std::string::npos);  // the list's last
  remove_cgroups({above, above / "below"});
}

TEST_CASE("HostCgroup: restricts what husk has made, and nothing that was there",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Nodes nodes;
  const std::string name = "/husk-test-" + random_hex(4);
  HostCgroup outer(plan_cgroup(name, {"c1", "1234"}, false, {}));
  HostCgroup inner(plan_cgroup(name, {"c2", "1234"}, false, {}));  // does not make the directory
  CHECK(ask_inside([&](pid_t pid) { inner.add(pid); },
                   [&] { return open_error(nodes.path() / "kmsg"); }) != EPERM);
  nodes.check([&](pid_t pid) { outer.add(pid); });
}
