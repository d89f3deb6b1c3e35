// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_limits.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace husk;
using namespace husk::runtime;
using hypervisor::Accelerator;

namespace {

constexpr std::uint64_t bytes_of_a_mib = 1U << 20U;
constexpr VmSize gib{.memory_mib = 1024, .vcpus = 2};

CgroupLimits limits_of(const std::vector<Demand>& containers) {
  return plan_vm_limits({.containers = containers}, gib, Accelerator::kvm, 0);
}

}  // namespace

TEST_CASE("plan_vm_limits: memory is the VM's and the hypervisor's, with or without limits",
          "[runtime]") {
  CHECK(plan_vm_limits({}, gib, Accelerator::kvm, 0).memory_bytes ==
        (1024 + 16 + 256) * bytes_of_a_mib);
  CHECK(plan_vm_limits({}, gib, Accelerator::tcg, 0).memory_bytes ==
        (1024 + 16 + 256 + 1024) * bytes_of_a_mib);
  // 2.5 KiB for each file, of which the guest knows no more than it has KiB.
  CHECK(plan_vm_limits({}, gib, Accelerator::kvm, 1024).memory_bytes ==
        (1024 + 16 + 256) * bytes_of_a_mib + 1024 * 2560);
  CHECK(plan_vm_limits({}, gib, Accelerator::kvm, 1ULL << 40).memory_bytes ==
        (1024 + 16 + 256 + 2560) * bytes_of_a_mib);
  CHECK(limits_of({{.memory_mib = 100}}).memory_bytes == (1024 + 16 + 256) * bytes_of_a_mib);
}

TEST_CASE("plan_vm_limits: nothing else is limited for containers without limits", "[runtime]") {
  for (const VmDemands& demands : {VmDemands{}, VmDemands{.containers = {Demand{}, Demand{}}}}) {
    CgroupLimits limits = plan_vm_limits(demands, gib, Accelerator::kvm, 0);
    limits.memory_bytes.reset();
    CHECK(limits == CgroupLimits{});
  }
}

TEST_CASE("plan_vm_limits: what each container has a limit of adds up, with room for the VM",
          "[runtime]") {
  const Demand first{.quota_us = 50000, .period_us = 100000, .cpu_shares = 512, .processes = 50};
  CgroupLimits limits = limits_of({first});
  CHECK(limits.quota_us == 150000U);
  CHECK(limits.cpu_shares == 512U);
  CHECK(limits.processes == 712U);
  limits = limits_of({first, {.quota_us = 20000, .period_us = 10000, .processes = 100}});
  CHECK(limits.quota_us == 350000U);
  CHECK(limits.cpu_shares == 512U + 1024U);
  CHECK(limits.processes == 1112U);
  limits = limits_of({first, {}});
  CHECK_FALSE(limits.quota_us);
  CHECK(limits.cpu_shares == 512U + 1024U);
  CHECK_FALSE(limits.processes);
}

TEST_CASE("plan_vm_limits: a VM runs on the CPUs of all its containers", "[runtime]") {
  CHECK(limits_of({{.cpus = "0-1", .mems = "0"}}).cpus == "0-1");
  CHECK(limits_of({{.cpus = "0-1", .mems = "0"}}).mems == "0");
  CHECK(limits_of({{.cpus = "0-1"}, {.cpus = "0-1"}}).cpus == "0-1");
  CHECK(limits_of({{.cpus = "0-1"}, {.cpus = "3"}}).cpus == "0-1,3");
  CHECK_FALSE(limits_of({{.cpus = "0-1"}, {}}).cpus);
}

TEST_CASE("plan_vm_limits: a pod's own limit counts until its containers come", "[runtime]") {
  VmDemands demands{.pod = {.quota_us = 100000}};
  CHECK(plan_vm_limits(demands, gib, Accelerator::kvm, 0).quota_us == 200000U);
  demands.containers.push_back({.quota_us = 50000});
  CHECK(plan_vm_limits(demands, gib, Accelerator::kvm, 0).quota_us == 150000U);
}

TEST_CASE("plan_vm_limits: no sum overflows", "[runtime]") {
  const Demand much{.quota_us = UINT64_MAX, .cpu_shares = UINT64_MAX, .processes = UINT64_MAX};
  const CgroupLimits limits = limits_of({much, much, much});
  CHECK_FALSE(limits.quota_us);  // more CPUs than there can be
  CHECK(limits.processes == 4 * 3 * (1ULL << 32U) + 512);
}
