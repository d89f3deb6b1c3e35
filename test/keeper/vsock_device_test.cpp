// SPDX-License-Identifier: Apache-2.0
// The vsock device that a VM's keeper runs: what it may do, and with whom it goes.
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/unix_address.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "test/keeper/kept_vm.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::handoff;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr unsigned somebody = 65432, qemu = 65433, other_device = 65434;
constexpr VsockUsers users{.device = somebody, .hypervisor = qemu};

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
