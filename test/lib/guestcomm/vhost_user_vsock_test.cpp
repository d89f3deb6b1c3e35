// SPDX-License-Identifier: Apache-2.0
#include "lib/guestcomm/vhost_user_vsock.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/guestcomm/guest_address.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk;
using namespace husk::guestcomm;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr unsigned somebody = 65432;

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
  fs::path path = scratch.path() / "vsock";
  DeviceDirectory() {
    fs::permissions(scratch.path(), fs::perms(0711));
    fs::create_directory(path);
    fs::permissions(path, fs::perms(0700));
    REQUIRE(::chown(path.c_str(), somebody, somebody) == 0);
  }
  bool is_quiet() const { return device_in(path) == 0 && fs::is_empty(path); }
};

/// A process that stands for QEMU.
struct FakeVm {
  pid_t pid = ::fork();
  FakeVm() {
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  FakeVm(const FakeVm&) = delete;
  FakeVm& operator=(const FakeVm&) = delete;
  ~FakeVm() { end(); }
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

}  // namespace

TEST_CASE("vhost-user vsock: the device is nobody, with nothing of ours", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  std::array<int, 2> leak{};  // not close-on-exec, as a careless caller's
  REQUIRE(::pipe(leak.data()) == 0);
  const VhostUserVsock vsock(directory.path, somebody, somebody);
  ::close(leak[1]);
  CHECK(fs::is_socket(vsock.device_socket()));
  CHECK(fs::is_socket(vsock.host_socket()));
  const pid_t device = device_in(directory.path);
  REQUIRE(device > 0);
  const std::string ids = "\t65432\t65432\t65432\t65432";
  CHECK(status_line(device, "Uid") == "Uid:" + ids);
  CHECK(status_line(device, "Gid") == "Gid:" + ids);
  CHECK(status_line(device, "Groups").find_first_of("0123456789") == std::string::npos);
  CHECK(status_line(device, "NoNewPrivs") == "NoNewPrivs:\t1");
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

TEST_CASE("vhost-user vsock: device and sockets go with the object", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  { const VhostUserVsock vsock(directory.path, somebody, somebody); }
  CHECK(directory.is_quiet());  // at once: destruction waits for it
}

TEST_CASE("vhost-user vsock: a second one in the same directory is refused", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const VhostUserVsock vsock(directory.path, somebody, somebody);
  CHECK_THROWS_AS(VhostUserVsock(directory.path, somebody, somebody), Error);
  CHECK(device_in(directory.path) > 0);
}

TEST_CASE("vhost-user vsock: after hand-over it lives as long as the VM", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeVm vm;
  {
    VhostUserVsock vsock(directory.path, somebody, somebody);
    vsock.hand_over(identify_process(vm.pid).value());
  }
  std::this_thread::sleep_for(300ms);
  CHECK(device_in(directory.path) > 0);
  vm.end();
  CHECK(comes_true([&] { return directory.is_quiet(); }));
}

TEST_CASE("vhost-user vsock: cannot be handed to a VM that ended", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeVm vm;
  const ProcessIdentity gone = identify_process(vm.pid).value();
  vm.end();
  {
    VhostUserVsock vsock(directory.path, somebody, somebody);
    CHECK_THROWS_AS(vsock.hand_over(gone), Error);
  }
  CHECK(directory.is_quiet());
}

TEST_CASE("vhost-user vsock: goes when the husk that made it is killed", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const pid_t husk = ::fork();
  if (husk == 0) {
    const VhostUserVsock vsock(directory.path, somebody, somebody);
    ::pause();
    ::_exit(0);
  }
  REQUIRE(comes_true([&] { return fs::is_socket(directory.path / "vhost.sock"); }));
  ::kill(husk, SIGKILL);
  ::waitpid(husk, nullptr, 0);
  CHECK(comes_true([&] { return directory.is_quiet(); }));
}

TEST_CASE("vhost-user vsock: the device goes with its keeper, the keeper with its device",
          "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  FakeVm vm;
  VhostUserVsock vsock(directory.path, somebody, somebody);
  vsock.hand_over(identify_process(vm.pid).value());
  const pid_t device = device_in(directory.path);
  REQUIRE(device > 0);
  const ProcessIdentity keeper = identify_process(parent_of(device)).value();
  SECTION("keeper killed") {
    ::kill(keeper.pid, SIGKILL);
    CHECK(comes_true([&] { return device_in(directory.path) == 0; }));
  }
  SECTION("device killed") {
    ::kill(device, SIGKILL);
    CHECK(comes_true([&] { return !is_alive(keeper); }));
    CHECK(directory.is_quiet());
  }
}

TEST_CASE("vhost-user vsock: a directory that it cannot write is a clear error", "[guestcomm]") {
  skip_if_impossible();
  const Scratch scratch;  // root's
  try {
    const VhostUserVsock vsock(scratch.path(), somebody, somebody);
    FAIL("nothing was thrown");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(scratch.path().string()) != std::string::npos);
  }
  CHECK(fs::is_empty(scratch.path()));
}

TEST_CASE("vhost-user vsock: the device without a guest answers nobody", "[guestcomm]") {
  skip_if_impossible();
  const DeviceDirectory directory;
  const VhostUserVsock vsock(directory.path, somebody, somebody);
  CHECK_THROWS_AS(connect_guest(HybridAddress{vsock.host_socket().string()}, 1024, 500ms), Error);
}
