// SPDX-License-Identifier: Apache-2.0
#include "lib/check/judge.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <functional>

#include "lib/base/advice.hpp"

using namespace husk;
using namespace husk::check;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A host on which nothing is wrong.
Host good_host() {
  Host host;
  host.program = "/usr/bin/husk";
  host.is_root = true;
  host.processor.can_virtualize = true;
  host.tiny_vm = TinyVm{};
  host.has_vhost_vsock = true;
  host.qemu.version = "10.0.2";
  host.libvirt.version = "11.3.0";
  host.virtiofsd.version = "1.13.2";
  host.is_rust_virtiofsd = true;
  host.guest_files = {{.key = "vm.kernel", .path = "/usr/share/husk/vmlinuz"}};
  host.guest_kernel = "6.12.117-husk";
  host.cgroups.v2 = true;
  host.available_memory_mib = 4000;
  host.default_memory_mib = 512;
  host.places = {{.path = "/run", .free_bytes = 100U << 20U}};
  host.engines = {{.name = "Docker", .file = "/etc/docker/daemon.json", .knows_husk = true}};
  return host;
}

Finding find(const std::vector<Finding>& findings, const std::string& check) {
  const auto found = std::ranges::find(findings, check, &Finding::check);
  REQUIRE(found != findings.end());
  return *found;
}

struct Case {
  const char* what;
  std::function<void(Host&)> change;
  const char* check;
  Verdict verdict;
  std::string text, advice;
};

