// SPDX-License-Identifier: Apache-2.0
// The system calls that vhost-device-vsock may make while it reads a hostile guest's queues.
#pragma once

namespace husk::keeper {

/// Loads a seccomp filter for the calling process, which is to execute vhost-device-vsock next. It
/// allows what an ordinary program of threads, files and AF_UNIX sockets calls. Everything else fails
/// with ENOSYS: processes (threads are allowed), namespaces, mounts, other socket families, ptrace(2),
/// bpf(2), io_uring, keys, and whatever the kernel learns later. Needs no_new_privs. Throws system.
void restrict_device_system_calls();

}  // namespace husk::keeper
