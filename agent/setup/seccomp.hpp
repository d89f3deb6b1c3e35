// SPDX-License-Identifier: Apache-2.0
// linux.seccomp as a kernel filter, by libseccomp.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// "SCMP_ACT_ERRNO" with its value → libseccomp's action. Throws invalid_argument for an unknown
/// name, unsupported for SCMP_ACT_NOTIFY (its listener lives on the host).
std::uint32_t seccomp_action(const std::string& name, std::optional<std::uint32_t> errno_ret);

/// A filter as the kernel takes it. Making it is apart from loading it: what has to be allocated is
/// allocated before, since the filter need not allow what an allocator or libseccomp calls.
class SeccompProgram {
 public:
  /// Skips system calls that libseccomp does not know, as runc does. System calls newer than all of
  /// the profile return ENOSYS (seccomp_stub.hpp). Throws invalid_argument, unsupported.
  explicit SeccompProgram(const oci::Seccomp& seccomp);
  /// Installs it for this process by one system call, and nothing else.
  void load() const;
  const std::vector<sock_filter>& instructions() const noexcept { return instructions_; }

 private:
  std::vector<sock_filter> instructions_;
  unsigned flags_;
};

}  // namespace husk::agent
