// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/plan/vm_size.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "lib/base/error.hpp"
#include "lib/runtime/plan/vm_shape.hpp"

using namespace husk;
using namespace husk::runtime;
using Catch::Matchers::ContainsSubstring;
using hypervisor::MemoryDevice;
using hypervisor::VmShape;

namespace {

constexpr std::int64_t mib = 1 << 20;

VmSizeBounds bounds_of_a_host() {
  return {.usual = {.memory_mib = 512, .vcpus = 1}, .host_memory_mib = 24000, .host_cpus = 8};
}

Demand limited(std::uint64_t memory_mib, std::uint64_t cpu_milli) {
  return {.memory_mib = memory_mib, .quota_us = cpu_milli * 100, .period_us = 100000};
}

oci::Resources with_memory(std::int64_t limit) {
  oci::Resources resources;
  resources.memory.emplace().limit = limit;
  return resources;
}

oci::Resources with_cpu(std::optional<std::int64_t> quota, std::optional<std::uint64_t> period,
                        std::optional<std::string> cpus = {}) {
  oci::Resources resources;
  resources.cpu.emplace();
  resources.cpu->quota = quota;
  resources.cpu->period = period;
  resources.cpu->cpus = std::move(cpus);
  return resources;
}

std::string refusal_of(const VmDemands& demands, const VmSizeBounds& bounds) {
  try {
    plan_vm_size(demands, bounds);
  } catch (const Error& e) {
    CHECK(e.code() == Errc::invalid_argument);
    return e.what();
  }
  return "was planned";
}

}  // namespace

TEST_CASE("demand_of: limits as config.json has them", "[runtime]") {
  CHECK(demand_of({}) == Demand{});
  CHECK(demand_of(with_memory(300 * mib)).memory_mib == 300);
  CHECK(demand_of(with_memory(300 * mib + 1)).memory_mib == 301);
  CHECK(demand_of(with_memory(1)).memory_mib == 1);
  CHECK(demand_of(with_memory(INT64_MAX)).memory_mib == 1ULL << 43U);
  for (const std::int64_t none : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN})
    CHECK_FALSE(demand_of(with_memory(none)).memory_mib);
  struct Row {
    oci::Resources resources;
    std::optional<std::uint64_t> milli;
  };
  const Row rows[] = {{with_cpu(50000, 100000), 500},
                      {with_cpu(150000, {}), 1500},  // the kernel's period
                      {with_cpu(400000, 0), 4000},
                      {with_cpu(1, 1000000), 1},
                      {with_cpu(-1, 100000), {}},
                      {with_cpu(0, 100000), {}},
                      {with_cpu(INT64_MAX, 1), {}},
                      {with_cpu(INT64_MAX, UINT64_MAX), 500},
                      {with_cpu({}, {}, "0-3,7"), {}},
                      {with_cpu(150000, 100000, "0-3"), 1500},
                      {with_cpu(800000, 100000, "0,1"), 2000}};
  for (const Row& row : rows) CHECK(cpu_milli(demand_of(row.resources)) == row.milli);
  CHECK(demand_of(with_cpu({}, {}, "0-3,7")).cpuset == 5U);
  CHECK(demand_of(with_cpu({}, {}, "2,2")).cpuset == 1U);
  CHECK_FALSE(demand_of(with_cpu({}, {}, "")).cpuset);
  for (const char* list : {"a", "3-1", "0-", "0,,1", "99999", "0-99999999999"})
    CHECK_THROWS_AS(demand_of(with_cpu({}, {}, list)), Error);
}

