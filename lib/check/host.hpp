// SPDX-License-Identifier: Apache-2.0
// What `husk check` knows of a host, before it judges.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/check/denials.hpp"
#include "lib/check/engines.hpp"
#include "lib/check/tiny_vm.hpp"
#include "lib/hypervisor/vm.hpp"

namespace husk::check {

struct Processor {
  bool can_virtualize = false;  ///< /proc/cpuinfo has vmx or svm
  bool is_virtual = false;      ///< /proc/cpuinfo has "hypervisor": the host is a VM itself
};

/// A program or a library of others.
struct Part {
  std::string version{};       ///< as it names itself; empty: it did not say
  std::string error{};         ///< why it cannot be used; empty: it can
  bool is_unanswered = false;  ///< the file system did not answer in time
};

struct GuestFile {
  std::string key;  ///< of config.toml: "vm.kernel"
  std::filesystem::path path;
  std::string error{};         ///< why root cannot read it; empty: root can
  bool is_unanswered = false;  ///< the file system did not answer in time
  /// The directory on the way that QEMU's user may not search; empty: there is none.
  std::filesystem::path closed_directory{};
  std::string release{};  ///< of a directory of modules: the kernel's; empty: not known
};

struct Place {
  std::filesystem::path path;
  std::uint64_t free_bytes = 0;
  bool is_read_only = false;
};

struct Cgroups {
  bool v1 = false, v2 = false;
  std::vector<std::string> missing{};  ///< of cpu, memory, pids
};

struct Host {
  std::filesystem::path program{};  ///< husk itself
  bool is_root = false;
  std::string config_error{};
  std::optional<hypervisor::Accelerator> configured_accelerator{};
  Processor processor{};
  int kvm_error = 0;                ///< errno of opening /dev/kvm; 0: it opens
  std::optional<TinyVm> tiny_vm{};  ///< empty: not tried
  bool has_vhost_vsock = false;
  bool has_vhost_device = false;  ///< the program that stands in for /dev/vhost-vsock
  Part qemu{}, libvirt{}, virtiofsd{};
  std::optional<Part>
      cloud_hypervisor{};  ///< there where config.toml chooses it; then there need be no QEMU
  bool is_rust_virtiofsd = false;
  std::string vm_user_error{};
  std::vector<GuestFile> guest_files{};
  std::string guest_kernel{};  ///< its release; empty: not known
  Cgroups cgroups{};
  std::uint64_t available_memory_mib = 0, default_memory_mib = 0;
  std::vector<Place> places{};
  std::vector<Engine> engines{};
  std::string
      container{};  ///< how it was seen that husk is in a container: a file; empty: husk is not
  bool is_selinux_enforcing = false;
  std::optional<Denial> denial{};  ///< what was refused to QEMU or libvirt in the last hour
};

}  // namespace husk::check
