// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "lib/base/files.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

namespace fs = std::filesystem;
using Sysctls = std::map<std::string, std::string>;

constexpr std::size_t max_value = 4096;

/// A sysctl with the value that each kernel, and so the guest's, has from the start; for `all`, if that differs.
/// Empty: the value is always told (the agent hears no routers without it).
struct KnownSysctl {
  std::string_view name, initial, initial_of_all = initial;
};

/// ipv4/ip_forward is the same as ipv4/conf/all/forwarding.
constexpr std::array ipv4_sysctls = {KnownSysctl{"forwarding", "0"},
                                     KnownSysctl{"rp_filter", "0"},
                                     KnownSysctl{"arp_ignore", "0"},
                                     KnownSysctl{"arp_announce", "0"},
                                     KnownSysctl{"arp_notify", "0"},
                                     KnownSysctl{"proxy_arp", "0"},
                                     KnownSysctl{"accept_local", "0"},
                                     KnownSysctl{"route_localnet", "0"},
                                     KnownSysctl{"accept_redirects", "1"},
                                     KnownSysctl{"send_redirects", "1"},
                                     KnownSysctl{"accept_source_route", "1", "0"}};
constexpr std::array ipv6_sysctls = {
    KnownSysctl{"disable_ipv6", "0"},  KnownSysctl{"accept_ra", ""},
    KnownSysctl{"autoconf", "1"},      KnownSysctl{"accept_dad", "1", "0"},
    KnownSysctl{"addr_gen_mode", "0"}, KnownSysctl{"forwarding", "0"},
    KnownSysctl{"ndisc_notify", "0"},  KnownSysctl{"proxy_ndp", "0"}};

/// A sysctl that this kernel lacks is left out: the guest need not have it either.
void read_one(const std::string& name, Sysctls& into) {
  const fs::path path = "/proc/sys/net/" + name;
  if (!fs::exists(path)) return;
  std::string value = read_file(path, max_value);
  while (!value.empty() && value.back() == '\n') value.pop_back();
  into[name] = value;
}

/// Reads the values of all links, or none: some follow from the value of `all`, others from earlier ones. Each
/// costs the guest's start a look.
void read_where_changed(const std::string& family, const KnownSysctl& known,
                        const std::vector<std::string>& links, Sysctls& into) {
  Sysctls found;
  for (const std::string& link : links) {
    if (link == "lo" && known.name == "accept_dad") continue;  // the kernel's own, -1
    read_one(family + "/conf/" + link + "/" + std::string(known.name), found);
  }
  const std::string of_all = family + "/conf/all/";
  const bool is_initial = std::ranges::all_of(found, [&](const auto& one) {
    return one.second == (one.first.starts_with(of_all) ? known.initial_of_all : known.initial);
  });
  if (!is_initial) into.merge(found);
}

}  // namespace

Sysctls read_sysctls(const std::vector<Interface>& interfaces) {
  std::vector<std::string> links = {"all", "default"};
  for (const Interface& i : interfaces) links.push_back(i.name);
  Sysctls sysctls;
  for (const KnownSysctl& known : ipv4_sysctls) read_where_changed("ipv4", known, links, sysctls);
  for (const KnownSysctl& known : ipv6_sysctls) read_where_changed("ipv6", known, links, sysctls);
  return sysctls;
}

}  // namespace husk::network
