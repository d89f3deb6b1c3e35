// SPDX-License-Identifier: Apache-2.0
#include "lib/handoff/vm_keeper.hpp"

#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "keeper/keep.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/detach.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr unsigned somebody = 65432, qemu = 65433, other_device = 65434;
constexpr VsockUsers users{.device = somebody, .hypervisor = qemu};
const KeeperSetup plain{.program = HUSK_KEEPER, .vm_id = "00001234"};

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

std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The device that runs in `directory` (its cwd tells), 0 if there is none.
pid_t device_in(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::error_code error;
    if (fs::read_symlink(entry.path() / "cwd", error) != directory || error) continue;
    if (slurp(entry.path() / "cmdline").starts_with("vhost-device-vsock"))
      return std::stoi(entry.path().filename());
  }
  return 0;
}

pid_t parent_of(pid_t pid) {
  const std::string status = slurp("/proc/" + std::to_string(pid) + "/status");
  return std::stoi(status.substr(status.find("PPid:") + 5));
}

template <typename Condition>
bool comes_true(Condition&& condition) {
  for (int tries = 0; tries < 250; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

struct DeviceDirectory {
  Scratch scratch;
  fs::path path = scratch.path() / "vsock", own = path / "device";
  DeviceDirectory() {
    fs::permissions(scratch.path(), fs::perms(0711));
    fs::create_directories(own);
    fs::permissions(path, fs::perms(0711));
    fs::permissions(own, fs::perms(0700));
    REQUIRE(::chown(own.c_str(), somebody, somebody) == 0);
  }
  bool is_quiet() const {
    return device_in(own) == 0 && fs::is_empty(own) && !fs::exists(path / "vhost.sock");
  }
};

/// A process that stands for QEMU, virtiofsd or a shim.
struct FakeProcess {
  pid_t pid = ::fork();
  FakeProcess() {
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  FakeProcess(const FakeProcess&) = delete;
  FakeProcess& operator=(const FakeProcess&) = delete;
  ~FakeProcess() { end(); }
  ProcessIdentity identity() const { return identify_process(pid).value(); }
  bool ends_within(std::chrono::milliseconds patience) const {
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)));
    pollfd polled{pidfd.get(), POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(patience.count())) == 1;
  }
  void end() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
};

void skip_if_impossible() {
  if (::geteuid() != 0) SKIP("needs root");
  if (::access("/usr/bin/vhost-device-vsock", X_OK) != 0)
    SKIP("vhost-device-vsock is not installed");
}

std::string status_line(pid_t pid, const std::string& key) {
  const std::string status = slurp("/proc/" + std::to_string(pid) + "/status");
  const auto start = status.find(key + ":\t");
  REQUIRE(start != std::string::npos);
  return status.substr(start, status.find('\n', start) - start);
}

/// What `doing` returned in a process of that user and group, without capabilities.
template <typename F>
int as_user(unsigned id, F&& doing) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool is_user = ::setgroups(0, nullptr) == 0 && ::setresgid(id, id, id) == 0 &&
                         ::setresuid(id, id, id) == 0;
    ::_exit(is_user ? doing() : 255);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int connect_to_socket(const fs::path& path) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un name = unix_address(path);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0
             ? 0
             : errno;
}

}  // namespace

TEST_CASE("VM keeper: the device is nobody, with nothing of ours", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  std::array<int, 2> leak{};  // not close-on-exec, as a careless caller's
  REQUIRE(::pipe(leak.data()) == 0);
  const VmKeeper vsock(directory.path, users, plain);
  ::close(leak[1]);
  CHECK(fs::is_socket(vsock.device_socket()));
  CHECK(fs::is_socket(vsock.host_socket()));
  const pid_t device = device_in(directory.own);
  REQUIRE(device > 0);
  const std::string ids = "\t65432\t65432\t65432\t65432";
  CHECK(status_line(device, "Uid") == "Uid:" + ids);
  CHECK(status_line(device, "Gid") == "Gid:" + ids);
  CHECK(status_line(device, "Groups").find_first_of("0123456789") == std::string::npos);
  CHECK(status_line(device, "NoNewPrivs") == "NoNewPrivs:\t1");
  CHECK(status_line(device, "Seccomp") ==
        "Seccomp:\t2");  // device_system_calls_test.cpp: which filter
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK(status_line(device, set) == std::string(set) + ":\t0000000000000000");
  CHECK(slurp("/proc/" + std::to_string(device) + "/environ").empty());
  // End of file on the pipe: neither device nor keeper holds its other end.
  pollfd end{leak[0], POLLIN, 0};
  REQUIRE(::poll(&end, 1, 2000) == 1);
  CHECK((end.revents & POLLHUP) != 0);
  ::close(leak[0]);
  // The keeper: own session, streams nowhere.
  const pid_t keeper = parent_of(device);
  CHECK(::getsid(keeper) != ::getsid(0));
  for (const char* stream : {"0", "1", "2"})
    CHECK(fs::read_symlink("/proc/" + std::to_string(keeper) + "/fd/" + stream) == "/dev/null");
}

