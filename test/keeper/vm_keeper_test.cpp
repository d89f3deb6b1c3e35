// SPDX-License-Identifier: Apache-2.0
// What the keeper does for a VM once husk has handed it over. husk's side alone is in test/lib/handoff.
#include "lib/handoff/vm_keeper.hpp"

#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <thread>

#include "keeper/keep.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "test/keeper/kept_vm.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// "VM keeper: what is waited for in earnest" has the limits that the rest of husk gets.
constexpr keeper::Patience brief{.power_off = 1s, .helper = 200ms};

/// A keeper that calls functions of the test instead of husk.
KeeperSetup with_duties(keeper::Duties duties) {
  KeeperSetup setup = plain;
  setup.launch = [=](int socket) {
    fork_orphan([&] { keeper::run(socket, [&](const KeeperBegin&) { return duties; }); });
  };
  return setup;
}

}  // namespace

TEST_CASE("VM keeper: a VM stays for shims that came later, and is killed after them", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch scratch;
  FakeProcess vm, first, second;
  const ProcessIdentity later = second.identity();
  const bool in_time = GENERATE(true, false);
  const fs::path known = scratch.path() / "known";  // the keeper is another process
  if (in_time) std::ofstream(known).put('y');
  {
    const auto find = [=]() -> std::vector<ProcessIdentity> {
      if (fs::exists(known)) return {later};
      throw Error(Errc::not_found, "no record");
    };
    VmKeeper keeper(with_duties({.find_shims = find, .patience = brief}));
    keeper.hand_over({.vm = vm.identity(), .shims = {first.identity()}});
  }
  first.end();
  std::this_thread::sleep_for(200ms);
  std::ofstream(known).put('y');  // the guest lives, so it has come to it
  CHECK_FALSE(vm.ends_within(brief.power_off * 3 / 2));
  second.end();
  CHECK(vm.ends_within(8s));
}

TEST_CASE("VM keeper: a pod's VM goes on without a shim, and ends with the pod", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Scratch scratch;
  FakeProcess vm, first;
  const fs::path pod = scratch.path() / "pod", short_of_files = scratch.path() / "short";
  std::ofstream(pod).put('y');
  {
    VmKeeper keeper(with_duties({.find_shims = [] { return std::vector<ProcessIdentity>{}; },
                                 .is_pod_there =
                                     [=] {
                                       if (fs::exists(short_of_files))
                                         throw Error(Errc::system, "open", EMFILE);
                                       return fs::exists(pod);
                                     },
                                 .patience = brief}));
    keeper.hand_over({.vm = vm.identity(), .shims = {first.identity()}});
  }
  first.end();
  CHECK_FALSE(vm.ends_within(brief.power_off * 3 / 2));
  std::ofstream(short_of_files).put('y');
  fs::remove(pod);
  CHECK_FALSE(vm.ends_within(2500ms));
  fs::remove(short_of_files);
  CHECK(vm.ends_within(8s));
}

TEST_CASE("VM keeper: a VM that does not power off is killed after its last shim", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeProcess vm, helper, first, second;
  {
    // Without a device, as on a host with /dev/vhost-vsock.
    VmKeeper keeper(with_duties({.patience = brief}));
    keeper.hand_over({.vm = vm.identity(),
                      .helpers = {helper.identity()},
                      .shims = {first.identity(), second.identity()}});
  }
  ::kill(vm.pid, SIGSTOP);  // a guest that was taken over does not power off either
  ::kill(helper.pid, SIGSTOP);
  first.end();
  CHECK_FALSE(vm.ends_within(brief.power_off * 3 / 2));
  const auto start = std::chrono::steady_clock::now();
  second.end();
  CHECK(vm.ends_within(10s));
  CHECK(std::chrono::steady_clock::now() - start >
        brief.power_off * 3 / 4);  // the guest had its time to power off
  CHECK(helper.ends_within(10s));
}

TEST_CASE("VM keeper: what is waited for in earnest", "[keeper]") {
  CHECK(KeeperSetup{}.patience == 10s);
  CHECK(keeper::Duties{}.patience.power_off == 5s);
  CHECK(keeper::Duties{}.patience.helper == 2s);
}

