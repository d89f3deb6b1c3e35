// SPDX-License-Identifier: Apache-2.0
// Limits the system calls of a process that reads hostile bytes: seccomp(2).
#pragma once

#include <seccomp.h>

#include <initializer_list>
#include <memory>
#include <span>

namespace husk {

/// A seccomp filter: every system call that it does not allow fails with the same errno. A call is a
/// number of SCMP_SYS(); a call that this architecture does not have is ignored.
class AllowedSystemCalls {
 public:
  /// `refusal`: the errno of each call that is not allowed. Throws system.
  explicit AllowedSystemCalls(int refusal);

  /// Allows the calls with any arguments. Throws system.
  void allow(std::span<const int> calls);

  /// Allows the call if all `conditions` are true: SCMP_A0() to SCMP_A5(), each argument once. A
  /// second rule for the same call allows more. Throws system.
  void allow(int call, std::initializer_list<scmp_arg_cmp> conditions = {});

  /// Both need no_new_privs or CAP_SYS_ADMIN. No process can remove the filter again; its children
  /// and the programs that it executes inherit the filter. Throws system.
  void load_for_this_thread() const;
  void load_for_all_threads();

 private:
  struct Release {
    void operator()(void* filter) const noexcept;
  };
  std::unique_ptr<void, Release> filter_;
};

}  // namespace husk
