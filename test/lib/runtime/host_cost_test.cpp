// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/host_cost.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>

using namespace husk;
using namespace husk::runtime;

namespace {

constexpr std::size_t block = 16U << 20U;

/// Memory of this process, as QEMU has the guest's and its own.
struct UsedMemory {
  explicit UsedMemory(int flags)
      : start(::mmap(nullptr, block, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(start != MAP_FAILED);
    std::memset(start, 1, block);
  }
  UsedMemory(const UsedMemory&) = delete;
  UsedMemory& operator=(const UsedMemory&) = delete;
  ~UsedMemory() { ::munmap(start, block); }
  void* start;
};

VmRecord vm_of_this_process() {
  VmRecord vm;
  vm.members = {{.id = "c1"}, {.id = "c2"}};
  vm.process = identify_process(::getpid());
  return vm;
}

}  // namespace

TEST_CASE("find_host_cost: the memory of the guest, and a helper's own", "[runtime]") {
  VmRecord vm = vm_of_this_process();
  const HostCost before = find_host_cost(vm);
  CHECK(before.containers == 2);
  CHECK(before.cpu_time.count() >= 0);
  const UsedMemory guest(MAP_SHARED), own(MAP_PRIVATE);
  CHECK(find_host_cost(vm).memory_bytes >= before.memory_bytes + 2 * block);
  vm.helpers = {vm.process.value()};
  vm.process.reset();
  const std::uint64_t helpers = find_host_cost(vm).memory_bytes;
  vm = vm_of_this_process();
  CHECK(find_host_cost(vm).memory_bytes >= helpers + block);
}

TEST_CASE("find_host_cost: a process that has ended, or has another's pid, costs nothing",
          "[runtime]") {
  VmRecord vm = vm_of_this_process();
  ++vm.process->start_time;
  CHECK(find_host_cost(vm).memory_bytes == 0);
  vm.process.reset();
  CHECK(find_host_cost(vm).memory_bytes == 0);
}
