// SPDX-License-Identifier: Apache-2.0
#include "lib/base/cgroup_directories.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
namespace fs = std::filesystem;

namespace {

/// An empty cgroup directory of some hierarchy; empty where none can be made.
fs::path make_cgroup() {
  const std::string name = "husk-test-" + random_hex(4);
  for (const char* hierarchy : {"/sys/fs/cgroup/pids", "/sys/fs/cgroup"}) {
    std::error_code error;
    const fs::path directory = fs::path(hierarchy) / name;
    if (fs::exists(fs::path(hierarchy) / "cgroup.procs") && fs::create_directory(directory, error))
      return directory;
  }
  return {};
}

}  // namespace

TEST_CASE("remove_cgroups: children go before their parents, and what is gone is fine",
          "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const fs::path parent = make_cgroup(), child = parent / "child";
  if (parent.empty()) SKIP("no cgroup can be made here");
  fs::create_directory(child);
  remove_cgroups({parent, child});
  CHECK_FALSE(fs::exists(parent));
  remove_cgroups({parent, child});
}

TEST_CASE("remove_cgroups: a parent with somebody else's child stays", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const fs::path parent = make_cgroup();
  if (parent.empty()) SKIP("no cgroup can be made here");
  fs::create_directory(parent / "own");
  fs::create_directory(parent / "other");
  remove_cgroups({parent, parent / "own"});
  CHECK_FALSE(fs::exists(parent / "own"));
  CHECK(fs::exists(parent / "other"));
  for (const fs::path& left : {parent / "other", parent}) fs::remove(left);
}

TEST_CASE("remove_cgroups: another directory of the host stays", "[base]") {
  const test::Scratch scratch;
  fs::create_directory(scratch.path() / "empty");
  remove_cgroups({scratch.path() / "empty"});
  CHECK(fs::exists(scratch.path() / "empty"));
}

TEST_CASE("remove_cgroups: a process on its way out is waited for", "[base][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const fs::path cgroup = make_cgroup();
  if (cgroup.empty()) SKIP("no cgroup can be made here");
  const pid_t child = ::fork();
  if (child == 0) {
    ::usleep(100'000);
    ::_exit(0);
  }
  write_existing(cgroup / "cgroup.procs", std::to_string(child));
  std::thread reaper([&] { ::waitpid(child, nullptr, 0); });
  remove_cgroups({cgroup});
  reaper.join();
  CHECK_FALSE(fs::exists(cgroup));
  fs::remove(cgroup);
}
