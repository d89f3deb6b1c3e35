// SPDX-License-Identifier: Apache-2.0
// A VM for the tests with the real libvirtd.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "lib/handoff/vm_keeper.hpp"
#include "lib/hypervisor/driver.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::test {

inline const hypervisor::Driver& qemu = hypervisor::driver_for("qemu:///system");

/// The device's own.
inline constexpr unsigned device_user = 0x70000001;

/// What the runtime prepares for a VM: a directory for QEMU and the vsock device, kernel and initrd read-only
/// binds, a vsock device where the kernel has none.
class LibvirtVm {
 public:
  explicit LibvirtVm(const std::string& kernel_content = {});
  LibvirtVm(const LibvirtVm&) = delete;
  LibvirtVm& operator=(const LibvirtVm&) = delete;
  ~LibvirtVm();

  hypervisor::VmConfig& config() { return config_; }
  std::filesystem::path vsock_directory() const { return directory_ / "vsock"; }
  std::filesystem::path device_directory() const { return vsock_directory() / "device"; }
  /// Whether the vsock device has left no socket.
  bool has_no_sockets() const;
  std::filesystem::path source(const std::string& name) const {
    return directory_ / (name + ".source");
  }

 private:
  void bind_read_only(const std::string& name);

  std::filesystem::path directory_;
  hypervisor::VmConfig config_;
};

/// Where the VM is to have one of its own.
void start_device(LibvirtVm& vm, std::optional<handoff::VmKeeper>& device);

/// Skips the test without root and a guest's kernel.
void skip_without_assets();

std::string slurp(const std::filesystem::path& path);

/// All that libvirt and the kernel keep under the VM's name.
std::set<std::string> traces_of(const std::string& name);

template <typename Condition>
bool comes_true(Condition&& condition, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace husk::test
