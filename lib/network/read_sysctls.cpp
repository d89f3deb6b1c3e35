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

/// Sysctls of the whole namespace, as CNI's tuning plug-in and `ip netns exec` set them: limits and times of TCP, and what
/// addresses and ports programs may use. ipv4/ip_local_port_range is not among them, since husk sets that range in the
/// namespace for its own connections (reserved_ports.hpp).
constexpr std::array namespace_sysctls = {KnownSysctl{"core/somaxconn", "4096"},
                                          KnownSysctl{"ipv4/icmp_echo_ignore_all", "0"},
                                          KnownSysctl{"ipv4/icmp_echo_ignore_broadcasts", "1"},
                                          KnownSysctl{"ipv4/igmp_max_memberships", "20"},
                                          KnownSysctl{"ipv4/ip_default_ttl", "64"},
                                          KnownSysctl{"ipv4/ip_nonlocal_bind", "0"},
                                          KnownSysctl{"ipv4/ip_no_pmtu_disc", "0"},
                                          KnownSysctl{"ipv4/ip_unprivileged_port_start", "1024"},
                                          KnownSysctl{"ipv4/ping_group_range", "1\t0"},
                                          KnownSysctl{"ipv4/tcp_fastopen", "1"},
                                          KnownSysctl{"ipv4/tcp_fin_timeout", "60"},
                                          KnownSysctl{"ipv4/tcp_keepalive_intvl", "75"},
                                          KnownSysctl{"ipv4/tcp_keepalive_probes", "9"},
                                          KnownSysctl{"ipv4/tcp_keepalive_time", "7200"},
                                          KnownSysctl{"ipv4/tcp_mtu_probing", "0"},
                                          KnownSysctl{"ipv4/tcp_no_metrics_save", "0"},
                                          KnownSysctl{"ipv4/tcp_notsent_lowat", "4294967295"},
                                          KnownSysctl{"ipv4/tcp_retries2", "15"},
                                          KnownSysctl{"ipv4/tcp_rmem", "4096\t131072\t6291456"},
                                          KnownSysctl{"ipv4/tcp_slow_start_after_idle", "1"},
                                          KnownSysctl{"ipv4/tcp_syn_retries", "6"},
                                          KnownSysctl{"ipv4/tcp_synack_retries", "5"},
                                          KnownSysctl{"ipv4/tcp_syncookies", "1"},
                                          KnownSysctl{"ipv4/tcp_timestamps", "1"},
                                          KnownSysctl{"ipv4/tcp_tw_reuse", "2"},
                                          KnownSysctl{"ipv4/tcp_wmem", "4096\t16384\t4194304"},
                                          KnownSysctl{"ipv6/bindv6only", "0"},
                                          KnownSysctl{"ipv6/ip_nonlocal_bind", "0"}};

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

void read_of_namespace(const KnownSysctl& known, Sysctls& into) {
  Sysctls found;
  read_one(std::string(known.name), found);
  std::erase_if(found, [&](const auto& one) { return one.second == known.initial; });
  into.merge(found);
}

}  // namespace

Sysctls read_sysctls(const std::vector<Interface>& interfaces) {
  std::vector<std::string> links = {"all", "default"};
  for (const Interface& i : interfaces) links.push_back(i.name);
  Sysctls sysctls;
  for (const KnownSysctl& known : ipv4_sysctls) read_where_changed("ipv4", known, links, sysctls);
  for (const KnownSysctl& known : ipv6_sysctls) read_where_changed("ipv6", known, links, sysctls);
  for (const KnownSysctl& known : namespace_sysctls) read_of_namespace(known, sysctls);
  return sysctls;
}

}  // namespace husk::network
