// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <functional>
#include <iostream>
#include <optional>
#include <set>

#include "lib/base/error.hpp"
#include "lib/handoff/vm_keeper.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm.hpp"
#include "test/lib/hypervisor/libvirt_vm.hpp"

using namespace husk;
using namespace husk::hypervisor;
using namespace husk::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

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

}  // namespace

TEST_CASE("libvirt: a VM starts, speaks on its console, and leaves nothing", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  std::optional<handoff::VmKeeper> device;
  start_device(vm, device);
  std::unique_ptr<Hypervisor> hypervisor;
  const auto connect_ms = milliseconds_of([&] { hypervisor = connect_libvirt({}); });
  StartedVm started;
  const auto start_ms = milliseconds_of([&] { started = hypervisor->start(vm.config()); });
  if (device) device->hand_over({.vm = started.process});

  CHECK(is_alive(started.process));
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
  CHECK(traces_of(started.name) == std::set<std::string>{});
  CHECK(comes_true([&] { return vm.has_no_sockets(); }, 5s));
  hypervisor->destroy(started.name);  // again: nothing to do
  std::cout << "libvirt: connect " << connect_ms << " ms, start " << start_ms << " ms, destroy "
            << destroy_ms << " ms\n";
}

TEST_CASE("libvirt: a VM that was killed is known as gone", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  std::optional<handoff::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  const StartedVm started = hypervisor->start(vm.config());
  if (device) device->hand_over({.vm = started.process});
  REQUIRE(::kill(started.process.pid, SIGKILL) == 0);
  hypervisor->destroy(started.name);
  CHECK_FALSE(is_alive(started.process));
  CHECK(traces_of(started.name) == std::set<std::string>{});
  CHECK(comes_true([&] { return vm.has_no_sockets(); }, 5s));
}

TEST_CASE("libvirt: a VM that cannot start gives one clear line and leaves nothing", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  VmConfig config = vm.config();
  std::optional<handoff::VmKeeper> device;
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
    config.shape.memory_mib = 2u << 20;
  }
  SECTION("nobody serves the shared directory") {
    start_device(vm, device);
    config.shared_directories = {{"/run/husk-vm/no-socket", "husk"}};
  }
  SECTION("vsock device missing") { config.vsock.vhost_user_socket = "/run/husk-vm/no-socket"; }
  const auto hypervisor = connect_libvirt({});
  require_clear(failure_of(*hypervisor, config));
  CHECK(traces_of(config.name) == std::set<std::string>{});
}

TEST_CASE("libvirt: a kernel that is none is refused or ends the VM, and leaves nothing",
          "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm(std::string(100000, 'x'));
  std::optional<handoff::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  require_clear(failure_of(*hypervisor, vm.config()));
  CHECK(traces_of(vm.config().name) == std::set<std::string>{});
}

TEST_CASE("libvirt: two names are two VMs; the same name twice is refused", "[libvirt]") {
  skip_without_assets();
  LibvirtVm vm;
  std::optional<handoff::VmKeeper> device;
  start_device(vm, device);
  const auto hypervisor = connect_libvirt({});
  const StartedVm started = hypervisor->start(vm.config());
  if (device) device->hand_over({.vm = started.process});
  CHECK_FALSE(failure_of(*hypervisor, vm.config()).empty());
  CHECK(is_alive(started.process));  // the refused second start did not hurt the first
  hypervisor->destroy(started.name);
}
