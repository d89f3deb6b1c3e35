// SPDX-License-Identifier: Apache-2.0
#include "lib/network/plug.hpp"

#include <net/if.h>

#include <filesystem>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/network/carried.hpp"
#include "lib/network/filters.hpp"
#include "lib/network/link.hpp"
#include "lib/network/read_parts.hpp"

namespace husk::network {
namespace {

template <typename F>
auto at_interface(const std::string& interface, F&& f) {
  return step("network interface " + interface, std::forward<F>(f));
}

LinkState load_link(const RouteSocket& socket, const std::string& name) {
  const std::optional<LinkState> link = find_link(socket, name);
  if (!link) throw Error(Errc::not_found, "there is no such interface");
  return *link;
}

void disconnect(const RouteSocket& socket, const LinkState& interface, int tap) {
  if (tap != 0 && find_link(socket, tap)) {
    set_link_flags(socket, tap, 0, IFF_UP);
    remove_ingress_qdisc(socket, tap);
  }
  remove_ingress_qdisc(socket, interface.index);
  if (filters_multicast(interface.kind)) set_link_flags(socket, interface.index, 0, IFF_ALLMULTI);
}

/// Undone unless kept.
class Connection {
 public:
  Connection(const RouteSocket& socket, const LinkState& interface, const LinkState& tap)
      : socket_(socket), interface_(interface), tap_(tap) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (is_kept_) return;
    try {
      disconnect(socket_, interface_, tap_.index);
    } catch (const Error& e) {
      log(LogLevel::warning, interface_.name + ": " + e.what());
    }
  }
  void keep() noexcept { is_kept_ = true; }

 private:
  const RouteSocket& socket_;
  const LinkState &interface_, &tap_;
  bool is_kept_ = false;
};

/// Takes leavings away, be it of a husk that was killed before it added a filter; what is in use is an error.
void make_room(const RouteSocket& socket, const LinkState& link) {
  const std::optional<IngressState> there = find_ingress(socket, link.index);
  if (!there) return;
  if (!there->is_husks)
    throw Error(Errc::already_exists,
                "has a qdisc \"" + there->kind + "\" that husk did not create");
  if (const auto tap = there->target != 0 ? find_link(socket, there->target) : std::nullopt)
    throw Error(Errc::already_exists, "is already connected to " + tap->name);
  remove_ingress_qdisc(socket, link.index);
}

/// The tap is a wire, not a place of this namespace's stack: that shall say nothing on it.
void silence_tap(const RouteSocket& socket, const LinkState& tap, std::uint32_t mtu) {
  const std::string ipv6 = "/proc/sys/net/ipv6/conf/" + tap.name + "/disable_ipv6";
  if (std::filesystem::exists(ipv6)) write_existing(ipv6, "1");
  set_link_flags(socket, tap.index, IFF_NOARP, IFF_NOARP);
  set_link_mtu(socket, tap.index, mtu);
}

void connect_tap(const RouteSocket& socket, const LinkState& tap, const LinkState& interface) {
  make_room(socket, tap);
  silence_tap(socket, tap, interface.mtu);
  add_ingress_qdisc(socket, tap.index);
  add_verdict_filter(socket, tap.index, 1, drop_other_sources(interface.mac));
  add_forwarding_filter(socket, tap.index, 2, match_all(), Forwarding::redirect, interface.index);
}

void connect_interface(const RouteSocket& socket, const LinkState& interface, int tap) {
  add_ingress_qdisc(socket, interface.index);
  add_verdict_filter(socket, interface.index, 1, leave_reserved_ports());
  add_forwarding_filter(socket, interface.index, 2, match_neighbour_discovery(), Forwarding::copy,
                        tap);
  add_forwarding_filter(socket, interface.index, 3, match_all(), Forwarding::redirect, tap);
  if (filters_multicast(interface.kind))
    set_link_flags(socket, interface.index, IFF_ALLMULTI, IFF_ALLMULTI);
}

void connect_both(const RouteSocket& socket, const std::string& interface, const std::string& tap) {
  const LinkState there = load_link(socket, interface);
  make_room(socket, there);
  const LinkState wire = step("tap " + tap, [&] { return load_link(socket, tap); });
  Connection connection(socket, there, wire);
  step("tap " + tap, [&] { connect_tap(socket, wire, there); });
  connect_interface(socket, there, wire.index);
  step("tap " + tap, [&] { set_link_flags(socket, wire.index, IFF_UP, IFF_UP); });
  connection.keep();
}

}  // namespace

void move_tap(const std::string& tap, const NetworkNamespace& to, const std::string& new_name) {
  refuse_the_hosts(to);
  step("tap " + tap, [&] {
    const RouteSocket socket;
    move_link(socket, load_link(socket, tap).index, to, new_name);
  });
}

Plug::Plug(const NetworkNamespace& in, const std::string& interface, const std::string& tap)
    : in_(in.duplicate()), interface_(interface) {
  refuse_the_hosts(in_);
  const InNetworkNamespace inside(in_);
  at_interface(interface, [&] { connect_both(RouteSocket(), interface, tap); });
}

Plug::~Plug() {
  if (interface_.empty()) return;
  try {
    unplug(in_, interface_);
  } catch (const Error& e) {
    log(LogLevel::warning, e.what());
  }
}

void unplug(const NetworkNamespace& in, const std::string& interface) {
  const InNetworkNamespace inside(in);
  at_interface(interface, [&] {
    const RouteSocket socket;
    const std::optional<LinkState> link = find_link(socket, interface);
    if (!link) return;
    const std::optional<IngressState> there = find_ingress(socket, link->index);
    if (there && there->is_husks) disconnect(socket, *link, there->target);
  });
}

std::vector<PluggedInterface> find_plugs(const NetworkNamespace& in) {
  const InNetworkNamespace inside(in);
  const RouteSocket socket;
  std::vector<PluggedInterface> plugs;
  for (const Interface& i : read_interfaces(socket)) {
    if (is_own_tap(i)) continue;  // the other end
    const std::optional<IngressState> there = find_ingress(socket, i.index);
    if (!there || !there->is_husks || there->target == 0) continue;
    if (const std::optional<LinkState> target = find_link(socket, there->target))
      plugs.push_back({i.name, target->name});
  }
  return plugs;
}

}  // namespace husk::network
