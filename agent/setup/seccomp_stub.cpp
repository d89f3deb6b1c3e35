// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/seccomp_stub.hpp"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <map>
#include <set>

#include "agent/setup/seccomp_names.hpp"

namespace husk::agent {
namespace {

/// The kernel shows x32 as AUDIT_ARCH_X86_64, with this bit in the system call's number.
constexpr std::uint32_t x32_bit = 1u << 30;

/// No number is greater.
constexpr std::uint32_t no_greatest = std::numeric_limits<std::uint32_t>::max();

/// The greatest system call numbers of the profile.
struct Limits {
  std::uint32_t plain = no_greatest;
  std::uint32_t x32 = no_greatest;
};

/// The table of an architecture, by the kernel's number (AUDIT_ARCH_*).
using LimitTable = std::map<std::uint32_t, Limits>;

std::set<std::uint32_t> find_architectures(const oci::Seccomp& seccomp) {
  // libseccomp's filter is for the native one, too, whether it is listed or not.
  std::set<std::uint32_t> found{::seccomp_arch_native()};
  for (const std::string& name : seccomp.architectures) found.insert(find_architecture(name));
  return found;
}

/// Rules of the default action count: who wrote the profile knew their system calls.
std::uint32_t find_limit(const oci::Seccomp& seccomp, std::uint32_t architecture) {
  int greatest = 0;
  for (const oci::SeccompRule& rule : seccomp.syscalls) {
    for (const std::string& name : rule.names) {
      // Negative for a call that is unknown, or that this architecture does not have.
      greatest =
          std::max(greatest, ::seccomp_syscall_resolve_name_arch(architecture, name.c_str()));
    }
  }
  return greatest == 0 ? no_greatest : static_cast<std::uint32_t>(greatest);
}

LimitTable find_limits(const oci::Seccomp& seccomp) {
  LimitTable table;
  for (const std::uint32_t architecture : find_architectures(seccomp)) {
    const std::uint32_t limit = find_limit(seccomp, architecture);
    if (architecture == SCMP_ARCH_X32) {
      table[AUDIT_ARCH_X86_64].x32 = limit;
    } else if (architecture == SCMP_ARCH_X86_64) {
      table[AUDIT_ARCH_X86_64].plain = limit;
    } else {
      table[architecture] = {limit, limit};  // the bit means nothing there
    }
  }
  return table;
}

constexpr sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

/// Jumps to the instruction `yes` or `no` places after the next one.
constexpr sock_filter jump_if(unsigned comparison, std::uint32_t value, std::uint8_t yes,
                              std::uint8_t no) {
  return {static_cast<std::uint16_t>(BPF_JMP | comparison | BPF_K), yes, no, value};
}

/// Expects the architecture as loaded, and leaves it so for the next section. `remaining` is the
/// number of instructions between this section and libseccomp's filter.
std::vector<sock_filter> make_section(std::uint32_t architecture, const Limits& limits,
                                      std::uint32_t remaining) {
  return {
      jump_if(BPF_JEQ, architecture, 0, 6), load(offsetof(seccomp_data, nr)),
      jump_if(BPF_JSET, x32_bit, 1, 0),     jump_if(BPF_JGT, limits.plain, 1, 2),
      jump_if(BPF_JGT, limits.x32, 0, 1),   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_JMP | BPF_JA, remaining)};
}

using Program = std::vector<sock_filter>;

/// Not insert(): g++ 12 at -O3 takes the vector's old storage for null.
Program joined(const Program& first, const Program& second) {
  Program both;
  both.reserve(first.size() + second.size());
  for (const Program* part : {&first, &second})
    for (const sock_filter& instruction : *part) both.push_back(instruction);
  return both;
}

bool lets_pass(const std::string& action) {
  // A tracer is to see new system calls as well, and answers them itself.
  return action == "SCMP_ACT_ALLOW" || action == "SCMP_ACT_LOG" || action == "SCMP_ACT_TRACE";
}

}  // namespace

std::vector<sock_filter> make_enosys_stub(const oci::Seccomp& seccomp) {
  if (lets_pass(seccomp.default_action)) return {};
  std::vector<sock_filter> stub;
  // Builds from the end, since each section has to know what follows.
  for (const auto& [architecture, limits] : find_limits(seccomp)) {
    const auto section =
        make_section(architecture, limits, static_cast<std::uint32_t>(stub.size()));
    stub = joined(section, stub);
  }
  return joined({load(offsetof(seccomp_data, arch))}, stub);
}

}  // namespace husk::agent
