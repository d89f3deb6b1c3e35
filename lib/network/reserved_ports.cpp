// SPDX-License-Identifier: Apache-2.0
#include "lib/network/reserved_ports.hpp"

#include <string>

#include "lib/base/files.hpp"

namespace husk::network {

static_assert((reserved_ports_first & reserved_ports_mask) == reserved_ports_first &&
              (reserved_ports_last & reserved_ports_mask) == reserved_ports_first &&
              ((reserved_ports_last + 1) & reserved_ports_mask) != reserved_ports_first);

void use_reserved_ports(const NetworkNamespace& in) {
  const InNetworkNamespace inside(in);
  write_existing("/proc/sys/net/ipv4/ip_local_port_range",
                 std::to_string(reserved_ports_first) + " " + std::to_string(reserved_ports_last));
}

}  // namespace husk::network
