// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "lib/hypervisor/host_tsc.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/hypervisor/vm_files.hpp"
#include "lib/hypervisor/vm_user.hpp"

using namespace husk::hypervisor;

TEST_CASE("accelerator: never kvm on a processor without virtualization", "[hypervisor]") {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::stringstream text;
  text << cpuinfo.rdbuf();
  const bool able =
      text.str().find(" vmx") != std::string::npos || text.str().find(" svm") != std::string::npos;
  const bool usable = able && ::access("/dev/kvm", R_OK | W_OK) == 0;
  CHECK((detect_accelerator() == Accelerator::kvm) == usable);
}

TEST_CASE("accelerator: what was asked for, by name, is not looked for", "[hypervisor]") {
  CHECK(choose_accelerator("kvm") == Accelerator::kvm);
  CHECK(choose_accelerator("tcg") == Accelerator::tcg);
  CHECK(choose_accelerator("auto") == detect_accelerator());
}

TEST_CASE("host tsc: measured twice it is the same, but for a hundredth", "[hypervisor]") {
  const auto first = static_cast<double>(measure_tsc_khz());
  const auto second = static_cast<double>(measure_tsc_khz());
  CHECK(first > 100'000);  // 0.1 GHz
  CHECK(std::abs(first - second) < first / 100);
}

TEST_CASE("vm user: the one that the name services say libvirt's QEMU runs as", "[hypervisor]") {
  const passwd* const user = ::getpwnam("libvirt-qemu");
  if (user == nullptr) SKIP("libvirt-daemon-system is not installed");
  const unsigned uid = user->pw_uid;
  const group* const kvm = ::getgrnam("kvm");
  std::ifstream conf("/etc/libvirt/qemu.conf");
  for (std::string line; std::getline(conf, line);) {
    if (line.starts_with("user") || line.starts_with("group")) SKIP("qemu.conf sets another user");
  }
  CHECK(find_qemu_user().uid == uid);
  CHECK(find_qemu_user().gid == (kvm != nullptr ? kvm->gr_gid : 0));
}

TEST_CASE("vm files: a VM's helpers are told from those of a VM with nearly the same name",
          "[hypervisor]") {
  // Container ids that differ in the end only, as "integration-test-1" and "-2" do.
  const std::string vm = "husk-0a1b2c3d-integration-test-1";
  CHECK(is_helper_pid_file("12-husk-0a1b2c3d-integr-fs0-fs.pid", vm));
  CHECK(is_helper_pid_file("1-husk-0a1b2c3d-integr-fs12-fs.pid", vm));
  for (const char* other :
       {"12-husk-0a1b2c3e-integr-fs0-fs.pid", "husk-0a1b2c3d-integr-fs0-fs.pid",
        "12-xhusk-0a1b2c3d-integr-fs0-fs.pid", "12-husk-0a1b2c3d-integr-fs-fs.pid",
        "12-husk-0a1b2c3d-integr-fs0-fs.pid.new", "12-husk-0a1b2c3d-integrX-fs0-fs.pid",
        "12-husk-0a1b2c3d-integr-swtpm.pid", "", "12-"}) {
    CAPTURE(other);
    CHECK_FALSE(is_helper_pid_file(other, vm));
  }
  // A name shorter than what libvirt cuts it to.
  CHECK(is_helper_pid_file("3-husk-0a1b2c3d-a-fs0-fs.pid", "husk-0a1b2c3d-a"));
  CHECK_FALSE(is_helper_pid_file("3-husk-0a1b2c3d-ab-fs0-fs.pid", "husk-0a1b2c3d-a"));
}

TEST_CASE("vm files: logs, rotated ones too, and nobody else's", "[hypervisor]") {
  const std::string vm = "husk-0a1b2c3d-a";
  for (const char* own : {"husk-0a1b2c3d-a.log", "husk-0a1b2c3d-a.log.0", "husk-0a1b2c3d-a.log.12",
                          "husk-0a1b2c3d-a-fs0-virtiofsd.log"}) {
    CAPTURE(own);
    CHECK(is_log_file(own, vm));
  }
  for (const char* other :
       {"husk-0a1b2c3d-ab.log", "husk-0a1b2c3d-a.log.gz", "husk-0a1b2c3d-a.logs",
        "husk-0a1b2c3d-a-fs0-virtiofsd.log.x", "x", ""}) {
    CAPTURE(other);
    CHECK_FALSE(is_log_file(other, vm));
  }
}
