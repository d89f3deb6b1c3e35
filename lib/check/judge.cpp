// SPDX-License-Identifier: Apache-2.0
#include "lib/check/judge.hpp"

#include <algorithm>
#include <cerrno>

#include "lib/base/advice.hpp"
#include "lib/base/error.hpp"

namespace husk::check {
namespace {

using hypervisor::Accelerator;

constexpr const char* no_virtualization =
    "switch on virtualization (VT-x, AMD-V, SVM) in the firmware's setup; where the host is a VM "
    "itself, switch on nested "
    "virtualization on its host";

Finding judge_root(const Host& host) {
  if (host.is_root) return {"root", Verdict::pass, "husk runs as root"};
  return {"root", Verdict::fail, "husk does not run as root",
          "call husk as root (sudo husk check)"};
}

Finding judge_config(const Host& host) {
  if (host.config_error.empty())
    return {"configuration", Verdict::pass, "husk's configuration can be read"};
  return {"configuration", Verdict::fail, host.config_error, "mend that line: man husk.toml"};
}

/// Without KVM containers run, several times slower; with accelerator = "kvm" none does.
Finding slow(const Host& host, std::string text, std::string advice) {
  if (host.cloud_hypervisor)
    return {"kvm", Verdict::fail, text + ", and Cloud Hypervisor emulates no CPU",
            std::move(advice)};
  const bool is_asked_for = host.configured_accelerator == Accelerator::kvm;
  text += is_asked_for ? ", and config.toml has accelerator = \"kvm\""
                       : ": QEMU emulates the CPU, and containers run several times slower";
  return {"kvm", is_asked_for ? Verdict::fail : Verdict::warn, std::move(text), std::move(advice)};
}

Finding judge_kvm_device(const Host& host) {
  if (host.kvm_error != 0 && host.kvm_error != ENOENT)
    return slow(host, "/dev/kvm cannot be opened (" + errno_text(host.kvm_error) + ")",
                "let root open /dev/kvm; in a container pass the device on (--device /dev/kvm)");
  if (!host.processor.can_virtualize) {
    const std::string which = host.processor.is_virtual ? " (the host is a VM)" : "";
    return slow(host, "the processor shows neither vmx nor svm" + which, no_virtualization);
  }
  return slow(host, "there is no /dev/kvm",
              "load the kernel's module: modprobe kvm_intel, or kvm_amd");
}

Finding judge_kvm(const Host& host) {
  if (host.configured_accelerator == Accelerator::tcg && !host.cloud_hypervisor)
    return {"kvm", Verdict::warn, "config.toml has accelerator = \"tcg\": QEMU emulates the CPU",
            "take the line out of config.toml if the host has KVM"};
  if (host.kvm_error != 0 || !host.processor.can_virtualize) return judge_kvm_device(host);
  if (host.tiny_vm && host.tiny_vm->result == TinyVm::Result::hangs)
    return {"kvm", Verdict::fail, "a VM of one instruction did not end within ten seconds",
            "call husk check again when the host is idle; if the VM still does not end, set "
            "accelerator = \"tcg\" in /etc/husk/config.toml"};
  if (host.tiny_vm && host.tiny_vm->result == TinyVm::Result::failed)
    return {"kvm", Verdict::fail, "a VM of one instruction failed: " + host.tiny_vm->error,
            "set accelerator = \"tcg\" in /etc/husk/config.toml, or find out why KVM does not work "
            "here"};
  return {"kvm", Verdict::pass,
          host.processor.is_virtual ? "KVM works, nested in a VM (a VM of one instruction ran)"
                                    : "KVM works (a VM of one instruction ran)"};
}

Finding judge_vsock(const Host& host) {
  if (host.cloud_hypervisor)
    return {"vsock", Verdict::pass, "Cloud Hypervisor is the vsock device itself"};
  if (host.has_vhost_vsock) return {"vsock", Verdict::pass, "the kernel has vhost-vsock"};
  if (host.has_vhost_device)
    return {"vsock", Verdict::pass, "vhost-device-vsock stands in for /dev/vhost-vsock"};
  return {"vsock", Verdict::fail, "this host has neither /dev/vhost-vsock nor vhost-device-vsock",
          advice::vsock};
}

Finding judge_cgroups(const Host& host) {
  const Cgroups& cgroups = host.cgroups;
  if (!cgroups.v1 && !cgroups.v2)
    return {"cgroups", Verdict::fail, "no cgroup file system is mounted",
            "mount one: systemd does, and the package cgroupfs-mount where there is no systemd"};
  const std::string version = cgroups.v1 && cgroups.v2 ? "v1 and v2" : cgroups.v1 ? "v1" : "v2";
  if (cgroups.missing.empty()) return {"cgroups", Verdict::pass, "cgroups " + version};
  std::string missing;
  for (const std::string& one : cgroups.missing) missing += (missing.empty() ? "" : ", ") + one;
  return {"cgroups", Verdict::warn,
          "cgroups " + version + " without " + missing +
              ": the host does not hold a VM to its container's limits of them",
          "take cgroup_disable off the kernel's command line, or use a kernel that has " + missing};
}

Finding judge_memory(const Host& host) {
  const std::string text =
      std::to_string(host.available_memory_mib) + " MiB of memory are available, a VM has " +
      std::to_string(host.default_memory_mib) + " MiB where its container has no limit";
  if (host.available_memory_mib >= 2 * host.default_memory_mib)
    return {"memory", Verdict::pass, text};
  const bool is_enough = host.available_memory_mib >= host.default_memory_mib / 2;
  return {"memory", is_enough ? Verdict::warn : Verdict::fail, text,
          "end what uses memory, or give containers less (docker run -m 128m)"};
}

Finding judge_places(const Host& host) {
  constexpr std::uint64_t least = 16U << 20U;
  for (const Place& place : host.places) {
    if (place.is_read_only)
      return {"disk", Verdict::fail, place.path.string() + " is mounted read-only",
              "mount it read-write"};
    if (place.free_bytes < least)
      return {"disk", Verdict::fail,
              place.path.string() + " has " + std::to_string(place.free_bytes >> 20U) + " MiB left",
              "remove what is not needed there"};
  }
  return {"disk", Verdict::pass, "/run and /var/log have room"};
}

std::string how_long_ago(std::chrono::minutes age) {
  return age.count() == 0 ? "less than a minute ago" : std::to_string(age.count()) + " min ago";
}

Finding judge_security(const Host& host) {
  if (host.denial)
    return {"security", Verdict::warn,
            "the kernel refused something to QEMU or libvirt " + how_long_ago(host.denial->age) +
                ": " + host.denial->line,
            "allow it in the profile that the line names, if a container failed at that time"};
  if (host.is_selinux_enforcing)
    return {"security", Verdict::warn, "SELinux is enforcing, with which husk has not been tested",
            "look for refusals with ausearch -m avc if a container does not start"};
  return {"security", Verdict::pass,
          "neither AppArmor nor SELinux refused anything to QEMU or libvirt in the last hour"};
}

Finding judge_container(const Host& host) {
  if (host.container.empty())
    return {"container", Verdict::pass, "husk is not in a container itself"};
  return {"container", Verdict::warn, "husk is in a container itself (" + host.container + ")",
          "the container needs --privileged, its own /run, and a libvirt daemon in it"};
}

std::string how_to_name_husk(const Engine& engine, const std::string& program) {
  const std::string file = engine.file.string();
  if (engine.name == "Docker") return "call husk setup docker, then systemctl reload docker";
  if (engine.name == "Podman")
    return "call podman --runtime " + program + ", or write [engine.runtimes] husk = [\"" +
           program + "\"] to " + file;
  if (engine.name == "CRI-O")
    return "copy 10-husk.conf from /usr/share/doc/husk/examples/crio, or from packaging/crio of "
           "the source, to " +
           file + ", then systemctl restart crio";
  return "add the tables from /usr/share/doc/husk/examples/containerd, or from "
         "packaging/containerd of the source, to " +
         file + ", then systemctl restart containerd";
}

std::string how_to_name_another(const Engine& engine, const std::string& program) {
  const std::string advice =
      "write " + program + " in place of that path to " + engine.file.string();
  if (engine.name == "Docker") return advice + ", then systemctl reload docker";
  if (engine.name == "Podman") return advice;
  return advice + ", then systemctl restart " + (engine.name == "CRI-O" ? "crio" : "containerd");
}

Finding judge_engine(const Engine& engine, const std::filesystem::path& program) {
  std::string name = engine.name;
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (!engine.error.empty())
    return {name, Verdict::warn, engine.error,
            engine.name + " does not start with such a file: mend it"};
  if (!engine.program_error.empty())
    return {name, Verdict::warn,
            engine.name + " cannot start the husk that " + engine.file.string() +
                " names: " + engine.program_error,
            how_to_name_another(engine, program.string())};
  if (engine.knows_husk)
    return {name, Verdict::pass, engine.name + " knows husk: " + engine.file.string()};
  return {name, Verdict::warn, engine.name + " does not know husk",
          how_to_name_husk(engine, program.string())};
}

}  // namespace

Verdict worst(const std::vector<Finding>& findings) {
  Verdict verdict = Verdict::pass;
  for (const Finding& finding : findings) verdict = std::max(verdict, finding.verdict);
  return verdict;
}

std::vector<Finding> judge(const Host& host) {
  // The rest is not known to other users.
  if (!host.is_root) return {judge_root(host)};
  std::vector<Finding> findings{judge_root(host), judge_config(host), judge_kvm(host),
                                judge_vsock(host)};
  const std::vector<Finding> programs = judge_programs(host);
  findings.insert(findings.end(), programs.begin(), programs.end());
  findings.insert(findings.end(), {judge_cgroups(host), judge_memory(host), judge_places(host),
                                   judge_security(host), judge_container(host)});
  for (const Engine& engine : host.engines) findings.push_back(judge_engine(engine, host.program));
  return findings;
}

}  // namespace husk::check
