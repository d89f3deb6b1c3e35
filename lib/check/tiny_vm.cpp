// SPDX-License-Identifier: Apache-2.0
#include "lib/check/tiny_vm.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "lib/base/deadline.hpp"
#include "lib/base/descriptors.hpp"
#include "lib/base/error.hpp"
#include "lib/base/unique_fd.hpp"

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

[[noreturn]] void report(int pipe) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  try {
    run_instruction();
  } catch (const std::exception& error) {
    const std::string_view what(error.what());
    if (::write(pipe, what.data(), what.size()) < 0) ::_exit(2);
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

TinyVm run_tiny_vm(std::chrono::milliseconds patience) {
  Pipe pipe = make_pipe();
  const pid_t child = check_sys(::fork(), "fork");
  if (child == 0) report(pipe.write_end.get());
  pipe.write_end.reset();
  pollfd end{pipe.read_end.get(), POLLIN, 0};
  const Deadline deadline(patience);
  int ready = 0;
  do {
    ready = ::poll(&end, 1, deadline.poll_timeout());
  } while (ready < 0 && errno == EINTR);
  const bool is_over = ready > 0;
  if (!is_over) ::kill(child, SIGKILL);
  std::array<char, 256> text{};
  const ssize_t size = is_over ? ::read(pipe.read_end.get(), text.data(), text.size()) : 0;
  int status = 0;
  // A call of KVM may be one that no signal ends.
  const Deadline end_of_child(patience);
  while (::waitpid(child, &status, WNOHANG) == 0 && !end_of_child.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!is_over) return {TinyVm::Result::hangs};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return {TinyVm::Result::failed,
          size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "no answer"};
}

}  // namespace husk::check
