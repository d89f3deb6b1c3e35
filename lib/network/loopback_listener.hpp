// SPDX-License-Identifier: Apache-2.0
// Who connects to "localhost" in a container's namespace on the host (kubectl port-forward by CRI-O
// and containerd, a person with nsenter) means the container's programs, which listen in a VM.
#pragma once

#include <cstdint>

#include "lib/base/unique_fd.hpp"
#include "lib/network/namespace.hpp"

namespace husk::network {

struct LoopbackListener {
  /// Non-blocking; accepts TCP connections to 127.0.0.1 and ::1, whatever their port.
  UniqueFd socket;
  UniqueFd steering;  ///< the kernel's part in it, which ends when all copies of this are closed
};

/// Takes all such connections in the namespace that begin from now on, by a BPF program
/// (BPF_PROG_TYPE_SK_LOOKUP, since Linux 5.9): no other loopback address, nothing of netfilter and
/// no port is used up. The caller's own namespace is refused. Throws system, unsupported.
LoopbackListener listen_on_loopback(const NetworkNamespace& in);

/// Returns the port that the peer wanted to connect to. Throws system.
std::uint16_t wanted_port(int connection);

}  // namespace husk::network