TEST_CASE("updated: what an update does not name stays", "[runtime]") {
  const Demand old = limited(512, 2000);
  CHECK(updated(old, {}) == old);
  CHECK(updated(old, with_memory(1024 * mib)) == limited(1024, 2000));
  CHECK(updated(old, with_memory(0)) == old);
  CHECK_FALSE(updated(old, with_memory(-1)).memory_mib);
  CHECK(cpu_milli(updated(old, with_memory(-1))) == 2000);
  CHECK(updated(old, with_cpu(50000, 100000)) == limited(512, 500));
  CHECK(updated(old, with_cpu({}, {})) == old);
  CHECK_FALSE(cpu_milli(updated(old, with_cpu(-1, {}))));
  CHECK(cpu_milli(updated(old, with_cpu({}, 20000))) == 10000);  // the same quota
  CHECK(cpu_milli(updated(updated(old, with_cpu({}, 20000)), with_cpu(10000, {}))) == 500);
  CHECK(cpu_milli(updated(old, with_cpu({}, {}, "0-15"))) == 2000);
  CHECK(cpu_milli(updated(old, with_cpu({}, {}, "1"))) == 1000);
}

TEST_CASE("plan_vm_size: limits and the guest's own, else the usual size", "[runtime]") {
  const auto overhead = guest_overhead_mib;
  struct Row {
    const char* what;
    VmDemands demands;
    VmSize size;
  };
  const Row rows[] = {
      {"a container without limits", {.containers = {{}}}, {512, 1}},
      {"a sandbox of which nothing is said", {}, {512, 1}},
      {"a sandbox with hints", {.pod = limited(384, 1500)}, {384 + overhead(384), 2}},
      {"a small limit", {.containers = {limited(64, 500)}}, {64 + overhead(64), 1}},
      {"a large limit", {.containers = {limited(8192, 4000)}}, {8192 + overhead(8192), 4}},
      {"two with limits",
       {.containers = {limited(300, 600), limited(200, 600)}},
       {500 + overhead(500), 2}},
      {"one with and one without", {.containers = {limited(640, 3000), {}}}, {512 + 640 + 10, 3}},
      {"all without together have the usual size once", {.containers = {{}, {}}}, {512, 1}},
      {"a cpuset", {.containers = {{.cpuset = 2}}}, {512, 2}},
      {"the CPUs that a node shares", {.containers = {{.cpuset = 63}, {.cpuset = 63}}}, {512, 8}},
      {"more than the hints",
       {.containers = {limited(1000, 100)}, .pod = limited(100, 100)},
       {1000 + overhead(1000), 1}},
      {"less than the hints",
       {.containers = {limited(100, 100)}, .pod = limited(1000, 2500)},
       {1000 + overhead(1000), 3}},
      {"what annotations ask for",
       {.containers = {limited(100, 100)}, .fixed = {.memory_mib = 2048, .vcpus = 3}},
       {2048, 3}},
      {"no more CPUs than the host has",
       {.containers = {limited(64, 64000)}},
       {64 + overhead(64), 8}},
      {"together more than the host has",
       {.containers = {limited(20000, 6000), limited(20000, 6000)}},
       {24000, 8}},
      {"limits that cannot be added",
       {.containers = {limited(UINT64_MAX, 1), limited(UINT64_MAX, 1)}},
       {24000, 1}}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const VmSize size = plan_vm_size(row.demands, bounds_of_a_host());
    CHECK(size.memory_mib == row.size.memory_mib);
    CHECK(size.vcpus == row.size.vcpus);
  }
}

TEST_CASE("plan_vm_size: the administrator's bounds hold", "[runtime]") {
  VmSizeBounds bounds = bounds_of_a_host();
  bounds.most = {.memory_mib = 1024, .vcpus = 2};
  const VmDemands two{.containers = {limited(800, 1500), limited(800, 1500)}};
  CHECK(plan_vm_size(two, bounds) == VmSize{1024, 2});
  CHECK_NOTHROW(check_demand(limited(1024, 2000), bounds));
  CHECK_THROWS_WITH(check_demand(limited(1025, 100), bounds),
                    "not enough memory for the VM: linux.resources.memory.limit is 1025 MiB, "
                    "vm.max_memory_mib is 1024 MiB");
  CHECK_THROWS_WITH(
      check_demand(limited(100, 2001), bounds),
      "not enough CPUs for the VM: linux.resources.cpu.quota is 3, vm.max_vcpus is 2");
  CHECK_THAT(refusal_of({.fixed = {.memory_mib = 2048}}, bounds),
             ContainsSubstring("annotations[\"io.husk.memory_mib\"] is 2048 MiB"));
  CHECK_THAT(refusal_of({.fixed = {.vcpus = 3}}, bounds),
             ContainsSubstring("annotations[\"io.husk.vcpus\"] is 3, vm.max_vcpus is 2"));
  CHECK_THROWS_WITH(check_demand(limited(24001, 100), bounds_of_a_host()),
                    "not enough memory for the VM: linux.resources.memory.limit is 24001 MiB, "
                    "this host has 24000 MiB");
  CHECK_NOTHROW(check_demand(limited(100, 64000), bounds_of_a_host()));
  CHECK_NOTHROW(check_demand({.cpuset = 63}, bounds));
}

