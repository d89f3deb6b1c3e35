// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "lib/base/error.hpp"
#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/guest_address.hpp"
#include "lib/guestcomm/link/vm_keeper.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm.hpp"

using namespace husk;
using namespace husk::hypervisor;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const Driver& qemu = driver_for("qemu:///system");

/// A cpio archive with nothing in it: this kernel needs no user space for what is tested here.
std::string empty_initrd() {
  std::string archive = "070701";
  for (int field = 0; field < 13; ++field) archive += field == 11 ? "0000000B" : "00000000";
  archive += "TRAILER!!!";
  archive.resize(512, '\0');
  return archive;
}

/// What the runtime prepares for a VM: a directory for QEMU's user, kernel and initrd read-only
/// binds, a shared directory.
class VmFixture {
 public:
  explicit VmFixture(const std::string& kernel_content = {}) {
    fs::create_directories("/run/husk-vm");
    fs::permissions("/run/husk-vm", fs::perms(0711));
    fs::create_directory(directory_);
    fs::permissions(directory_, fs::perms(0711));
    fs::create_directory(directory_ / "shared");
    fs::create_directory(directory_ / "vsock");
    fs::permissions(directory_ / "vsock", fs::perms(0700));
    const VmUser user = qemu.find_user();
    REQUIRE(::chown((directory_ / "vsock").c_str(), user.uid, user.gid) == 0);
    if (kernel_content.empty())
      fs::copy_file(HUSK_TEST_KERNEL, source("vmlinuz"));
    else
      std::ofstream(source("vmlinuz")) << kernel_content;
    std::ofstream(source("initrd")) << empty_initrd();
    for (const char* name : {"vmlinuz", "initrd"}) bind_read_only(name);
    config_.name = "husk-test-" + random_hex(4);
    config_.description = "test";
    config_.memory_mib = 256;
    config_.kernel = directory_ / "vmlinuz";
    config_.initrd = directory_ / "initrd";
    config_.kernel_arguments = "console=ttyS0";
    config_.firmware = qemu.firmware;
    config_.console_log = directory_ / "console.log";
    config_.shared_directories = {{directory_ / "shared", "husk"}};
    config_.accelerator = Accelerator::tcg;
    if (!guestcomm::has_vhost_vsock())
      config_.vsock.vhost_user_socket = directory_ / "vsock" / "vhost.sock";
  }
  VmFixture(const VmFixture&) = delete;
  VmFixture& operator=(const VmFixture&) = delete;
  ~VmFixture() {
    for (const char* name : {"vmlinuz", "initrd"})
      ::umount2((directory_ / name).c_str(), MNT_DETACH);
    fs::remove_all(directory_);
  }

  VmConfig& config() { return config_; }
  fs::path vsock_directory() const { return directory_ / "vsock"; }
  fs::path source(const std::string& name) const { return directory_ / (name + ".source"); }

 private:
  void bind_read_only(const std::string& name) {
    const fs::path target = directory_ / name;
    std::ofstream{target};
    REQUIRE(::mount(source(name).c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(::mount("none", target.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) ==
            0);
  }

  fs::path directory_ = "/run/husk-vm/test-" + random_hex(4);
  VmConfig config_;
};

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

template <typename Condition>
bool comes_true(Condition&& condition, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

/// Every process whose command line holds `text`.
std::set<std::string> processes_with(const std::string& text) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string command_line = slurp(entry.path() / "cmdline");
    if (command_line.find(text) != std::string::npos) found.insert(entry.path().filename());
  }
  return found;
}

/// All that libvirt and the kernel keep under the VM's name.
std::set<std::string> traces_of(const std::string& name) {
  std::set<std::string> found = processes_with(name);
  for (const char* directory : {"/run/libvirt/qemu", "/var/lib/libvirt/qemu",
                                "/var/log/libvirt/qemu", "/var/lib/libvirt/qemu/channel/target"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
      if (entry.path().filename().string().find(name) != std::string::npos)
        found.insert(entry.path());
    }
  }
  std::error_code error;
  fs::recursive_directory_iterator cgroups("/sys/fs/cgroup", error);
  for (; !error && cgroups != fs::recursive_directory_iterator(); cgroups.increment(error)) {
    if (cgroups->path().filename().string().find(name) != std::string::npos)
      found.insert(cgroups->path());
  }
  return found;
}

std::string failure_of(Hypervisor& hypervisor, const VmConfig& config) {
  try {
    hypervisor.start(config);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

void require_clear(const std::string& text) {
  INFO(text);
  CHECK_FALSE(text.empty());
  CHECK(text.size() < 1200);
  CHECK(text.find('\n') == std::string::npos);
  for (const char* phrase : {"no such file or directory", "No such file or directory",
                             "ermission denied", "ot a directory", "peration not permitted"})
    CHECK(text.find(phrase) == std::string::npos);
}

long long milliseconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start)
      .count();
}

void skip_without_assets() {
  if (::geteuid() != 0) SKIP("needs root");
  if (!fs::exists(HUSK_TEST_KERNEL)) SKIP(HUSK_TEST_KERNEL " was not built");
}

void start_device(VmFixture& vm, std::optional<guestcomm::VmKeeper>& device) {
  if (!vm.config().vsock.vhost_user_socket) return;
  const VmUser user = qemu.find_user();
  device.emplace(vm.vsock_directory(), user.uid, user.gid);
}

}  // namespace

