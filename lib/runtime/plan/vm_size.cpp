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

Number positive(const std::optional<std::int64_t>& number) {
  return number.value_or(0) > 0 ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

unsigned cpu_number(const std::string& text, const std::string& list) {
  const auto number = parse_number<unsigned>(text);
  if (!number || *number > most_cpu_number)
    refuse("linux.resources.cpu.cpus: " + quote(list) + " is not a list of CPUs");
  return *number;
}

/// "0-3,7": cpuset(7), "List format".
unsigned count_cpus(const std::string& list) {
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
  return static_cast<unsigned>(std::ranges::count(named, true));
}

std::optional<unsigned> cpuset_of(const oci::CpuLimits& cpu) {
  if (!cpu.cpus || cpu.cpus->empty()) return std::nullopt;
  return count_cpus(*cpu.cpus);
}

constexpr std::uint64_t most_of_one = 1ULL << 40U;  // no sum of these overflows

/// What the limits of memory come to, and whether one container has none.
struct Sum {
  std::uint64_t limited = 0;
  bool is_open = false;
};
Sum sum_of_memory(const std::vector<Demand>& containers) {
  Sum sum;
  for (const Demand& one : containers) {
    sum.limited += std::min(one.memory_mib.value_or(0), most_of_one);
    sum.is_open = sum.is_open || !one.memory_mib;
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
  const Sum sum = sum_of_memory(demands.containers);
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

/// CPUs are shared: the quotas add up, and who has none takes what is there.
std::uint64_t wanted_cpus(const VmDemands& demands, const VmSizeBounds& bounds) {
  std::uint64_t milli = 0, open = demands.containers.empty() ? bounds.usual.vcpus : 1;
  for (const Demand& one : demands.containers) {
    const Number quota = cpu_milli(one);
    milli += quota.value_or(0);
    if (!quota)
      open = std::max<std::uint64_t>(open, std::min(one.cpuset.value_or(bounds.usual.vcpus),
                                                    std::max(usual_most_cpus, bounds.usual.vcpus)));
  }
  const Number of_pod = cpu_milli(demands.pod);
  if (of_pod && demands.containers.empty()) open = 1;
  return std::max(open, rounded_up(std::max(milli, of_pod.value_or(0)), 1000));
}

unsigned plan_vcpus(const VmDemands& demands, const VmSizeBounds& bounds) {
  if (demands.fixed.vcpus != 0)
    check_cpus(demands.fixed.vcpus, "annotations[\"io.husk.vcpus\"]", bounds);
  const std::uint64_t wanted =
      demands.fixed.vcpus != 0 ? demands.fixed.vcpus : wanted_cpus(demands, bounds);
  // More CPUs than the host's are of no use, unless the administrator wants them.
  std::uint64_t ceiling = std::max(bounds.host_cpus, bounds.usual.vcpus);
  if (bounds.most.vcpus != 0) ceiling = std::min<std::uint64_t>(ceiling, bounds.most.vcpus);
  return static_cast<unsigned>(std::clamp<std::uint64_t>(wanted, 1, ceiling));
}

}  // namespace

std::optional<std::uint64_t> cpu_milli(const Demand& demand) {
  if (!demand.quota_us) return std::nullopt;
  const std::uint64_t period = demand.period_us.value_or(default_period);
  // A quota of more CPUs than a kernel has is none.
  if (*demand.quota_us / period > most_cpu_number) return std::nullopt;
  const std::uint64_t rest = *demand.quota_us % period;
  constexpr std::uint64_t second = 1000000;  // longer periods are none of the kernel's
  const std::uint64_t part = period > second ? rest / (period / 1000) : rest * 1000 / period;
  const std::uint64_t quota = std::max<std::uint64_t>(1, *demand.quota_us / period * 1000 + part);
  return std::min<std::uint64_t>(quota, demand.cpuset.value_or(most_cpu_number) * 1000ULL);
}

Demand demand_of(const oci::Resources& resources) { return updated({}, resources); }

std::uint64_t guest_overhead_mib(std::uint64_t usable_mib) {
  // Measured in guests of 160 to 6500 MiB: the kernel and the agent, a page's descriptor for each page,
  // and the agent's reserve (agent/setup/guest_reserve.hpp).
  constexpr std::uint64_t fixed_mib = 72;
  return fixed_mib + std::clamp<std::uint64_t>(usable_mib / 32, 8, 32) + rounded_up(usable_mib, 64);
}

Demand updated(const Demand& old, const oci::Resources& update) {
  Demand demand = old;
  if (update.memory && update.memory->limit.value_or(0) != 0)
    demand.memory_mib = memory_of(update.memory);
  if (update.pids_limit.value_or(0) != 0) demand.processes = positive(update.pids_limit);
  if (!update.cpu) return demand;
  if (update.cpu->quota.value_or(0) != 0) demand.quota_us = positive(update.cpu->quota);
  if (update.cpu->period.value_or(0) != 0) demand.period_us = update.cpu->period;
  if (const auto cpuset = cpuset_of(*update.cpu)) {
    demand.cpuset = cpuset;
    demand.cpus = update.cpu->cpus;
  }
  if (!update.cpu->mems.value_or("").empty()) demand.mems = update.cpu->mems;
  if (update.cpu->shares.value_or(0) != 0) demand.cpu_shares = update.cpu->shares;
  return demand;
}

void check_demand(const Demand& demand, const VmSizeBounds& bounds) {
  if (demand.memory_mib) check_memory(*demand.memory_mib, "linux.resources.memory.limit", bounds);
  if (const Number milli = cpu_milli(demand))
    check_cpus(rounded_up(*milli, 1000), "linux.resources.cpu.quota", bounds);
}

VmSize plan_vm_size(const VmDemands& demands, const VmSizeBounds& bounds) {
  return {.memory_mib = plan_memory(demands, bounds), .vcpus = plan_vcpus(demands, bounds)};
}

}  // namespace husk::runtime
