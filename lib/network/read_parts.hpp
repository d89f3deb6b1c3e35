// SPDX-License-Identifier: Apache-2.0
// The parts of read_namespace(). The caller is in the namespace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/network/contents.hpp"
#include "lib/network/netlink.hpp"

namespace husk::network {

using InterfaceNames = std::map<int, std::string>;  ///< by index

std::vector<Interface> read_interfaces(const RouteSocket& socket);
/// Into the interfaces that they belong to.
void read_addresses(const RouteSocket& socket, std::vector<Interface>& interfaces);
void read_neighbours(const RouteSocket& socket, std::vector<Interface>& interfaces);
std::vector<guestcomm::Route> read_routes(const RouteSocket& socket, const InterfaceNames& names);
std::vector<guestcomm::Rule> read_rules(const RouteSocket& socket);
std::map<std::string, std::string> read_sysctls(const std::vector<Interface>& interfaces);

/// At any port: Docker's is somewhere else than at 53, to where its packet filter leads.
bool has_dns_server();

/// "10.0.0.0/8", with the address in `attribute`, or any if that is null.
std::string prefix_text(int family, const nlattr* attribute, unsigned length);
/// "10.0.0.1", from `bytes` of the family's length.
std::string address_text(int family, const void* bytes);

/// The attributes of a message, which follow a structure of the size `header`; null: not there.
template <std::uint8_t Last>
struct Attributes {
  Attributes(nlmsghdr& message, std::size_t header) {
    check_nl(nlmsg_parse(&message, static_cast<int>(header), all, Last, nullptr),
             "attributes of a netlink message");
  }
  nlattr* operator[](int attribute) const { return all[attribute]; }
  std::uint32_t number(int attribute, std::uint32_t otherwise = 0) const {
    return has(attribute, 4) ? nla_get_u32(all[attribute]) : otherwise;
  }
  bool has(int attribute, int size) const {
    return all[attribute] != nullptr && nla_len(all[attribute]) >= size;
  }
  nlattr* all[std::size_t{Last} + 1] = {};
};

}  // namespace husk::network
