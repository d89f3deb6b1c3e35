// SPDX-License-Identifier: Apache-2.0
#include "test/lib/hypervisor/libvirt_vm.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>

#include "lib/base/random_id.hpp"
#include "lib/guestcomm/link/guest_address.hpp"

namespace husk::test {

using namespace husk::hypervisor;
namespace fs = std::filesystem;

namespace {

/// A cpio archive with nothing in it: this kernel needs no user space for what is tested here.
std::string empty_initrd() {
  std::string archive = "070701";
  for (int field = 0; field < 13; ++field) archive += field == 11 ? "0000000B" : "00000000";
  archive += "TRAILER!!!";
  archive.resize(512, '\0');
  return archive;
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

}  // namespace

LibvirtVm::LibvirtVm(const std::string& kernel_content)
    : directory_("/run/husk-vm/test-" + random_hex(4)) {
  fs::create_directories("/run/husk-vm");
  fs::permissions("/run/husk-vm", fs::perms(0711));
  fs::create_directory(directory_);
  fs::permissions(directory_, fs::perms(0711));
  fs::create_directory(directory_ / "vsock");
  fs::permissions(vsock_directory(), fs::perms(0711));
  fs::create_directory(device_directory());
  fs::permissions(device_directory(), fs::perms(0700));
  REQUIRE(::chown(device_directory().c_str(), device_user, device_user) == 0);
  if (kernel_content.empty())
    fs::copy_file(HUSK_TEST_KERNEL, source("vmlinuz"));
  else
    std::ofstream(source("vmlinuz")) << kernel_content;
  std::ofstream(source("initrd")) << empty_initrd();
  for (const char* name : {"vmlinuz", "initrd"}) bind_read_only(name);
  config_.name = "husk-test-" + random_hex(4);
  config_.description = "test";
  config_.shape.memory_mib = 256;
  config_.kernel = directory_ / "vmlinuz";
  config_.initrd = directory_ / "initrd";
  config_.kernel_arguments = "console=ttyS0";
  config_.firmware = qemu.firmware;
  config_.console_log = directory_ / "console.log";
  config_.accelerator = Accelerator::tcg;
  if (!guestcomm::has_vhost_vsock())
    config_.vsock.vhost_user_socket = directory_ / "vsock" / "vhost.sock";
}

LibvirtVm::~LibvirtVm() {
  for (const char* name : {"vmlinuz", "initrd"}) ::umount2((directory_ / name).c_str(), MNT_DETACH);
  fs::remove_all(directory_);
}

bool LibvirtVm::has_no_sockets() const {
  return fs::is_empty(device_directory()) && !fs::exists(vsock_directory() / "vhost.sock");
}

void LibvirtVm::bind_read_only(const std::string& name) {
  const fs::path target = directory_ / name;
  std::ofstream{target};
  REQUIRE(::mount(source(name).c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0);
  REQUIRE(::mount("none", target.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0);
}

void start_device(LibvirtVm& vm, std::optional<handoff::VmKeeper>& device) {
  if (!vm.config().vsock.vhost_user_socket) return;
  const handoff::VsockUsers users{.device = device_user, .hypervisor = qemu.find_user().uid};
  device.emplace(vm.vsock_directory(), users, handoff::KeeperSetup{.program = HUSK_KEEPER});
}

void skip_without_assets() {
  if (::geteuid() != 0) SKIP("needs root");
  if (!fs::exists(HUSK_TEST_KERNEL)) SKIP(HUSK_TEST_KERNEL " was not built");
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

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

}  // namespace husk::test
