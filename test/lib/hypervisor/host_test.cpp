// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>

#include "lib/hypervisor/vm.hpp"

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

TEST_CASE("vm user: the one that the name services say libvirt's QEMU runs as", "[hypervisor]") {
  const passwd* const user = ::getpwnam("libvirt-qemu");
  if (user == nullptr) SKIP("libvirt-daemon-system is not installed");
  const unsigned uid = user->pw_uid;
  const group* const kvm = ::getgrnam("kvm");
  std::ifstream conf("/etc/libvirt/qemu.conf");
  for (std::string line; std::getline(conf, line);) {
    if (line.starts_with("user") || line.starts_with("group")) SKIP("qemu.conf sets another user");
  }
  CHECK(find_vm_user().uid == uid);
  CHECK(find_vm_user().gid == (kvm != nullptr ? kvm->gr_gid : 0));
}
