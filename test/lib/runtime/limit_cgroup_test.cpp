// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/limit_cgroup.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/host/host_cgroup.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

constexpr CgroupLimits no_limits{};

std::string text_of(const fs::path& file) {
  std::string text = read_file(file, 4096);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

/// Stands for a cgroup of a host of the other version. Empty files, as for limits that were never set.
struct CgroupFiles {
  explicit CgroupFiles(const std::vector<std::string>& files) {
    fs::create_directory(leaf);
    for (const std::string& file : files) std::ofstream(leaf / file);
  }
  std::string text(const std::string& file) const { return text_of(leaf / file); }
  test::Scratch above;
  fs::path leaf = above.path() / "leaf";
};

/// A process in a cgroup of its own.
class Limited {
 public:
  Limited() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
    cgroup_.add(pid_);
  }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;
  ~Limited() { end(); }
  void end() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  ProcessIdentity identity() const { return identify_process(pid_).value(); }
  /// Reads the file in the hierarchy that has the controller.
  std::string text(const std::string& v1, const std::string& v2) const {
    for (const MemberCgroup& cgroup : find_cgroups_of(pid_)) {
      const fs::path file = cgroup.directory / (cgroup.hierarchy.v2 ? v2 : v1);
      if (fs::exists(file)) return text_of(file);
    }
    return "the host has no such controller";
  }

 private:
  HostCgroup cgroup_{{"/husk-test-" + random_hex(4), std::nullopt}};
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("limit_cgroup: of version 2", "[runtime]") {
  const CgroupFiles cgroup(
      {"memory.max", "cpu.max", "cpu.weight", "pids.max", "cpuset.cpus", "cpuset.mems"});
  const CgroupLimits all{.memory_bytes = 4096,
                         .quota_us = 50000,
                         .cpu_shares = 262144,
                         .cpus = "0-1",
                         .mems = "0",
                         .processes = 7};
  limit_cgroup(cgroup.leaf, true, all, no_limits);
  CHECK(cgroup.text("memory.max") == "4096");
  CHECK(cgroup.text("cpu.max") == "50000");
  CHECK(cgroup.text("cpu.weight") == "10000");
  CHECK(cgroup.text("pids.max") == "7");
  CHECK(cgroup.text("cpuset.cpus") == "0-1");
  CHECK(cgroup.text("cpuset.mems") == "0");
}

TEST_CASE("limit_cgroup: what is no longer limited becomes unlimited", "[runtime]") {
  const CgroupFiles cgroup({"memory.max", "cpu.max", "cpu.weight", "pids.max", "cpuset.cpus"});
  limit_cgroup(cgroup.leaf, true, no_limits,
               {.memory_bytes = 4096, .quota_us = 50000, .cpu_shares = 2, .cpus = "0"});
  // A file keeps what is longer than the new text; a cgroup does not.
  CHECK(cgroup.text("memory.max") == "max");
  CHECK(cgroup.text("cpu.max") == "max");
  CHECK(cgroup.text("cpu.weight") == "100");
  CHECK(cgroup.text("cpuset.cpus").empty());
  CHECK(cgroup.text("pids.max").empty());  // nobody has limited that
}

TEST_CASE("limit_cgroup: what the host has no controller for is left out", "[runtime]") {
  const CgroupFiles cgroup({"pids.max"});
  limit_cgroup(cgroup.leaf, true, {.memory_bytes = 4096, .cpus = "0", .processes = 7}, no_limits);
  CHECK(cgroup.text("pids.max") == "7");
  CHECK_FALSE(fs::exists(cgroup.leaf / "memory.max"));
  CHECK_FALSE(fs::exists(cgroup.leaf / "cpuset.cpus"));
}

TEST_CASE("limit_cgroup: of version 1, whose whole list of CPUs is that of the cgroup above",
          "[runtime]") {
  const CgroupFiles cgroup(
      {"memory.limit_in_bytes", "cpu.cfs_quota_us", "cpu.shares", "pids.max", "cpuset.cpus"});
  std::ofstream(cgroup.above.path() / "cpuset.cpus") << "0-3\n";
  limit_cgroup(cgroup.leaf, false, {.memory_bytes = 4096, .quota_us = 50000, .cpu_shares = 512},
               {.cpus = "0"});
  CHECK(cgroup.text("memory.limit_in_bytes") == "4096");
  CHECK(cgroup.text("cpu.cfs_quota_us") == "50000");
  CHECK(cgroup.text("cpu.shares") == "512");
  CHECK(cgroup.text("cpuset.cpus") == "0-3");
  limit_cgroup(cgroup.leaf, false, no_limits, {.cpu_shares = 512});
  CHECK(cgroup.text("cpu.shares") == "1024");
}

TEST_CASE("limit_cgroups_of: this host's", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  Limited process;
  const CgroupLimits limits{.memory_bytes = 64U << 20U, .quota_us = 50000, .processes = 77};
  limit_cgroups_of(process.identity(), limits, no_limits);
  CHECK(process.text("memory.limit_in_bytes", "memory.max") == "67108864");
  CHECK_THAT(process.text("cpu.cfs_quota_us", "cpu.max"), ContainsSubstring("50000"));
  CHECK(process.text("pids.max", "pids.max") == "77");
  limit_cgroups_of(process.identity(), {.processes = 77}, limits);
  CHECK_THAT(process.text("cpu.cfs_quota_us", "cpu.max"), !Catch::Matchers::StartsWith("50000"));
  CHECK(process.text("pids.max", "pids.max") == "77");
}

TEST_CASE("limit_cgroups_of: CPUs that the host does not have are named", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Limited process;
  CHECK_THROWS_WITH(
      limit_cgroups_of(process.identity(), {.cpus = "8190"}, no_limits),
      ContainsSubstring("linux.resources.cpu.cpus: \"8190\" is not what this host has"));
  CHECK_THROWS_WITH(limit_cgroups_of(process.identity(), {.mems = "x"}, no_limits),
                    ContainsSubstring("linux.resources.cpu.mems: \"x\" is not what this host has"));
}

TEST_CASE("limit_cgroups_of: another process of the same pid is left alone", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Limited process;
  ProcessIdentity another = process.identity();
  ++another.start_time;
  const std::string before = process.text("pids.max", "pids.max");
  CHECK_THROWS_WITH(limit_cgroups_of(another, {.processes = 77}, no_limits), "the VM ended");
  CHECK(process.text("pids.max", "pids.max") == before);
}