const std::vector<Case> cases{
    {"not root", [](Host& h) { h.is_root = false; }, "root", Verdict::fail, "not run as root",
     "sudo"},
    {"a configuration with an error",
     [](Host& h) { h.config_error = "/etc/husk/config.toml:3: unknown key vm.cpus"; },
     "configuration", Verdict::fail, "config.toml:3: unknown key vm.cpus", "man husk.toml"},
    {"no /dev/kvm",
     [](Host& h) {
       h.kvm_error = ENOENT;
       h.tiny_vm.reset();
     },
     "kvm", Verdict::warn, "there is no /dev/kvm: QEMU emulates", "modprobe kvm_intel"},
    {"a /dev/kvm that may not be opened",
     [](Host& h) {
       h.kvm_error = EACCES;
       h.tiny_vm.reset();
     },
     "kvm", Verdict::warn, "cannot be opened (permission denied)", "--device /dev/kvm"},
    {"a VM without vmx",
     [](Host& h) {
       h.processor = {.can_virtualize = false, .is_virtual = true};
       h.tiny_vm.reset();
     },
     "kvm", Verdict::warn, "neither vmx nor svm (the host is a VM)", "nested virtualization"},
    {"no KVM where the configuration wants it",
     [](Host& h) {
       h.kvm_error = ENOENT;
       h.tiny_vm.reset();
       h.configured_accelerator = hypervisor::Accelerator::kvm;
     },
     "kvm", Verdict::fail, "accelerator = \"kvm\"", "modprobe"},
    {"a KVM that hangs", [](Host& h) { h.tiny_vm->result = TinyVm::Result::hangs; }, "kvm",
     Verdict::fail, "did not end within ten seconds", "accelerator = \"tcg\""},
    {"a KVM that fails",
     [](Host& h) {
       h.tiny_vm = TinyVm{TinyVm::Result::failed, "KVM_RUN: input/output error"};
     },
     "kvm", Verdict::fail, "KVM_RUN: input/output error", "tcg"},
    {"emulation by configuration",
     [](Host& h) { h.configured_accelerator = hypervisor::Accelerator::tcg; }, "kvm", Verdict::warn,
     "accelerator = \"tcg\"", "take the line out"},
    {"no vsock", [](Host& h) { h.has_vhost_vsock = false; }, "vsock", Verdict::fail,
     "neither /dev/vhost-vsock nor", advice::vsock},
    {"vsock by a program",
     [](Host& h) {
       h.has_vhost_vsock = false;
       h.has_vhost_device = true;
     },
     "vsock", Verdict::pass, "vhost-device-vsock stands in", ""},
    {"no QEMU", [](Host& h) { h.qemu.error = "QEMU is not installed"; }, "qemu", Verdict::fail,
     "not installed", advice::qemu},
    {"Cloud Hypervisor",
     [](Host& h) {
       h.cloud_hypervisor = Part{.version = "53.0.0"};
       h.qemu.error = "QEMU is not installed";
     },
     "cloud-hypervisor", Verdict::pass, "Cloud Hypervisor 53.0.0", ""},
    {"no Cloud Hypervisor where it is chosen",
     [](Host& h) { h.cloud_hypervisor = Part{.error = "cloud-hypervisor is not installed"}; },
     "cloud-hypervisor", Verdict::fail, "cloud-hypervisor is not installed", "36 or later"},
    {"Cloud Hypervisor without KVM",
     [](Host& h) {
       h.cloud_hypervisor = Part{};
       h.kvm_error = ENOENT;
       h.tiny_vm.reset();
     },
     "kvm", Verdict::fail, "there is no /dev/kvm, and Cloud Hypervisor emulates no CPU",
     "modprobe"},
    {"Cloud Hypervisor without the kernel's vsock",
     [](Host& h) {
       h.cloud_hypervisor = Part{};
       h.has_vhost_vsock = false;
     },
     "vsock", Verdict::pass, "Cloud Hypervisor is the vsock device", ""},
    {"no libvirt", [](Host& h) { h.libvirt.error = "libvirt is not installed"; }, "libvirt",
     Verdict::fail, "not installed", advice::libvirt},
    {"a masked libvirt",
     [](Host& h) { h.libvirt.error = "systemctl start libvirtd.socket failed"; }, "libvirt",
     Verdict::fail, "libvirtd.socket failed", "systemctl unmask"},
    {"no user for QEMU", [](Host& h) { h.vm_user_error = "QEMU's user: neither"; }, "libvirt",
     Verdict::fail, "QEMU's user", advice::libvirt},
    {"no virtiofsd", [](Host& h) { h.virtiofsd.error = "virtiofsd is not installed"; }, "virtiofsd",
     Verdict::fail, "not installed", advice::virtiofsd},
    {"the older virtiofsd", [](Host& h) { h.is_rust_virtiofsd = false; }, "virtiofsd",
     Verdict::warn, "in C", "docs/files.md"},
    {"no kernel of the guest",
     [](Host& h) { h.guest_files[0].error = "/usr/share/husk/vmlinuz: no such file or directory"; },
     "guest", Verdict::fail, "vm.kernel: /usr/share/husk/vmlinuz: no such file",
     advice::guest_files},
    {"a kernel of the guest whose file system does not answer",
     [](Host& h) {
       h.guest_files[0].error = "/nfs/vmlinuz: the file system does not answer within 5 s";
       h.guest_files[0].is_unanswered = true;
     },
     "guest", Verdict::fail, "vm.kernel: /nfs/vmlinuz: the file system does not answer",
     "mount the file system anew"},
    {"a virtiofsd whose file system does not answer",
     [](Host& h) {
       h.virtiofsd.error = "files.virtiofsd: /nfs/v: the file system does not answer within 25 s";
       h.virtiofsd.is_unanswered = true;
     },
     "virtiofsd", Verdict::fail, "/nfs/v: the file system does not answer",
     "mount the file system anew"},
    {"a closed directory", [](Host& h) { h.guest_files[0].closed_directory = "/usr/share/husk"; },
     "guest", Verdict::fail, "may not search /usr/share/husk", "chmod o+x /usr/share/husk"},
    {"no cgroups", [](Host& h) { h.cgroups.v2 = false; }, "cgroups", Verdict::fail,
     "no cgroup file system", "mount"},
    {"no memory controller", [](Host& h) { h.cgroups.missing = {"memory"}; }, "cgroups",
     Verdict::warn, "v2 without memory", "cgroup_disable"},
    {"little memory", [](Host& h) { h.available_memory_mib = 600; }, "memory", Verdict::warn,
     "600 MiB", "docker run -m"},
    {"no memory", [](Host& h) { h.available_memory_mib = 100; }, "memory", Verdict::fail, "100 MiB",
     "end what uses"},
    {"a full /run", [](Host& h) { h.places[0].free_bytes = 1U << 20U; }, "disk", Verdict::fail,
     "/run has 1 MiB left", "remove"},
    {"a read-only /run", [](Host& h) { h.places[0].is_read_only = true; }, "disk", Verdict::fail,
     "/run is mounted read-only", "read-write"},
    {"a refusal",
     [](Host& h) {
       h.denial = Denial{"apparmor=\"DENIED\" profile=\"libvirt-1\"", std::chrono::minutes(12)};
     },
     "security", Verdict::warn, "QEMU or libvirt 12 min ago: apparmor=\"DENIED\"", "profile"},
    {"a refusal of now",
     [](Host& h) {
       h.denial = Denial{"apparmor=\"DENIED\"", std::chrono::minutes(0)};
     },
     "security", Verdict::warn, "less than a minute ago: apparmor", "profile"},
    {"SELinux", [](Host& h) { h.is_selinux_enforcing = true; }, "security", Verdict::warn,
     "SELinux", "ausearch"},
    {"in a container", [](Host& h) { h.container = "/.dockerenv"; }, "container", Verdict::warn,
     "/.dockerenv", "--privileged"},
    {"an engine that does not know husk", [](Host& h) { h.engines[0].knows_husk = false; },
     "docker", Verdict::warn, "Docker does not know husk", "husk setup docker"},
    {"an engine that names a husk which is not there",
     [](Host& h) { h.engines[0].program_error = "/opt/husk: no such file or directory"; }, "docker",
     Verdict::warn, "/etc/docker/daemon.json names: /opt/husk: no such file or directory",
     "write /usr/bin/husk in place of that path to /etc/docker/daemon.json, then systemctl reload"},
    {"an engine's broken file",
     [](Host& h) { h.engines[0].error = "/etc/docker/daemon.json: parse error"; }, "docker",
     Verdict::warn, "daemon.json: parse error", "mend it"},
};

}  // namespace

