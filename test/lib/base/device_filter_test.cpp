// SPDX-License-Identifier: Apache-2.0
#include "lib/base/device_filter.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/files.hpp"
#include "lib/base/mountinfo.hpp"
#include "lib/base/random_id.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
namespace fs = std::filesystem;

namespace {

using Rules = std::vector<DeviceFilterRule>;
constexpr unsigned characters = BPF_DEVCG_DEV_CHAR, blocks = BPF_DEVCG_DEV_BLOCK;
constexpr DeviceFilterRule allow_all{.allow = true}, deny_all{.allow = false};

/// A cgroup of version 2, and nodes of devices that were made outside of it.
class Filtered : test::Scratch {
 public:
  Filtered() {
    node("null", S_IFCHR, 1, 3);
    node("zero", S_IFCHR, 1, 5);
    node("block", S_IFBLK, 1, 3);  // "ram3": there need be none
  }

  static std::optional<fs::path> hierarchy() {
    const auto table = load_mount_table();
    const auto found = std::ranges::find(table, "cgroup2", &MountEntry::type);
    return found == table.end() ? std::nullopt : std::optional(found->mount_point);
  }

  /// 0, or the errno of opening the node.
  int open(const Rules& rules, const char* name, int flags) const {
    return inside(rules, [&] {
      return ::open((path() / name).c_str(), flags | O_NONBLOCK | O_CLOEXEC) >= 0 ? 0 : errno;
    });
  }
  int make(const Rules& rules) const {
    const fs::path made = path() / random_hex(4);
    return inside(rules, [&] {
      return ::mknod(made.c_str(), S_IFCHR | 0600, ::makedev(1, 3)) == 0 ? 0 : errno;
    });
  }

 private:
  void node(const char* name, mode_t type, unsigned major, unsigned minor) const {
    if (::mknod((path() / name).c_str(), type | 0600, ::makedev(major, minor)) != 0)
      throw std::runtime_error("mknod");
  }
  int inside(const Rules& rules, const std::function<int()>& question) const {
    const fs::path cgroup = *hierarchy() / ("husk-test-" + random_hex(4));
    fs::create_directory(cgroup);
    attach_device_filter(cgroup, rules);
    const pid_t child = ::fork();
    if (child == 0) {
      write_existing(cgroup / "cgroup.procs", "0");
      ::_exit(question());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    remove_cgroups({cgroup});
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }
};

DeviceFilterRule rule(bool allow, std::uint32_t minor, unsigned access) {
  return {.allow = allow, .type = characters, .major = 1, .minor = minor, .access = access};
}

}  // namespace

// The kernel's own verdicts: an interpreter of ours could share a mistake with the program.
TEST_CASE("device filter: of each kind of access the last rule about it counts", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  if (!Filtered::hierarchy()) SKIP("no cgroup v2 here");
  const Filtered filtered;
  constexpr unsigned r = device_reading, w = device_writing;

  CHECK(filtered.open({}, "null", O_RDONLY) == EPERM);
  CHECK(filtered.make({}) == EPERM);
  CHECK(filtered.open({allow_all}, "null", O_RDWR) == 0);
  CHECK(filtered.make({allow_all}) == 0);
  CHECK(filtered.open({allow_all, deny_all}, "null", O_RDONLY) == EPERM);
  CHECK(filtered.open({deny_all, allow_all}, "null", O_RDONLY) == 0);

  const Rules one{deny_all, rule(true, 3, any_device_access)};
  CHECK(filtered.open(one, "null", O_RDWR) == 0);
  CHECK(filtered.open(one, "zero", O_RDONLY) == EPERM);
  CHECK(filtered.make(one) == 0);

  const Rules not_written{allow_all, rule(false, 3, w)};
  CHECK(filtered.open(not_written, "null", O_RDONLY) == 0);
  CHECK(filtered.open(not_written, "null", O_WRONLY) == EPERM);
  CHECK(filtered.open(not_written, "null", O_RDWR) == EPERM);
  CHECK(filtered.open(not_written, "zero", O_RDWR) == 0);

  const Rules all_but_one{{.allow = true, .type = characters, .major = 1, .access = r},
                          rule(false, 5, r)};
  CHECK(filtered.open(all_but_one, "null", O_RDONLY) == 0);
  CHECK(filtered.open(all_but_one, "null", O_WRONLY) == EPERM);
  CHECK(filtered.open(all_but_one, "zero", O_RDONLY) == EPERM);
}

TEST_CASE("device filter: kinds of access may come from several rules", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  if (!Filtered::hierarchy()) SKIP("no cgroup v2 here");
  const Filtered filtered;
  CHECK(filtered.open({rule(true, 3, device_reading), rule(true, 3, device_writing)}, "null",
                      O_RDWR) == 0);
  CHECK(filtered.open({rule(true, 3, device_writing), rule(false, 3, device_reading)}, "null",
                      O_RDWR) == EPERM);
  const Rules nodes_only{{.allow = true, .access = device_making}};
  CHECK(filtered.make(nodes_only) == 0);
  CHECK(filtered.open(nodes_only, "null", O_RDONLY) == EPERM);
}

TEST_CASE("device filter: characters and blocks of one number are two devices", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  if (!Filtered::hierarchy()) SKIP("no cgroup v2 here");
  const Filtered filtered;
  CHECK(filtered.open({rule(true, 3, any_device_access)}, "block", O_RDONLY) == EPERM);
  const Rules block{{.allow = true, .type = blocks, .major = 1, .minor = 3}};
  CHECK(filtered.open(block, "block", O_RDONLY) != EPERM);
  CHECK(filtered.open(block, "null", O_RDONLY) == EPERM);
}