TEST_CASE("VM keeper: a VM whose helper dies is killed at once", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  FakeProcess vm, helper, other, shim;
  {
    VmKeeper keeper(plain);
    keeper.hand_over({.vm = vm.identity(),
                      .helpers = {other.identity(), helper.identity()},
                      .shims = {shim.identity()}});
  }
  ::kill(vm.pid, SIGSTOP);  // waits for the helper's answer, and does not end by itself
  CHECK_FALSE(vm.ends_within(300ms));
  helper.end();
  CHECK(vm.ends_within(4s));  // not after the guest's time to power off
  CHECK(other.ends_within(10s));
}

namespace {
/// A husk that starts a VM: `killed` while it does so, or one that gives up.
void start_and_go(const FakeProcess& vm, bool killed) {
  const pid_t husk = ::fork();
  if (husk == 0) {
    const ProcessIdentity identity = vm.identity();
    std::optional<VmKeeper> keeper;
    keeper.emplace(with_duties({.end_abandoned = [=] { kill_process(identity, 5s); }}));
    std::this_thread::sleep_for(200ms);  // the keeper has greeted, and nobody has read that
    if (!killed) keeper.reset();
    ::_exit(0);
  }
  ::waitpid(husk, nullptr, 0);
}
}  // namespace

TEST_CASE("VM keeper: a VM that was being started when husk was killed ends", "[keeper]") {
  FakeProcess vm, kept;
  start_and_go(vm, true);
  CHECK(vm.ends_within(10s));
  // One that gave up has undone its start itself; the keeper touches nothing.
  start_and_go(kept, false);
  CHECK_FALSE(kept.ends_within(2s));
}

namespace {
/// Who stands for systemd: makes the keeper, which is then no descendant of a husk that asks for it.
/// Made before that husk, from which it gets the socket.
class Launcher {
 public:
  Launcher() {
    SocketPair ends = make_socket_pair();
    requests_ = std::move(ends.own);
    pid_ = ::fork();
    if (pid_ != 0) return;
    requests_.reset();
    serve(ends.other.get());
  }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;
  ~Launcher() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void launch(int socket) const { send_with_descriptors(requests_.get(), "k", {socket}); }
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] static void serve(int requests) {
    std::vector<UniqueFd> sockets;
    char byte = 0;
    while (receive_with_descriptors(requests, {&byte, 1}, sockets) == 1) {
      if (::fork() == 0)
        keeper::run(sockets.back().release(),
                    [](const KeeperBegin&) { return keeper::Duties{.patience = brief}; });
      sockets.clear();
    }
    ::_exit(0);
  }
  UniqueFd requests_;
  pid_t pid_ = -1;
};

/// The processes called husk-keeper that `parent` has.
int keepers_of(pid_t parent) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    if (slurp(entry.path() / "comm") != "husk-keeper\n") continue;
    if (parent_of(std::stoi(entry.path().filename())) == parent) ++count;
  }
  return count;
}
}  // namespace

TEST_CASE("VM keeper: one that is launched elsewhere keeps the VM and descends from there",
          "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const Launcher launcher;
  FakeProcess vm, shim;
  {
    VmKeeper keeper(KeeperSetup{.program = HUSK_KEEPER,
                                .launch = [&](int socket) { launcher.launch(socket); }});
    keeper.hand_over({.vm = vm.identity(), .shims = {shim.identity()}});
  }
  CHECK(keepers_of(launcher.pid()) == 1);
  CHECK(keepers_of(::getpid()) == 0);
  ::kill(vm.pid, SIGSTOP);
  CHECK_FALSE(vm.ends_within(300ms));
  shim.end();
  CHECK(vm.ends_within(8s));
}

TEST_CASE("VM keeper: is forked where nobody launches it", "[keeper]") {
  if (::geteuid() != 0) SKIP("needs root");
  const LaunchKeeper launch =
      GENERATE(LaunchKeeper([](int) { throw Error(Errc::system, "no systemd"); }),
               LaunchKeeper([](int) {}));  // accepted, but its program is not executed
  FakeProcess vm, shim;
  {
    VmKeeper keeper(KeeperSetup{.program = HUSK_KEEPER, .launch = launch, .patience = 2s});
    keeper.hand_over({.vm = vm.identity(), .shims = {shim.identity()}});
  }
  ::kill(vm.pid, SIGSTOP);
  CHECK_FALSE(vm.ends_within(300ms));
  shim.end();
  CHECK(vm.ends_within(8s));
}
