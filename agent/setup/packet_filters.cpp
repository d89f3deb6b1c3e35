// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/packet_filters.hpp"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "lib/base/unique_fd.hpp"

namespace husk::agent {
namespace {

bool may_configure_network(const oci::Process& process) {
  if (!process.capabilities) return false;
  const auto& names = process.capabilities->bounding;
  return std::ranges::find(names, "CAP_NET_ADMIN") != names.end();
}

/// The kernel looks for a module of the name of an interface that is missing, if who asks for the interface may load
/// modules. A modprobe of husk's own would be in the container's pid namespace, for others in it to see.
void ask_for_module(int socket, const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  ::ioctl(socket, SIOCGIFINDEX, &request);
}

}  // namespace

void load_packet_filters(const oci::Process& process) {
  if (!may_configure_network(process) || ::access("/proc/net/ip_tables_names", F_OK) == 0) return;
  const UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) return;
  for (const char* name : {"ip_tables", "ip6_tables"}) ask_for_module(socket.get(), name);
}

}  // namespace husk::agent
