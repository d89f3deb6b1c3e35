// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "lib/guestcomm/protocol/dns.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

/// An address as /proc/net/udp writes it: " 0B00007F:".
std::string in_socket_table(const char* address) {
  in_addr binary{};
  ::inet_pton(AF_INET, address, &binary);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), " %08X:", binary.s_addr);
  return text.data();
}

}  // namespace

bool has_dns_server() {
  // The sockets of this thread's namespace: other threads of the process may be in other namespaces.
  std::ifstream sockets("/proc/thread-self/net/udp");
  const std::string wanted = in_socket_table(guestcomm::dns_address);
  for (std::string line; std::getline(sockets, line);) {
    // The local address is the first one.
    if (const std::size_t place = line.find(wanted);
        place != std::string::npos && place < line.find(':', line.find(':') + 1)) {
      return true;
    }
  }
  return false;
}

}  // namespace husk::network
