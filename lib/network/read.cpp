// SPDX-License-Identifier: Apache-2.0
#include "lib/network/read.hpp"

#include "lib/base/error.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

InterfaceNames names_of(const std::vector<Interface>& interfaces) {
  InterfaceNames names;
  for (const Interface& i : interfaces) names[i.index] = i.name;
  return names;
}

}  // namespace

NamespaceContents read_namespace(const NetworkNamespace& from) {
  return step("read network namespace " + from.name(), [&] {
    const InNetworkNamespace inside(from);
    const RouteSocket socket;
    NamespaceContents contents;
    contents.interfaces = read_interfaces(socket);
    read_addresses(socket, contents.interfaces);
    read_neighbours(socket, contents.interfaces);
    contents.routes = read_routes(socket, names_of(contents.interfaces));
    contents.rules = read_rules(socket);
    contents.sysctls = read_sysctls(contents.interfaces);
    contents.has_dns = has_dns_server();
    return contents;
  });
}

}  // namespace husk::network
