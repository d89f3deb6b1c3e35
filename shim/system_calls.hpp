// SPDX-License-Identifier: Apache-2.0
// The system calls that the shim may make once it reads what the guest sends.
#pragma once

#include "shim/oom_mark.hpp"

namespace husk::shim {

/// Loads a seccomp filter for all threads of the process: whatever carrying bytes, waiting, asking a
/// DNS server, the file "oom" and ending does not take fails with EPERM. The shim opens nothing, executes nothing and makes
/// no thread from then on. Needs no_new_privs. Throws system.
void restrict_system_calls(const OomMark& oom_mark);

}  // namespace husk::shim
