// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/host/count_oom_kill.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <optional>

#include "lib/base/cgroup_directories.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/random_id.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/runtime/host/cgroup_hierarchies.hpp"
#include "lib/runtime/host/host_cgroup.hpp"

using namespace husk;
using namespace husk::runtime;
namespace fs = std::filesystem;

namespace {

/// A process that stands for a shim, in a cgroup of its own.
class Counted {
 public:
  Counted() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
    cgroup_.add(pid_);
    for (const MemberCgroup& one : find_cgroups_of(pid_)) {
      is_v2_ = one.hierarchy.v2;
      memory_ = one.directory;
      if (fs::exists(memory_ / (is_v2_ ? "memory.events" : "memory.oom_control"))) return;
    }
    memory_.clear();
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  bool is_there() const { return !memory_.empty(); }
  bool is_v2() const { return is_v2_; }
  std::string text(const char* file) const { return read_file(memory_ / file, 65536); }
  const fs::path& memory() const { return memory_; }
  bool lives() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  HostCgroup cgroup_{{"/husk-test-" + random_hex(4), std::nullopt}};
  pid_t pid_ = -1;
  fs::path memory_;
  bool is_v2_ = false;
};

/// What containerd and conmon have of a cgroup v1.
class OomListener {
 public:
  explicit OomListener(const fs::path& cgroup) {
    const UniqueFd control(::open((cgroup / "memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
    write_existing(cgroup / "cgroup.event_control",
                   std::to_string(events_.get()) + " " + std::to_string(control.get()));
  }
  std::uint64_t count() const {
    pollfd polled{events_.get(), POLLIN, 0};
    std::uint64_t number = 0;
    return ::poll(&polled, 1, 1000) == 1 && ::read(events_.get(), &number, sizeof number) > 0
               ? number
               : 0;
  }

 private:
  UniqueFd events_{::eventfd(0, EFD_CLOEXEC)};
};

}  // namespace

TEST_CASE("count_oom_kill: the host counts it where callers look, and no other process is killed",
          "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Counted shim;
  if (!shim.is_there()) SKIP("no controller for memory");
  if (shim.is_v2()) {
    for (int kills = 1; kills <= 2; ++kills) {
      count_oom_kill(shim.pid(), std::nullopt);
      CHECK(shim.text("memory.events").find("\noom_kill " + std::to_string(kills) + "\n") !=
            std::string::npos);
    }
    CHECK(shim.text("cgroup.procs") == std::to_string(shim.pid()) + "\n");
    CHECK(shim.text("cgroup.subtree_control") == "\n");
  } else {
    const std::string limit = shim.text("memory.limit_in_bytes");
    const OomListener listener(shim.memory());
    for (int kills = 1; kills <= 2; ++kills) {
      count_oom_kill(shim.pid(), std::nullopt);
      CHECK(listener.count() == 1);
    }
    CHECK(shim.text("memory.limit_in_bytes") == limit);
    CHECK(shim.text("memory.oom_control").starts_with("oom_kill_disable 0\nunder_oom 0\n"));
    CHECK(shim.text("cgroup.procs") == std::to_string(shim.pid()) + "\n");
  }
  CHECK(shim.lives());
  for (const auto& entry : fs::directory_iterator(shim.memory())) CHECK_FALSE(entry.is_directory());
}

TEST_CASE("count_oom_kill: a process that is gone", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  CHECK_THROWS_AS(count_oom_kill(4194305, std::nullopt), Error);
}

TEST_CASE("count_oom_kill: undoes what a husk that was killed has left", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Counted shim;
  if (!shim.is_there()) SKIP("no controller for memory");
  const std::string pid = std::to_string(shim.pid());
  const fs::path detour = shim.is_v2() ? shim.memory() / cgroup_for_processes
                                       : fs::path(shim.memory().string() + suffix_beside);
  REQUIRE(::mkdir(detour.c_str(), 0755) == 0);
  write_existing(detour / "cgroup.procs", pid);
  if (!shim.is_v2()) write_existing(shim.memory() / "memory.limit_in_bytes", "4194304");
  CHECK(memory_cgroup_of(shim.pid()) == shim.memory());
  count_oom_kill(shim.pid(), 64U << 20U);
  CHECK(shim.text("cgroup.procs") == pid + "\n");
  CHECK_FALSE(fs::exists(detour));
  if (!shim.is_v2()) CHECK(shim.text("memory.limit_in_bytes") == "67108864\n");
}

TEST_CASE("count_oom_kill: all processes of the cgroup come back", "[runtime][root]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Counted shim;
  if (!shim.is_there()) SKIP("no controller for memory");
  const pid_t other = ::fork();
  if (other == 0) {
    ::pause();
    ::_exit(0);
  }
  HostCgroup(shim.pid()).add(other);
  count_oom_kill(shim.pid(), std::nullopt);
  CHECK(memory_cgroup_of(other) == shim.memory());
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}
