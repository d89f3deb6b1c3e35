// SPDX-License-Identifier: Apache-2.0
#include <pwd.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "lib/hypervisor/host_tsc.hpp"
#include "lib/hypervisor/libvirt_daemon.hpp"
#include "lib/hypervisor/vm.hpp"
#include "lib/hypervisor/vm_files.hpp"
#include "lib/hypervisor/vm_id.hpp"
#include "lib/hypervisor/vm_user.hpp"
#include "test/lib/base/scratch.hpp"

using namespace husk::hypervisor;
using Catch::Matchers::ContainsSubstring;
using husk::test::Scratch;

TEST_CASE("accelerator: never kvm on a processor without virtualization", "[hypervisor]") {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::stringstream text;
  text << cpuinfo.rdbuf();
  const bool able =
      text.str().find(" vmx") != std::string::npos || text.str().find(" svm") != std::string::npos;
  const bool usable = able && ::access("/dev/kvm", R_OK | W_OK) == 0;
  CHECK((detect_accelerator() == Accelerator::kvm) == usable);
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
  std::ifstream conf("/etc/libvirt/qemu.conf");
  for (std::string line; std::getline(conf, line);) {
    if (line.starts_with("user")) SKIP("qemu.conf sets another user");
  }
  CHECK(find_qemu_user().uid == uid);
}

namespace {

/// A host's files that name QEMU's user.
struct UserTables {
  Scratch scratch;
  UserFiles files{.qemu_conf = scratch.path() / "qemu.conf",
                  .passwd = {scratch.path() / "passwd", scratch.path() / "lib-passwd"}};
  UserTables(const std::string& conf, const std::string& passwd, const std::string& lib_passwd) {
    std::ofstream(files.qemu_conf) << conf;
    std::ofstream(files.passwd[0]) << "root:x:0:0:root:/root:/bin/sh\n" << passwd;
    if (!lib_passwd.empty()) std::ofstream(files.passwd[1]) << lib_passwd;
  }
};

}  // namespace

TEST_CASE("vm user: libvirt-qemu, else qemu, unless qemu.conf names another", "[hypervisor]") {
  const std::string debian = "libvirt-qemu:x:64055:104::/:/bin/false\n",
                    fedora = "qemu:x:107:107::/:\n";
  CHECK(find_qemu_user(UserTables("", fedora + debian, "").files).uid == 64055);
  CHECK(find_qemu_user(UserTables("#user = \"qemu\"\n", fedora, "").files).uid == 107);
  CHECK(find_qemu_user(UserTables("", "", fedora).files).uid == 107);
  CHECK(find_qemu_user(UserTables("user = \"qemu\"\n", debian + fedora, "").files).uid == 107);
  CHECK(find_qemu_user(UserTables("user = \"+555\"\n", debian, "").files).uid == 555);
  CHECK(find_qemu_user(UserTables("user = \"root\"\n", debian, "").files).uid == 0);
}

TEST_CASE("vm user: qemu.conf is read as libvirt reads it", "[hypervisor]") {
  const std::string users = "libvirt-qemu:x:64055:104::/:\nqemu:x:107:107::/:\nvm:x:5:5::/:\n";
  const auto [line, uid] =
      GENERATE(table<std::string, unsigned>({{"user=\"vm\"", 5},
                                             {"  user = \"vm\"", 5},
                                             {"\tuser\t=\t\"vm\"  # x", 5},
                                             {"user = 'vm'", 5},
                                             {"user = 'vm'  # not \"qemu\"", 5},
                                             {"user = '+77'", 77},
                                             {"user = \"vm\"\nuser = \"qemu\"", 5},
                                             {"group = \"vm\"", 64055},
                                             {"users = \"vm\"", 64055},
                                             {"user_x = \"vm\"", 64055},
                                             {"# user = \"vm\"", 64055},
                                             {"user \"vm\" = 1", 64055},
                                             {"user", 64055},
                                             {"user = \"vm", 64055},
                                             {"user = \"vm'", 64055}}));
  CAPTURE(line);
  CHECK(find_qemu_user(UserTables(line + "\n", users, "").files).uid == uid);
}

TEST_CASE("vm user: an entry without a number is not root's", "[hypervisor]") {
  const std::string entry =
      GENERATE(as<std::string>{}, "vm", "vm:", "vm:x", "vm:x:", "vm:x::0:", "vm:x:-1:0:",
               "vm:x:4294967296:0:", "vm:x:0x0:0:", "vm:x: 0:0:", "vmx:x:0:0:", "xvm:x:0:0:");
  CAPTURE(entry);
  const UserTables tables("user = \"vm\"\n", entry + "\n", "");
  CHECK_THROWS_WITH(find_qemu_user(tables.files), ContainsSubstring("QEMU's user \"vm\" of "));
}

TEST_CASE("vm user: one that cannot be found is an error that names it, and never root",
          "[hypervisor]") {
  const UserTables unknown("user = \"vmuser\"\n", "libvirt-qemu:x:64055:104::/:/bin/false\n", "");
  CHECK_THROWS_WITH(
      find_qemu_user(unknown.files),
      ContainsSubstring("QEMU's user \"vmuser\" of ") && ContainsSubstring("qemu.conf"));
  const UserTables none("", "qemux:x:5:5::/:\n", "");
  CHECK_THROWS_WITH(find_qemu_user(none.files),
                    ContainsSubstring("QEMU's user: neither libvirt-qemu nor qemu is in ") &&
                        ContainsSubstring(none.files.passwd[1].string()));
}

TEST_CASE("libvirt daemon: virtqemud is started where libvirtd is not installed", "[hypervisor]") {
  const Scratch sbin;
  const auto install = [&](const char* name) {
    std::ofstream(sbin.path() / name) << "#!/bin/sh\n";
    std::filesystem::permissions(sbin.path() / name, std::filesystem::perms(0755));
  };
  const Daemon daemon{.own = "virtqemud", .is_in_libvirtd = true, .uses_virtlogd = true};
  CHECK_THROWS_WITH(find_daemon_program(sbin.path(), daemon),
                    ContainsSubstring("libvirt is not installed (") &&
                        ContainsSubstring("/libvirtd or virtqemud is missing)"));
  install("virtqemud");
  CHECK(find_daemon_program(sbin.path(), daemon) == sbin.path() / "virtqemud");
  install("libvirtd");
  CHECK(find_daemon_program(sbin.path(), daemon) == sbin.path() / "libvirtd");
  const Daemon of_ch{.own = "virtchd", .is_in_libvirtd = false, .uses_virtlogd = false};
  CHECK(find_daemon_program(sbin.path(), of_ch) == sbin.path() / "libvirtd");
  install("virtchd");
  CHECK(find_daemon_program(sbin.path(), of_ch) == sbin.path() / "virtchd");
}

TEST_CASE("vm id: is the number of its device's user, in a range that is nobody else's",
          "[hypervisor]") {
  for (int n = 0; n < 1000; ++n) {
    const std::string id = new_vm_id();
    check_vm_id(id);
    const unsigned user = device_uid(id);
    CHECK(std::stoul(id, nullptr, 16) == user);  // so no two ids have one user
    CHECK(user >= 0x70000000);
    CHECK(user <= 0x77ffffff);
  }
  CHECK(new_vm_id() != new_vm_id());
  // One that another version of husk made.
  CHECK(device_uid("00001234") == 0x70001234);
  CHECK(device_uid("ffffffff") == 0x77ffffff);
  CHECK_THROWS_WITH(device_uid("0000123"), ContainsSubstring("is not 8 hexadecimal digits"));
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
