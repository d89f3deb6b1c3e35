// SPDX-License-Identifier: Apache-2.0
#include "lib/hypervisor/driver.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <vector>

#include "lib/hypervisor/vm_process.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk::hypervisor;
namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

namespace {
const Driver& qemu = driver_for("qemu:///system");
}  // namespace

TEST_CASE("driver: found by the scheme of a libvirt URI", "[hypervisor]") {
  for (const char* uri : {"qemu:///system", "qemu:///embed", "qemu+unix:///system", "qemu"}) {
    CAPTURE(uri);
    CHECK(driver_for(uri).name == "qemu");
  }
}

TEST_CASE("driver: a URI that does not tell means QEMU", "[hypervisor]") {
  for (const char* uri : {"", "my-alias", ":///", "xen:///system"}) {
    CAPTURE(uri);
    CHECK(&driver_for(uri) == &qemu);
  }
}

TEST_CASE("driver: the URI used without a configuration is that of its own driver",
          "[hypervisor]") {
  CHECK(HypervisorOptions{}.uri == "qemu:///system");
  CHECK(driver_for(HypervisorOptions{}.uri).uri() == HypervisorOptions{}.uri);
}

TEST_CASE("driver: QEMU's files are where libvirt puts them", "[hypervisor]") {
  CHECK(qemu.run_directory() == "/run/libvirt/qemu");
  CHECK(qemu.log_directory() == "/var/log/libvirt/qemu");
  CHECK(qemu.pid_file("husk-1-a") == "/run/libvirt/qemu/husk-1-a.pid");
  CHECK(qemu.domain_file("husk-1-a") == "/run/libvirt/qemu/husk-1-a.xml");
  CHECK(qemu.daemon().own == "virtqemud");
}

TEST_CASE("driver: Cloud Hypervisor's", "[hypervisor]") {
  const Driver& ch = driver_for("ch:///system");
  CHECK(ch.uri() == "ch:///system");
  CHECK(ch.daemon().own == "virtchd");
  CHECK_FALSE(ch.daemon().is_in_libvirtd);
  CHECK(ch.domain_file("husk-1-a") == "/run/libvirt/ch/husk-1-a-socket");
  CHECK(ch.run_files("husk-1-a") ==
        std::vector<fs::path>{"/run/libvirt/ch/husk-1-a-socket",
                              "/run/libvirt/ch/husk-1-a-event-monitor-fifo",
                              "/run/libvirt/ch/husk-1-a.pid"});
  CHECK(qemu.run_files("husk-1-a").empty());
  CHECK(ch.find_user().uid == 0);
  const std::string kvm = ch.kernel_arguments(Accelerator::kvm, {}, 0);
  CHECK_THAT(kvm, ContainsSubstring("console=ttyS0"));
  CHECK(kvm.find("reboot=") == std::string::npos);
  CHECK(ch.kernel_arguments(Accelerator::kvm, {.vcpus = 1, .max_vcpus = 4}, 0) ==
        kvm + " maxcpus=1");
}

TEST_CASE("driver: a VM's process is told from that of a VM whose name begins the same",
          "[hypervisor]") {
  const std::string other = "-name\0guest=husk-1-ab,debug-threads=on";
  CHECK(other.find(qemu.process_mark("husk-1-a")) == std::string::npos);
  const std::string own = "guest=husk-1-a,debug-threads=on";
  CHECK(own.find(qemu.process_mark("husk-1-a")) != std::string::npos);
}

TEST_CASE("driver: libvirt's cgroup of a VM, and nobody else's", "[hypervisor]") {
  CHECK(qemu.is_machine_cgroup("qemu-7-husk-1-a.libvirt-qemu", "husk-1-a"));
  for (const char* other : {"qemu-7-husk-1-ab.libvirt-qemu", "qemu-7-xhusk-1-a.libvirt-qemu",
                            "qemu-7-husk-1-a.libvirt-lxc", "qemu-7-husk-1-a.libvirt-qemu.d", ""}) {
    CAPTURE(other);
    CHECK_FALSE(qemu.is_machine_cgroup(other, "husk-1-a"));
  }
}

TEST_CASE("driver: what is left out where the CPU is emulated stays elsewhere", "[hypervisor]") {
  const VmShape two{.vcpus = 2};
  const std::string kvm = qemu.kernel_arguments(Accelerator::kvm, {}, 0);
  CHECK(qemu.kernel_arguments(Accelerator::kvm, two, 2100000) == kvm);
  CHECK(qemu.kernel_arguments(Accelerator::tcg, {}, 0) ==
        kvm + " mitigations=off clearcpuid=cx16 nolapic_timer lapic_timer_khz=1000000");
  CHECK(qemu.kernel_arguments(Accelerator::tcg, two, 2100000) ==
        kvm + " mitigations=off clearcpuid=cx16 lapic_timer_khz=1000000 tsc_early_khz=2100000");
  CHECK(qemu.kernel_arguments(Accelerator::kvm, {.memory_device = MemoryDevice{}}, 0) ==
        kvm +
            " memhp_default_state=online memory_hotplug.online_policy=auto-movable"
            " swiotlb=noforce");
  CHECK_THAT(kvm, ContainsSubstring("console=ttyS0") && ContainsSubstring("reboot=t"));
}

TEST_CASE(
    "vm process: libvirt's cgroups of a VM are found in cgroup v2 alone and in each hierarchy",
    "[hypervisor]") {
  const husk::test::Scratch mount_point;
  const std::string vm = "husk-0a1b2c3d-a", machine = "machine/qemu-3-" + vm + ".libvirt-qemu";
  const std::string below = GENERATE("", "memory", "unified");
  const fs::path hierarchy = mount_point.path() / below;
  CAPTURE(below);
  fs::create_directories(hierarchy / machine / "libvirt/vcpu0");
  fs::create_directories(hierarchy / "machine/qemu-4-husk-0a1b2c3e-a.libvirt-qemu/libvirt");
  std::ofstream(hierarchy / machine / "cgroup.procs") << "";
  CHECK(find_machine_cgroups(mount_point.path(), driver_for("qemu:///system"), vm) ==
        std::vector<fs::path>{hierarchy / machine, hierarchy / machine / "libvirt",
                              hierarchy / machine / "libvirt/vcpu0"});
}