TEST_CASE("libvirt: a VM starts, speaks on its console, and leaves nothing", "[libvirt]") {
  skip_without_assets();
  VmFixture vm;
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  std::unique_ptr<Hypervisor> hypervisor;
  const auto connect_ms = milliseconds_of([&] { hypervisor = connect_libvirt({}); });
  StartedVm started;
  const auto start_ms = milliseconds_of([&] { started = hypervisor->start(vm.config()); });
  if (device) device->hand_over({.vm = started.process});

  CHECK(is_alive(started.process));
  REQUIRE(started.helpers.size() >= 1);
  for (const ProcessIdentity& helper : started.helpers) CHECK(is_alive(helper));
  CHECK(started.cid.has_value() == !vm.config().vsock.vhost_user_socket.has_value());
  CHECK(fs::exists(qemu.domain_file(started.name)));
  CHECK(comes_true(
      [&] { return slurp(vm.config().console_log).find("Linux version") != std::string::npos; },
      60s));

  // QEMU is somebody else, filtered, and the kernel's owner was not changed for it.
  const std::string status = slurp("/proc/" + std::to_string(started.process.pid) + "/status");
  const VmUser user = qemu.find_user();
  CHECK(status.find("Uid:\t" + std::to_string(user.uid)) != std::string::npos);
  CHECK(status.find("Seccomp:\t2") != std::string::npos);
  struct stat info {};
  REQUIRE(::stat(vm.source("vmlinuz").c_str(), &info) == 0);
  CHECK(info.st_uid == 0);

  const auto destroy_ms = milliseconds_of([&] { hypervisor->destroy(started.name); });
  CHECK_FALSE(is_alive(started.process));
  for (const ProcessIdentity& helper : started.helpers) CHECK_FALSE(is_alive(helper));
  CHECK(traces_of(started.name) == std::set<std::string>{});
  CHECK(comes_true([&] { return fs::is_empty(vm.vsock_directory()); }, 5s));
  hypervisor->destroy(started.name);  // again: nothing to do
  std::cout << "libvirt: connect " << connect_ms << " ms, start " << start_ms << " ms, destroy "
            << destroy_ms << " ms\n";
}

TEST_CASE("libvirt: a VM that was killed is known as gone", "[libvirt]") {
  skip_without_assets();
  VmFixture vm;
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  const StartedVm started = hypervisor->start(vm.config());
  if (device) device->hand_over({.vm = started.process});
  REQUIRE(::kill(started.process.pid, SIGKILL) == 0);
  hypervisor->destroy(started.name);
  CHECK_FALSE(is_alive(started.process));
  CHECK(traces_of(started.name) == std::set<std::string>{});
  CHECK(comes_true([&] { return fs::is_empty(vm.vsock_directory()); }, 5s));
}

TEST_CASE("libvirt: a VM that cannot start gives one clear line and leaves nothing", "[libvirt]") {
  skip_without_assets();
  VmFixture vm;
  VmConfig config = vm.config();
  std::optional<guestcomm::VmKeeper> device;
  SECTION("kernel missing") {
    start_device(vm, device);
    config.kernel = "/run/husk-vm/no-kernel";
  }
  SECTION("initrd missing") {
    start_device(vm, device);
    config.initrd = "/run/husk-vm/no-initrd";
  }
  SECTION("firmware missing") {
    start_device(vm, device);
    config.firmware = "/run/husk-vm/no-firmware";
  }
  SECTION("more memory than there is") {
    start_device(vm, device);
    config.memory_mib = 2u << 20;
  }
  SECTION("shared directory missing") {
    start_device(vm, device);
    config.shared_directories[0].source = "/run/husk-vm/no-directory";
  }
  SECTION("vsock device missing") { config.vsock.vhost_user_socket = "/run/husk-vm/no-socket"; }
  const auto hypervisor = connect_libvirt({});
  require_clear(failure_of(*hypervisor, config));
  CHECK(traces_of(config.name) == std::set<std::string>{});
}

TEST_CASE("libvirt: a kernel that is none is refused or ends the VM, and leaves nothing",
          "[libvirt]") {
  skip_without_assets();
  VmFixture vm(std::string(100000, 'x'));
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  require_clear(failure_of(*hypervisor, vm.config()));
  CHECK(traces_of(vm.config().name) == std::set<std::string>{});
}

TEST_CASE("libvirt: two names are two VMs; the same name twice is refused", "[libvirt]") {
  skip_without_assets();
  VmFixture vm;
  std::optional<guestcomm::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  const StartedVm started = hypervisor->start(vm.config());
  if (device) device->hand_over({.vm = started.process});
  CHECK_FALSE(failure_of(*hypervisor, vm.config()).empty());
  CHECK(is_alive(started.process));  // the refused second start did not hurt the first
  hypervisor->destroy(started.name);
}
