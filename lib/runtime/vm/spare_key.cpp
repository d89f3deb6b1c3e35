// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/spare_key.hpp"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

namespace husk::runtime {
namespace {

using nlohmann::json;

/// Debian's and Fedora's. libvirt chooses; an unknown one is told by its daemon's restart.
constexpr const char* qemu = "/usr/bin/qemu-system-x86_64";

/// An upgrade replaces the file.
json identity_of(const std::filesystem::path& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return path.string();
  return {path.string(), info.st_dev,         info.st_ino,
          info.st_size,  info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

/// Measured anew each time, and never quite the same.
std::string without_clock_rate(std::string arguments) {
  const std::size_t begin = arguments.find(" tsc_early_khz=");
  if (begin != std::string::npos) arguments.erase(begin, arguments.find(' ', begin + 1) - begin);
  return arguments;
}

}  // namespace

std::string spare_key(const VmPlan& plan) {
  const hypervisor::VmShape& shape = plan.vm.shape;
  const json key{
      {"version", HUSK_VERSION},
      {"uri", plan.uri},
      {"user", plan.user.uid},
      {"vsock_device", static_cast<int>(plan.vsock_device)},
      {"files",
       {identity_of(plan.files.program), plan.files.max_open_files, plan.files.kernel_release,
        static_cast<int>(plan.files.cache), plan.files.threads}},
      {"guest",
       {identity_of(plan.assets.kernel), identity_of(plan.assets.initrd),
        identity_of(plan.assets.firmware), identity_of(plan.assets.modules)}},
      {"settings", guestcomm::to_text(plan.kernel_settings)},
      {"programs",
       {identity_of(plan.programs.keeper), identity_of(plan.programs.husk),
        identity_of(plan.vm.go_between ? plan.vm.go_between->hypervisor
                                       : std::filesystem::path(qemu))}},
      {"accelerator", static_cast<int>(plan.vm.accelerator)},
      {"arguments", without_clock_rate(plan.vm.kernel_arguments)},
      {"ports", plan.vm.network_ports},
      {"cards", plan.vm.network_cards.size()},
      {"shape",
       {shape.vcpus, shape.max_vcpus, shape.memory_mib,
        shape.memory_device ? shape.memory_device->size_mib : 0,
        shape.memory_device ? shape.memory_device->requested_mib : 0}}};
  return key.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace husk::runtime