TEST_CASE("VM keeper: another VM's device reaches no socket, the hypervisor only its own",
          "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const VmKeeper vsock(directory.path, users, plain);
  struct stat info {};
  REQUIRE(::lstat(vsock.device_socket().c_str(), &info) == 0);
  CHECK(info.st_uid == qemu);
  CHECK((info.st_mode & 077) == 0);
  CHECK(vsock.device_socket().parent_path() == directory.path);
  CHECK(vsock.host_socket().parent_path() == directory.own);

  // 0, or why not.
  const auto connects = [](unsigned user, const fs::path& path) {
    return as_user(user, [&] { return connect_to_socket(path); });
  };
  CHECK(connects(qemu, vsock.device_socket()) == 0);
  CHECK(connects(qemu, vsock.host_socket()) == EACCES);
  CHECK(connects(other_device, vsock.device_socket()) == EACCES);
  CHECK(connects(other_device, vsock.host_socket()) == EACCES);
  for (const unsigned user : {qemu, other_device, somebody}) {
    CAPTURE(user);
    CHECK(as_user(user, [&] { return ::unlink(vsock.device_socket().c_str()) == 0 ? 0 : errno; }) ==
          EACCES);
    CHECK(as_user(user, [&] {
            return ::mkdir((directory.path / "new").c_str(), 0700) == 0 ? 0 : errno;
          }) == EACCES);
  }
}

TEST_CASE("VM keeper: device and sockets go with the object", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  { const VmKeeper vsock(directory.path, users, plain); }
  CHECK(directory.is_quiet());  // at once: destruction waits for it
}

TEST_CASE("VM keeper: a second one in the same directory is refused", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const VmKeeper vsock(directory.path, users, plain);
  CHECK_THROWS_AS(VmKeeper(directory.path, users, plain), Error);
  CHECK(device_in(directory.own) > 0);
}

TEST_CASE("VM keeper: after hand-over it lives as long as the VM", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeProcess vm;
  {
    VmKeeper vsock(directory.path, users, plain);
    vsock.hand_over({.vm = vm.identity()});
  }
  std::this_thread::sleep_for(300ms);
  CHECK(device_in(directory.own) > 0);
  vm.end();
  CHECK(comes_true([&] { return directory.is_quiet(); }));
}

TEST_CASE("VM keeper: cannot be handed to a VM that ended", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeProcess vm;
  const ProcessIdentity gone = vm.identity();
  vm.end();
  {
    VmKeeper vsock(directory.path, users, plain);
    CHECK_THROWS_AS(vsock.hand_over({.vm = gone}), Error);
  }
  CHECK(directory.is_quiet());
}

TEST_CASE("VM keeper: goes when the husk that made it is killed", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const pid_t husk = ::fork();
  if (husk == 0) {
    const VmKeeper vsock(directory.path, users, plain);
    ::pause();
    ::_exit(0);
  }
  REQUIRE(comes_true([&] { return fs::is_socket(directory.path / "vhost.sock"); }));
  ::kill(husk, SIGKILL);
  ::waitpid(husk, nullptr, 0);
  CHECK(comes_true([&] { return directory.is_quiet(); }));
}

TEST_CASE("VM keeper: the device goes with its keeper, the keeper with the VM", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeProcess vm;
  VmKeeper vsock(directory.path, users, plain);
  vsock.hand_over({.vm = vm.identity()});
  const pid_t device = device_in(directory.own);
  REQUIRE(device > 0);
  const ProcessIdentity keeper = identify_process(parent_of(device)).value();
  SECTION("keeper killed") {
    ::kill(keeper.pid, SIGKILL);
    CHECK(comes_true([&] { return device_in(directory.own) == 0; }));
  }
  SECTION("device killed") {
    ::kill(device, SIGKILL);
    std::this_thread::sleep_for(200ms);
    CHECK(is_alive(keeper));  // it still has to end the VM
    vm.end();
    CHECK(comes_true([&] { return !is_alive(keeper); }));
    CHECK(directory.is_quiet());
  }
}

TEST_CASE("VM keeper: a directory that it cannot write is a clear error", "[keeper]") {
  skip_if_impossible();
  const Scratch scratch;  // root's
  try {
    const VmKeeper vsock(scratch.path(), users, plain);
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(scratch.path().string()) != std::string::npos);
  }
  CHECK(fs::is_empty(scratch.path()));
}

TEST_CASE("VM keeper: the device without a guest answers nobody", "[keeper]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const VmKeeper vsock(directory.path, users, plain);
  CHECK_THROWS_AS(
      guestcomm::connect_guest(guestcomm::HybridAddress{vsock.host_socket().string()}, 1024, 500ms),
      Error);
}

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

TEST_CASE("VM keeper: cannot be handed a shim that ended", "[keeper]") {
  FakeProcess vm, shim;
  const ProcessIdentity gone = shim.identity();
  shim.end();
  VmKeeper keeper(plain);
  CHECK_THROWS_WITH(keeper.hand_over({.vm = vm.identity(), .shims = {gone}}), "the shim ended");
}
