// SPDX-License-Identifier: Apache-2.0
// The older iptables (iptables-legacy), which has its own modprobe(8) load what the kernel does not ask for by itself.
#pragma once

#include "lib/oci/spec.hpp"

namespace husk::agent {

/// Has the kernel load ip_tables and ip6_tables for a container that may configure its network (CAP_NET_ADMIN), as a host
/// has them loaded where Docker runs. Their tables and matches the kernel asks for itself. Call this as root of the guest's
/// first user namespace. Nothing where the modules are missing.
void load_packet_filters(const oci::Process& process);

}  // namespace husk::agent
