// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_limits.hpp"

#include <algorithm>

namespace husk::runtime {
namespace {

using Number = std::optional<std::uint64_t>;
using List = std::optional<std::string>;

/// QEMU, its page tables and the kernel's buffers for it. An idle VM takes 45 MiB (docs/kubernetes.md, "Sizing").
constexpr std::uint64_t qemu_mib = 256;
/// For the code that QEMU translates: its cache has 1 GiB at most.
constexpr std::uint64_t translation_mib = 1024;
/// For each file that the guest knows virtiofsd keeps a descriptor, and with it the host's kernel an inode (two under
/// overlayfs). The guest's own inode takes a KiB of the guest's memory.
constexpr std::uint64_t open_file_bytes = 2560, known_files_of_a_mib = 1024;
/// A CPU for the guest's kernel, QEMU's own threads, virtiofsd's and vhost's. The host stops all of them together, agent included, where
/// the quota is used up: a VM must not come to that by work for its container.
constexpr std::uint64_t overhead_milli = 1000;
/// QEMU's threads. The shim of each process of `exec` has four itself.
constexpr std::uint64_t overhead_processes = 512;
constexpr std::uint64_t threads_of_a_shim = 4;
constexpr std::uint64_t usual_shares = 1024;
/// More processes than a kernel has pids; no sum of these overflows.
constexpr std::uint64_t most_of_a_limit = 1ULL << 32U;

std::uint64_t memory_bytes(const VmSize& size, hypervisor::Accelerator accelerator,
                           std::uint64_t max_open_files) {
  const std::uint64_t emulation = accelerator == hypervisor::Accelerator::tcg ? translation_mib : 0;
  return ((size.memory_mib + size.memory_mib / 64 + qemu_mib + emulation) << 20U) +
         std::min(max_open_files, size.memory_mib * known_files_of_a_mib) * open_file_bytes;
}

/// The sum of what each has; empty where one has none.
template <typename Get>
Number sum_of(const std::vector<Demand>& containers, const Get& get) {
  std::uint64_t sum = 0;
  for (const Demand& one : containers) {
    const Number number = get(one);
    if (!number) return std::nullopt;
    sum += std::min(*number, most_of_a_limit);
  }
  return containers.empty() ? Number() : sum;
}

Number quota_us(const VmDemands& demands) {
  const Number milli =
      demands.containers.empty() ? cpu_milli(demands.pod) : sum_of(demands.containers, cpu_milli);
  constexpr std::uint64_t us_of_a_milli = 100;  // in each 0.1 s
  return milli ? Number((*milli + overhead_milli) * us_of_a_milli) : Number();
}

Number cpu_shares(const std::vector<Demand>& containers) {
  if (std::ranges::none_of(containers,
                           [](const Demand& one) { return one.cpu_shares.has_value(); }))
    return std::nullopt;
  return sum_of(containers,
                [](const Demand& one) { return Number(one.cpu_shares.value_or(usual_shares)); });
}

Number processes(const std::vector<Demand>& containers) {
  const Number sum = sum_of(containers, [](const Demand& one) { return one.processes; });
  return sum ? Number(threads_of_a_shim * *sum + overhead_processes) : Number();
}

/// All that one of them has.
List joined(const std::vector<Demand>& containers, List Demand::*list) {
  List all;
  for (const Demand& one : containers) {
    const List& own = one.*list;
    if (!own) return std::nullopt;
    if (all != own) all = all ? *all + "," + *own : *own;
  }
  return all;
}

}  // namespace

CgroupLimits plan_vm_limits(const VmDemands& demands, const VmSize& size,
                            hypervisor::Accelerator accelerator, std::uint64_t max_open_files) {
  return {.memory_bytes = memory_bytes(size, accelerator, max_open_files),
          .quota_us = quota_us(demands),
          .cpu_shares = cpu_shares(demands.containers),
          .cpus = joined(demands.containers, &Demand::cpus),
          .mems = joined(demands.containers, &Demand::mems),
          .processes = processes(demands.containers)};
}

}  // namespace husk::runtime
