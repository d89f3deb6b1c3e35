// SPDX-License-Identifier: Apache-2.0
// The system calls that the shim may make once it reads what the guest sends.
#pragma once

namespace husk::shim {

/// Loads a seccomp filter for all threads of the process: whatever carrying bytes, waiting, asking a
/// DNS server and ending does not take fails with EPERM. It opens nothing, executes nothing and makes
/// no thread from then on. Needs no_new_privs. Throws system.
void restrict_system_calls();

}  // namespace husk::shim
