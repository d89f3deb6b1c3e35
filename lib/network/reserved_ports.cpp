// SPDX-License-Identifier: Apache-2.0
#include "lib/network/reserved_ports.hpp"

#include <sstream>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/parse_number.hpp"
#include "lib/base/text.hpp"

namespace husk::network {
namespace {

constexpr const char* file = "/proc/sys/net/ipv4/ip_local_port_range";
constexpr std::size_t max_text = 64;

}  // namespace

static_assert((guestcomm::first_host_port & reserved_ports_mask) == guestcomm::first_host_port &&
              (guestcomm::last_host_port & reserved_ports_mask) == guestcomm::first_host_port &&
              ((guestcomm::last_host_port + 1) & reserved_ports_mask) !=
                  guestcomm::first_host_port);

PortRange parse_port_range(const std::string& text) {
  std::istringstream in(text);
  std::string first, last, more;
  if (in >> first >> last && !(in >> more)) {
    // Not by the stream: "-5" is 65531 to it.
    const auto from = parse_number<std::uint16_t>(first), to = parse_number<std::uint16_t>(last);
    if (from && to && *from <= *to) return {*from, *to};
  }
  throw Error(Errc::invalid_argument, "invalid port range " + quote(text));
}

std::string to_string(const PortRange& range) {
  return std::to_string(range.first) + " " + std::to_string(range.last);
}

PortRange read_ports(const NetworkNamespace& in) {
  const InNetworkNamespace inside(in);
  return parse_port_range(read_file(file, max_text));
}

void use_ports(const NetworkNamespace& in, const PortRange& range) {
  const InNetworkNamespace inside(in);
  write_existing(file, to_string(range));
}

}  // namespace husk::network