TEST_CASE("plan_vm_size: a cgroup above leaves room for the hypervisor", "[runtime]") {
  VmSizeBounds bounds = bounds_of_a_host();
  bounds.cgroup_memory_mib = 1000;
  CHECK(plan_vm_size({.containers = {limited(2000, 100)}}, bounds).memory_mib == 904);
  bounds.cgroup_memory_mib = 223;
  CHECK_THAT(refusal_of({}, bounds), ContainsSubstring("limited to 223 MiB, a VM needs 224 MiB"));
}

TEST_CASE("plan_shape: a guest boots with little, and the rest is plugged", "[runtime]") {
  VmSizeBounds bounds = bounds_of_a_host();
  CHECK(plan_shape({512, 1}, bounds) ==
        VmShape{
            .vcpus = 1, .max_vcpus = 8, .memory_mib = 512, .memory_device = MemoryDevice{7680, 0}});
  CHECK(plan_shape({200, 1}, bounds).memory_mib == 200);
  CHECK(plan_shape({200, 1}, bounds).memory_device == MemoryDevice{7936, 0});
  CHECK(plan_shape({513, 1}, bounds).memory_mib == 513);
  CHECK(plan_shape({513, 1}, bounds).memory_device == MemoryDevice{7552, 0});
  CHECK(plan_shape({700, 1}, bounds).memory_mib == 572);
  CHECK(plan_shape({700, 1}, bounds).memory_device == MemoryDevice{7552, 128});
  CHECK(plan_shape({16384, 2}, bounds).memory_device == MemoryDevice{15872, 15872});
  bounds.host_cpus = 2;
  CHECK(plan_shape({512, 4}, bounds).max_vcpus == 4);  // the administrator's usual size
  bounds.most = {.memory_mib = 20480, .vcpus = 1};
  CHECK(plan_shape({512, 1}, bounds).memory_device == MemoryDevice{19968, 0});
  CHECK(plan_shape({512, 1}, bounds).max_vcpus == 1);
}

TEST_CASE("plan_shape: with QEMU beside it a VM fits into the cgroup above", "[runtime]") {
  VmSizeBounds bounds = bounds_of_a_host();
  for (std::uint64_t limit = 224; limit < 3000; ++limit) {
    bounds.cgroup_memory_mib = limit;
    const VmSize size = plan_vm_size({.containers = {limited(4000, 100)}}, bounds);
    const VmShape shape = plan_shape(size, bounds);
    CAPTURE(limit);
    REQUIRE(size_of(shape) == size);
    REQUIRE(most_of(shape).memory_mib <= limit - hypervisor_mib);
    REQUIRE(most_of(resized(shape, {9999, 1})) == most_of(shape));
  }
}

TEST_CASE("resized: a running VM changes in whole steps, within its room", "[runtime]") {
  const VmShape shape{
      .vcpus = 1, .max_vcpus = 4, .memory_mib = 512, .memory_device = MemoryDevice{1024, 0}};
  CHECK(size_of(resized(shape, {700, 2})) == VmSize{768, 2});
  CHECK(size_of(resized(shape, {99999, 99})) == VmSize{1536, 4});
  CHECK(size_of(resized(shape, {100, 0})) == VmSize{512, 1});
  CHECK(most_of(shape) == VmSize{1536, 4});
  const VmShape fixed{.vcpus = 2, .max_vcpus = 1, .memory_mib = 512, .memory_device = {}};
  CHECK(size_of(resized(fixed, {700, 3})) == VmSize{512, 2});
}
