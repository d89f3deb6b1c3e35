// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <filesystem>

#include "lib/base/files.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

namespace fs = std::filesystem;
using Sysctls = std::map<std::string, std::string>;

constexpr std::size_t max_value = 4096;

/// ipv4/ip_forward is the same as ipv4/conf/all/forwarding.
constexpr std::array ipv4_names = {"forwarding",     "rp_filter",          "arp_ignore",
                                   "arp_announce",   "arp_notify",         "proxy_arp",
                                   "accept_local",   "route_localnet",     "accept_redirects",
                                   "send_redirects", "accept_source_route"};
constexpr std::array ipv6_names = {"disable_ipv6",  "accept_ra",  "autoconf",     "accept_dad",
                                   "addr_gen_mode", "forwarding", "ndisc_notify", "proxy_ndp"};

/// One that this kernel does not have is left out: neither has the guest to have it.
void read_one(const std::string& name, Sysctls& into) {
  const fs::path path = "/proc/sys/net/" + name;
  if (!fs::exists(path)) return;
  std::string value = read_file(path, max_value);
  while (!value.empty() && value.back() == '\n') value.pop_back();
  into[name] = value;
}

}  // namespace

Sysctls read_sysctls(const std::vector<Interface>& interfaces) {
  std::vector<std::string> links = {"all", "default"};
  for (const Interface& i : interfaces) links.push_back(i.name);
  Sysctls sysctls;
  for (const std::string& link : links) {
    for (const char* name : ipv4_names) read_one("ipv4/conf/" + link + "/" + name, sysctls);
    for (const char* name : ipv6_names) read_one("ipv6/conf/" + link + "/" + name, sysctls);
  }
  return sysctls;
}

}  // namespace husk::network
