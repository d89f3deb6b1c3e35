// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/driver.hpp"

#include <algorithm>

#include "lib/hypervisor/ch_domain.hpp"
#include "lib/hypervisor/live_driver.hpp"
#include "lib/hypervisor/vm_files.hpp"
#include "lib/hypervisor/vm_user.hpp"

namespace husk::hypervisor {
namespace {

/// For plugged processors and memory.
std::string plug_arguments(const VmShape& shape) {
  std::string arguments;
  // The agent uses the others when it is told to.
  if (shape.max_vcpus > shape.vcpus) arguments += " maxcpus=" + std::to_string(shape.vcpus);
  // Plugged memory is used at once, and most of it so that the guest can give it back. Without "noforce" a kernel that
  // may get memory above 4 GiB keeps 64 MiB for devices that reach no further, of which there are none.
  if (shape.memory_device)
    arguments +=
        " memhp_default_state=online memory_hotplug.online_policy=auto-movable swiotlb=noforce";
  return arguments;
}

std::string qemu_kernel_arguments(Accelerator accelerator, const VmShape& shape,
                                  std::uint32_t tsc_khz) {
  // For the start's sake: no device is looked for that q35 as in domain_xml.cpp does not have. A
  // triple fault is what ends the VM at once.
  std::string arguments =
      "console=ttyS0 reboot=t no_timer_check tsc=reliable 8250.nr_uarts=1 i8042.noaux "
      "i8042.nomux i8042.nopnp i8042.dumbkbd iommu=off";
  // Emulated CPUs leak nothing by speculation, and pay for the workarounds.
  if (accelerator == Accelerator::tcg) arguments += " mitigations=off";
  // After an emulated CMPXCHG16B, QEMU 7.2's EFLAGS have bits of an address in them. An interrupt then saves these, and the
  // kernel dies of a double fault when it returns. The kernel has other code for CPUs without the instruction; programs
  // still see that the CPU has it.
  if (accelerator == Accelerator::tcg) arguments += " clearcpuid=cx16";
  // Measuring the APIC's timer against another takes 0.1 s. With one processor that other will do, but an idle kernel goes
  // on ticking where it may get more processors. husk's own kernel takes the frequency; others ignore the word.
  if (accelerator == Accelerator::tcg && shape.vcpus == 1) arguments += " nolapic_timer";
  if (accelerator == Accelerator::tcg) arguments += " lapic_timer_khz=1000000";
  // On a busy host the guest's own measurement can be wrong by a factor of thirty, and all its clocks
  // with it: the timer that it measures with goes on while its CPU does not.
  if (accelerator == Accelerator::tcg && tsc_khz != 0)
    arguments += " tsc_early_khz=" + std::to_string(tsc_khz);
  return arguments + plug_arguments(shape);
}

/// Cloud Hypervisor has no timer chip by which a kernel could check the others, and of the keyboard's controller the reset
/// line alone. A reset would boot the guest again.
std::string ch_kernel_arguments(Accelerator, const VmShape& shape, std::uint32_t) {
  return "console=ttyS0 no_timer_check tsc=reliable 8250.nr_uarts=1 i8042.noaux i8042.nomux "
         "i8042.nopnp i8042.dumbkbd iommu=off" +
         plug_arguments(shape);
}

/// libvirt calls it with "-name guest=NAME,debug-threads=on".
std::string qemu_process_mark(const std::string& vm) { return "guest=" + vm + ","; }

constexpr Driver drivers[] = {
    {.name = "qemu",
     .called = "QEMU",
     .firmware = "/usr/share/qemu/qboot.rom",
     .needs_kvm = false,
     .is_in_libvirtd = true,
     .has_go_between = false,
     .uses_virtlogd = true,
     .has_own_vsock = false,
     .notices_end = true,
     .process_file = nullptr,
     .domain_suffix = ".xml",
     .live = qemu_live_driver,
     .kernel_arguments = qemu_kernel_arguments,
     .find_user = [] { return find_qemu_user(); },
     .process_mark = qemu_process_mark,
     .is_log_file = is_log_file},
    // libvirt 9.0 notices no end of the process; from 11.1 on it notices one in good order.
    {.name = "ch",
     .called = "Cloud Hypervisor",
     .firmware = "",
     .needs_kvm = true,
     .is_in_libvirtd = false,
     .has_go_between = true,
     .uses_virtlogd = false,
     .has_own_vsock = true,
     .notices_end = false,
     .process_file = ch_process_file,
     .domain_suffix = "-socket",
     .live = ch_live_driver,
     .kernel_arguments = ch_kernel_arguments,
     // libvirt's ch_user is for files alone: the process is root's.
     .find_user = [] { return VmUser{.uid = 0}; },
     .process_mark = nullptr,
     .is_log_file = is_log_file}};

}  // namespace

std::string Driver::uri() const { return std::string(name) + ":///system"; }
Daemon Driver::daemon() const {
  return {.own = "virt" + std::string(name) + "d",
          .is_in_libvirtd = is_in_libvirtd,
          .uses_virtlogd = uses_virtlogd};
}

std::filesystem::path Driver::run_directory() const {
  return std::filesystem::path("/run/libvirt") / name;
}
std::filesystem::path Driver::log_directory() const {
  return std::filesystem::path("/var/log/libvirt") / name;
}
std::filesystem::path Driver::pid_file(const std::string& vm) const {
  return run_directory() / (vm + ".pid");
}
std::filesystem::path Driver::domain_file(const std::string& vm) const {
  return run_directory() / (vm + domain_suffix);
}
std::vector<std::filesystem::path> Driver::run_files(const std::string& vm) const {
  if (notices_end) return {};
  return {domain_file(vm), run_directory() / (vm + "-event-monitor-fifo"), pid_file(vm)};
}

bool Driver::is_machine_cgroup(const std::string& directory, const std::string& vm) const {
  return directory.ends_with("-" + vm + ".libvirt-" + std::string(name));
}

const Driver& driver_for(std::string_view uri) noexcept {
  const std::string_view scheme = uri.substr(0, uri.find_first_of("+:"));
  const auto* const found = std::find_if(std::begin(drivers), std::end(drivers),
                                         [&](const Driver& d) { return d.name == scheme; });
  return found == std::end(drivers) ? drivers[0] : *found;
}

}  // namespace husk::hypervisor
