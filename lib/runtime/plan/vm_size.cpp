// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_size.hpp"

#include <algorithm>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"

namespace husk::runtime {
namespace {

using Number = std::optional<std::uint64_t>;

/// For QEMU beside the guest's memory. An idle pod took 45 MiB (docs/kubernetes.md, "Sizing"); twice that.
constexpr std::uint64_t hypervisor_mib = 96;
/// Below this a guest does not boot.
constexpr std::uint64_t least_memory_mib = 128;

constexpr std::uint64_t default_period = 100000;  // of the kernel, in microseconds
constexpr unsigned most_cpu_number = 8191;        // of a Linux kernel

std::uint64_t rounded_up(std::uint64_t number, std::uint64_t unit) {
  return number / unit + (number % unit == 0 ? 0 : 1);
}

[[noreturn]] void refuse(const std::string& what) { throw Error(Errc::invalid_argument, what); }

Number memory_of(const std::optional<oci::MemoryLimits>& memory) {
  if (!memory || memory->limit.value_or(0) <= 0) return std::nullopt;
  return rounded_up(static_cast<std::uint64_t>(*memory->limit), 1U << 20U);
}

Number quota_of(const oci::CpuLimits& cpu) {
  if (cpu.quota.value_or(0) <= 0) return std::nullopt;
  const std::uint64_t period = cpu.period.value_or(0) == 0 ? default_period : *cpu.period;
  const auto quota = static_cast<std::uint64_t>(*cpu.quota);
  // A quota of more CPUs than a kernel has is none; the product below does not overflow.
  if (quota / period > most_cpu_number) return std::nullopt;
  return std::max<std::uint64_t>(1, quota * 1000 / period);
}

unsigned cpu_number(const std::string& text, const std::string& list) {
  const auto number = parse_number<unsigned>(text);
  if (!number || *number > most_cpu_number)
    refuse("linux.resources.cpu.cpus: " + quote(list) + " is not a list of CPUs");
  return *number;
}

/// "0-3,7": cpuset(7), "List format".
std::uint64_t count_cpus(const std::string& list) {
  std::vector<bool> named(most_cpu_number + 1);
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t end = std::min(list.find(',', start), list.size());
    const std::string part = list.substr(start, end - start);
    const std::size_t dash = part.find('-');
    const unsigned first = cpu_number(part.substr(0, dash), list);
    const unsigned last =
        dash == std::string::npos ? first : cpu_number(part.substr(dash + 1), list);
    if (last < first) refuse("linux.resources.cpu.cpus: " + quote(list) + " is not a list of CPUs");
    for (unsigned cpu = first; cpu <= last; ++cpu) named[cpu] = true;
    start = end + 1;
  }
  return static_cast<std::uint64_t>(std::ranges::count(named, true));
}

Number cpuset_of(const oci::CpuLimits& cpu) {
  if (!cpu.cpus || cpu.cpus->empty()) return std::nullopt;
  return count_cpus(*cpu.cpus) * 1000;
}

Number lesser(const Number& a, const Number& b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

Number cpu_milli_of(const std::optional<oci::CpuLimits>& cpu) {
  return cpu ? lesser(quota_of(*cpu), cpuset_of(*cpu)) : std::nullopt;
}

/// What all containers have, and whether one has no limit.
struct Sum {
  std::uint64_t limited = 0;
  bool is_open = false;
};
Sum sum_of(const std::vector<Demand>& containers, Number Demand::*what) {
  Sum sum;
  for (const Demand& one : containers) {
    constexpr std::uint64_t most = 1ULL << 40U;  // no sum of these overflows
    sum.limited += std::min((one.*what).value_or(0), most);
    sum.is_open = sum.is_open || !(one.*what);
  }
  return sum;
}

std::string mib(std::uint64_t number) { return std::to_string(number) + " MiB"; }

void check_memory(std::uint64_t wanted, const char* what, const VmSizeBounds& bounds) {
  if (bounds.most.memory_mib != 0 && wanted > bounds.most.memory_mib)
    refuse("not enough memory for the VM: " + std::string(what) + " is " + mib(wanted) +
           ", vm.max_memory_mib is " + mib(bounds.most.memory_mib));
  if (wanted > bounds.host_memory_mib)
    refuse("not enough memory for the VM: " + std::string(what) + " is " + mib(wanted) +
           ", this host has " + mib(bounds.host_memory_mib));
}

void check_cpus(std::uint64_t wanted, const char* what, const VmSizeBounds& bounds) {
  if (bounds.most.vcpus != 0 && wanted > bounds.most.vcpus)
    refuse("not enough CPUs for the VM: " + std::string(what) + " is " + std::to_string(wanted) +
           ", vm.max_vcpus is " + std::to_string(bounds.most.vcpus));
}

std::uint64_t with_overhead(std::uint64_t usable_mib) {
  return usable_mib + guest_overhead_mib(usable_mib);
}

std::uint64_t wanted_memory(const VmDemands& demands, const VmSizeBounds& bounds) {
  const Sum sum = sum_of(demands.containers, &Demand::memory_mib);
  const std::uint64_t of_pod = demands.pod.memory_mib ? with_overhead(*demands.pod.memory_mib) : 0;
  if (demands.containers.empty() && of_pod != 0) return of_pod;
  if (demands.containers.empty() || sum.is_open)
    check_memory(bounds.usual.memory_mib, "vm.memory_mib", bounds);
  if (demands.containers.empty()) return bounds.usual.memory_mib;
  const std::uint64_t of_containers = sum.is_open
                                          ? bounds.usual.memory_mib + sum.limited + sum.limited / 64
                                          : with_overhead(sum.limited);
  return std::max(of_containers, of_pod);
}

/// A VM that outgrows a cgroup above its own is killed by the host with all its containers: those are a pod's.
std::uint64_t memory_ceiling(const VmSizeBounds& bounds) {
  std::uint64_t ceiling = bounds.host_memory_mib;
  if (bounds.most.memory_mib != 0) ceiling = std::min(ceiling, bounds.most.memory_mib);
  if (!bounds.cgroup_memory_mib) return ceiling;
  const std::uint64_t limit = *bounds.cgroup_memory_mib;
  if (limit < hypervisor_mib + least_memory_mib)
    refuse("not enough memory for the VM: a cgroup above linux.cgroupsPath is limited to " +
           mib(limit) + ", a VM needs " + mib(hypervisor_mib + least_memory_mib));
  return std::min(ceiling, limit - hypervisor_mib);
}

std::uint64_t plan_memory(const VmDemands& demands, const VmSizeBounds& bounds) {
  if (demands.fixed.memory_mib != 0)
    check_memory(demands.fixed.memory_mib, "annotations[\"io.husk.memory_mib\"]", bounds);
  const std::uint64_t wanted =
      demands.fixed.memory_mib != 0 ? demands.fixed.memory_mib : wanted_memory(demands, bounds);
  return std::min(std::max(wanted, least_memory_mib), memory_ceiling(bounds));
}

unsigned plan_vcpus(const VmDemands& demands, const VmSizeBounds& bounds) {
  std::uint64_t wanted = demands.fixed.vcpus;
  if (wanted != 0) {
    check_cpus(wanted, "annotations[\"io.husk.vcpus\"]", bounds);
  } else {
    const Sum sum = sum_of(demands.containers, &Demand::cpu_milli);
    const std::uint64_t milli = std::max(sum.limited, demands.pod.cpu_milli.value_or(0));
    wanted = rounded_up(milli, 1000);
    if (sum.is_open || wanted == 0) wanted = std::max<std::uint64_t>(wanted, bounds.usual.vcpus);
  }
  // More CPUs than the host's are of no use, unless the administrator wants them.
  std::uint64_t ceiling = std::max(bounds.host_cpus, bounds.usual.vcpus);
  if (bounds.most.vcpus != 0) ceiling = std::min<std::uint64_t>(ceiling, bounds.most.vcpus);
  return static_cast<unsigned>(std::clamp<std::uint64_t>(wanted, 1, ceiling));
}

}  // namespace

Demand demand_of(const oci::Resources& resources) {
  return {.memory_mib = memory_of(resources.memory), .cpu_milli = cpu_milli_of(resources.cpu)};
}

std::uint64_t guest_overhead_mib(std::uint64_t usable_mib) {
  // Measured (docs/performance.md, "The size of a VM"): the kernel and the agent, a page's descriptor for each page,
  // and the agent's reserve (agent/setup/guest_reserve.hpp).
  constexpr std::uint64_t fixed_mib = 72;
  return fixed_mib + std::clamp<std::uint64_t>(usable_mib / 32, 8, 32) + rounded_up(usable_mib, 64);
}

Demand updated(const Demand& old, const oci::Resources& update) {
  Demand demand = old;
  if (update.memory && update.memory->limit.value_or(0) != 0)
    demand.memory_mib = memory_of(update.memory);
  const Number cpu_milli = cpu_milli_of(update.cpu);
  const bool has_no_quota = update.cpu && update.cpu->quota.value_or(0) < 0;
  if (cpu_milli || has_no_quota) demand.cpu_milli = cpu_milli;
  return demand;
}

void check_demand(const Demand& demand, const VmSizeBounds& bounds) {
  if (demand.memory_mib) check_memory(*demand.memory_mib, "linux.resources.memory.limit", bounds);
  if (demand.cpu_milli)
    check_cpus(rounded_up(*demand.cpu_milli, 1000), "linux.resources.cpu", bounds);
}

VmSize plan_vm_size(const VmDemands& demands, const VmSizeBounds& bounds) {
  return {.memory_mib = plan_memory(demands, bounds), .vcpus = plan_vcpus(demands, bounds)};
}

}  // namespace husk::runtime