TEST_CASE("check: nothing is wrong on a good host") {
  for (const Finding& finding : judge(good_host())) {
    INFO(finding.check << ": " << finding.text);
    CHECK(finding.verdict == Verdict::pass);
    CHECK(finding.advice.empty());
    CHECK_FALSE(finding.text.empty());
  }
  CHECK(worst(judge(good_host())) == Verdict::pass);
}

TEST_CASE("check: a user who is not root is told that alone") {
  Host host = good_host();
  host.is_root = false;
  host.libvirt.error = "permission denied";
  CHECK(judge(host).size() == 1);
}

TEST_CASE("check: the advice in a create's error is said once") {
  Host host = good_host();
  host.libvirt.error = "libvirt is not installed; " + std::string(advice::libvirt);
  host.virtiofsd.error = "virtiofsd is not installed; " + std::string(advice::virtiofsd);
  CHECK(find(judge(host), "libvirt").text == "libvirt is not installed");
  CHECK(find(judge(host), "libvirt").advice == advice::libvirt);
  CHECK(find(judge(host), "virtiofsd").text == "virtiofsd is not installed");
  CHECK(find(judge(host), "virtiofsd").advice == advice::virtiofsd);
  host.libvirt.error = "systemctl start failed; " + std::string(advice::libvirt_unit);
  CHECK(find(judge(host), "libvirt").text == "systemctl start failed");
  CHECK(find(judge(host), "libvirt").advice == advice::libvirt_unit);
}

TEST_CASE("check: each fault is one finding with what to do, and no other one changes") {
  for (const Case& one : cases) {
    INFO(one.what);
    Host host = good_host();
    one.change(host);
    const std::vector<Finding> findings = judge(host);
    const Finding finding = find(findings, one.check);
    CHECK(finding.verdict == one.verdict);
    CHECK_THAT(finding.text, ContainsSubstring(one.text));
    CHECK_THAT(finding.advice, ContainsSubstring(one.advice));
    CHECK(finding.advice.empty() == (one.verdict == Verdict::pass));
    CHECK(worst(findings) == one.verdict);
    CHECK(std::ranges::count_if(findings, [](const Finding& f) {
            return f.verdict != Verdict::pass;
          }) == (one.verdict == Verdict::pass ? 0 : 1));
  }
}
