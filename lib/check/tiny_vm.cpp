// SPDX-License-Identifier: Apache-2.0
#include "lib/check/tiny_vm.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstring>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"
#include "lib/check/ask_child.hpp"
#include "lib/check/error_of.hpp"

namespace husk::check {
namespace {

constexpr std::uint64_t page = 4096;

int call(int fd, unsigned long request, const char* name, void* argument = nullptr) {
  return check_sys(::ioctl(fd, request, argument), name);
}

void* map(int fd, std::size_t size) {
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) throw_errno("mmap");
  return memory;
}

/// In 16-bit mode, where a processor begins: no tables are needed.
void begin_at(int processor, std::uint64_t address) {
  kvm_sregs special{};
  call(processor, KVM_GET_SREGS, "KVM_GET_SREGS", &special);
  special.cs.base = 0;
  special.cs.selector = 0;
  call(processor, KVM_SET_SREGS, "KVM_SET_SREGS", &special);
  kvm_regs general{};
  general.rip = address;
  general.rflags = 2;  // the bit that is always set
  call(processor, KVM_SET_REGS, "KVM_SET_REGS", &general);
}

void run_instruction() {
  const UniqueFd kvm{check_sys(::open("/dev/kvm", O_RDWR | O_CLOEXEC), "open /dev/kvm")};
  const UniqueFd vm{call(kvm.get(), KVM_CREATE_VM, "KVM_CREATE_VM")};
  void* const memory = map(-1, page);
  std::memset(memory, 0xf4, page);  // hlt
  kvm_userspace_memory_region region{.slot = 0,
                                     .flags = 0,
                                     .guest_phys_addr = page,
                                     .memory_size = page,
                                     .userspace_addr = reinterpret_cast<std::uintptr_t>(memory)};
  call(vm.get(), KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
  const UniqueFd processor{call(vm.get(), KVM_CREATE_VCPU, "KVM_CREATE_VCPU")};
  const int size = call(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE");
  const auto* const run =
      static_cast<kvm_run*>(map(processor.get(), static_cast<std::size_t>(size)));
  begin_at(processor.get(), page);
  call(processor.get(), KVM_RUN, "KVM_RUN");
  if (run->exit_reason != KVM_EXIT_HLT)
    throw Error(Errc::unsupported, "KVM_RUN: exit reason " + std::to_string(run->exit_reason));
}

}  // namespace

TinyVm run_tiny_vm(std::chrono::milliseconds patience) {
  // A call of KVM may be one that no signal ends.
  std::optional<std::string> error;
  const std::string failure =
      error_of([&] { error = ask_child([] { return error_of(run_instruction); }, patience); });
  if (!failure.empty()) return {TinyVm::Result::failed, failure};
  if (!error) return {TinyVm::Result::hangs};
  if (error->empty()) return {};
  return {TinyVm::Result::failed, *error};
}

}  // namespace husk::check
