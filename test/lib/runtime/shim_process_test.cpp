// SPDX-License-Identifier: Apache-2.0
// The shim's child before it executes, on a file system that does not answer.
#include "lib/runtime/shim/shim_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/cancellation.hpp"
#include "lib/base/error.hpp"
#include "lib/base/process.hpp"
#include "lib/base/random_id.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::runtime;
using namespace std::chrono_literals;
using husk::test::Scratch;
namespace fs = std::filesystem;

namespace {

/// A FUSE whose daemon answers nothing: every look at it waits until the descriptor is closed.
class DeafFuse : public Scratch {
 public:
  DeafFuse() {
    fs::create_directories(path() / "fuse");
    fs::create_directories(path() / "rootfs");
    const std::string options =
        "fd=" + std::to_string(fd_.get()) + ",rootmode=40000,user_id=0,group_id=0";
    is_there_ =
        fd_ && ::mount("husk-test", (path() / "fuse").c_str(), "fuse", 0, options.c_str()) == 0;
  }
  DeafFuse(const DeafFuse&) = delete;
  DeafFuse& operator=(const DeafFuse&) = delete;
  ~DeafFuse() {
    fd_.reset();
    ::umount2((path() / "fuse").c_str(), MNT_DETACH);
  }
  bool is_there() const { return is_there_; }

  ShimPlan plan() const {
    NewShim shim;
    shim.root.rootfs = path() / "rootfs";
    shim.root.mounts = {{.source = path() / "fuse/file", .destination = "/file"}};
    return {.arguments = {"shim"}, .place = shim};
  }

 private:
  UniqueFd fd_{::open("/dev/fuse", O_RDWR | O_CLOEXEC)};
  bool is_there_ = false;
};

std::vector<pid_t> children_of(pid_t pid) {
  const std::string name = std::to_string(pid);
  std::ifstream file("/proc/" + name + "/task/" + name + "/children");
  std::vector<pid_t> found;
  for (pid_t child = 0; file >> child;) found.push_back(child);
  return found;
}

/// In a process of its own, since Cancellation blocks its signals for good. Its status.
[[noreturn]] void set_up(const ShimPlan& plan, const std::string& cgroups_path,
                         const ShimPatience& patience) {
  try {
    const Cancellation cancellation;
    HostCgroup cgroup({cgroups_path, std::nullopt});
    const ShimProcess shim("/bin/sleep", plan, cgroup, std::nullopt, patience);
  } catch (const Error& e) {
    if (e.code() == Errc::timed_out) ::_exit(6);
    ::_exit(e.sys_errno() == ECANCELED ? 7 : 8);
  }
  ::_exit(9);
}

/// The shim's child once it waits for the file system; its parent.
struct Stuck {
  explicit Stuck(const ShimPlan& plan, const ShimPatience& patience = {}) : husk(::fork()) {
    if (husk == 0) set_up(plan, cgroups_path, patience);
    for (int n = 0; n < 500 && !child; ++n) {
      std::this_thread::sleep_for(10ms);
      for (const pid_t pid : children_of(husk)) child = identify_process(pid);
    }
    std::this_thread::sleep_for(500ms);
  }
  Stuck(const Stuck&) = delete;
  Stuck& operator=(const Stuck&) = delete;
  ~Stuck() {
    ::kill(husk, SIGKILL);
    ::waitpid(husk, nullptr, 0);
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup"))
      ::rmdir((hierarchy.path().string() + cgroups_path).c_str());
    ::rmdir(("/sys/fs/cgroup" + cgroups_path).c_str());
  }
  const std::string cgroups_path = "/husk-test-" + random_hex(4);
  const pid_t husk;
  std::optional<ProcessIdentity> child;
};

bool ends(const ProcessIdentity& process) {
  for (int n = 0; n < 500 && is_alive(process); ++n) std::this_thread::sleep_for(10ms);
  return !is_alive(process);
}

}  // namespace

TEST_CASE("shim: setting it up on a file system that does not answer is cancelled",
          "[runtime][root]") {
  const DeafFuse fuse;
  if (!fuse.is_there()) SKIP("no FUSE here");
  const Stuck stuck(fuse.plan());
  REQUIRE(stuck.child);
  CHECK(is_alive(*stuck.child));
  ::kill(stuck.husk, SIGTERM);
  int status = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (::waitpid(stuck.husk, &status, WNOHANG) == 0 &&
         std::chrono::steady_clock::now() - begin < 10s)
    std::this_thread::sleep_for(10ms);
  ::kill(stuck.husk, SIGKILL);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));
  CHECK(ends(*stuck.child));
}

TEST_CASE("shim: setting it up on a file system that does not answer ends in bounded time",
          "[runtime][root]") {
  const DeafFuse fuse;
  if (!fuse.is_there()) SKIP("no FUSE here");
  CHECK(ShimPatience{}.set_up == 30s);  // what the rest of husk gets
  CHECK(ShimPatience{}.hand_over == 30s);
  const auto begin = std::chrono::steady_clock::now();
  const Stuck stuck(fuse.plan(), {.set_up = 2s});
  REQUIRE(stuck.child);
  const UniqueFd husk(static_cast<int>(::syscall(SYS_pidfd_open, stuck.husk, 0U)));
  pollfd ended{husk.get(), POLLIN, 0};
  REQUIRE(::poll(&ended, 1, 15'000) == 1);
  CHECK(std::chrono::steady_clock::now() - begin >= 1900ms);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(stuck.husk), &info, WEXITED | WNOWAIT) == 0);
  CHECK(info.si_code == CLD_EXITED);
  CHECK(info.si_status == 6);
  CHECK(ends(*stuck.child));
}

TEST_CASE("shim: the child of a husk that is killed meanwhile ends with it", "[runtime][root]") {
  const DeafFuse fuse;
  if (!fuse.is_there()) SKIP("no FUSE here");
  const Stuck stuck(fuse.plan());
  REQUIRE(stuck.child);
  ::kill(stuck.husk, SIGKILL);
  ::waitpid(stuck.husk, nullptr, 0);
  CHECK(ends(*stuck.child));
}
