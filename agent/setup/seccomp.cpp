// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/seccomp.hpp"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "agent/setup/seccomp_names.hpp"
#include "agent/setup/seccomp_stub.hpp"
#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"

namespace husk::agent {
namespace {

struct Release {
  void operator()(void* filter) const noexcept { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

void check_seccomp(int result, const std::string& doing) {
  if (result < 0) throw_errno("seccomp: " + doing, -result);
}

std::vector<scmp_arg_cmp> comparisons(const oci::SeccompRule& rule) {
  std::vector<scmp_arg_cmp> made;
  for (const oci::SeccompArg& argument : rule.args) {
    if (argument.index > 5) {
      throw Error(Errc::invalid_argument, "linux.seccomp: argument index over 5");
    }
    made.push_back(
        {argument.index, find_operator(argument.op), argument.value, argument.value_two});
  }
  return made;
}

bool repeats_an_index(const std::vector<scmp_arg_cmp>& comparisons) {
  std::set<unsigned> seen;
  return std::any_of(comparisons.begin(), comparisons.end(),
                     [&](const scmp_arg_cmp& one) { return !seen.insert(one.arg).second; });
}

void add_rule(void* filter, std::uint32_t action, int number, const std::string& name,
              const std::vector<scmp_arg_cmp>& all) {
  // libseccomp takes one comparison per argument and rule; several of one argument mean "or" to
  // runc.
  if (repeats_an_index(all)) {
    for (const scmp_arg_cmp& one : all) {
      check_seccomp(::seccomp_rule_add_array(filter, action, number, 1, &one), "rule for " + name);
    }
    return;
  }
  check_seccomp(::seccomp_rule_add_array(filter, action, number, static_cast<unsigned>(all.size()),
                                         all.empty() ? nullptr : all.data()),
                "rule for " + name);
}

void add_rules(void* filter, const oci::Seccomp& seccomp, std::uint32_t default_action) {
  for (const oci::SeccompRule& rule : seccomp.syscalls) {
    const std::uint32_t action = seccomp_action(rule.action, rule.errno_ret);
    if (action == default_action) continue;  // libseccomp refuses a rule that changes nothing
    const std::vector<scmp_arg_cmp> arguments = comparisons(rule);
    for (const std::string& name : rule.names) {
      const int number = ::seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        log(LogLevel::debug, "seccomp: unknown system call " + name.substr(0, 64) + " is skipped");
        continue;
      }
      add_rule(filter, action, number, name, arguments);
    }
  }
}

unsigned load_flags(const oci::Seccomp& seccomp) {
  unsigned flags = 0;
  for (const std::string& flag : seccomp.flags) {
    if (flag == "SECCOMP_FILTER_FLAG_LOG") {
      flags |= SECCOMP_FILTER_FLAG_LOG;
    } else if (flag == "SECCOMP_FILTER_FLAG_SPEC_ALLOW") {
      flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    } else if (flag != "SECCOMP_FILTER_FLAG_TSYNC") {  // one thread: nothing to synchronise
      throw Error(Errc::unsupported, "linux.seccomp.flags: " + flag + " is not supported");
    }
  }
  return flags;
}

Filter make_filter(const oci::Seccomp& seccomp) {
  const std::uint32_t default_action =
      seccomp_action(seccomp.default_action, seccomp.default_errno_ret);
  Filter filter{::seccomp_init(default_action)};
  if (!filter) throw Error(Errc::internal, "seccomp: cannot make a filter");
  for (const std::string& name : seccomp.architectures) {
    const int result = ::seccomp_arch_add(filter.get(), find_architecture(name));
    if (result != -EEXIST) check_seccomp(result, "architecture " + name);
  }
  add_rules(filter.get(), seccomp, default_action);
  return filter;
}

/// The program has at most BPF_MAXINSNS instructions: the kernel takes no more, see seccomp(2).
std::vector<sock_filter> compile(const oci::Seccomp& seccomp) {
  const UniqueFd file{check_sys(::memfd_create("seccomp", MFD_CLOEXEC), "memfd_create")};
  check_seccomp(::seccomp_export_bpf(make_filter(seccomp).get(), file.get()), "export filter");
  check_sys(::lseek(file.get(), 0, SEEK_SET), "lseek");
  std::vector<sock_filter> instructions = make_enosys_stub(seccomp);
  const std::size_t stub = instructions.size();
  const std::string bytes = read_all(file.get(), (BPF_MAXINSNS - stub) * sizeof(sock_filter),
                                     "linux.seccomp as a filter");
  instructions.resize(stub + bytes.size() / sizeof(sock_filter));
  std::memcpy(instructions.data() + stub, bytes.data(), bytes.size());
  return instructions;
}

}  // namespace

std::uint32_t seccomp_action(const std::string& name, std::optional<std::uint32_t> errno_ret) {
  const std::uint32_t value = errno_ret.value_or(EPERM);
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(value);
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(value);
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_NOTIFY") {
    throw Error(Errc::unsupported, "linux.seccomp: SCMP_ACT_NOTIFY is not supported in a VM");
  }
  throw Error(Errc::invalid_argument, "linux.seccomp: unknown action " + name);
}

SeccompProgram::SeccompProgram(const oci::Seccomp& seccomp)
    : instructions_(compile(seccomp)), flags_(load_flags(seccomp)) {}

void SeccompProgram::load() const {
  // seccomp(2) does not write to it.
  const sock_fprog program{static_cast<unsigned short>(instructions_.size()),
                           const_cast<sock_filter*>(instructions_.data())};
  check_sys(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags_, &program),
            "seccomp: load filter");
}

}  // namespace husk::agent
