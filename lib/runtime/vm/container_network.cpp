// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/container_network.hpp"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lib/base/error.hpp"
#include "lib/base/files.hpp"
#include "lib/base/log.hpp"
#include "lib/guestcomm/protocol/frame.hpp"
#include "lib/guestcomm/protocol/network.hpp"
#include "lib/network/carried.hpp"
#include "lib/network/read.hpp"
#include "lib/network/reserved_ports.hpp"
#include "lib/runtime/host/mount_tree.hpp"
#include "lib/runtime/vm/find_namespaces.hpp"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using network::NetworkNamespace;

constexpr auto configure_patience = 30s, connect_patience = 60s;
constexpr std::size_t max_ports_bytes = 64;
constexpr std::size_t max_told_bytes = guestcomm::max_frame_bytes;

using Plugs = std::vector<network::PluggedInterface>;

/// The cards as the guest knows them, each with the interface that it serves already.
std::vector<network::NetworkCard> cards_in(const network::NamespaceContents& contents,
                                           const Plugs& plugs,
                                           const std::vector<hypervisor::NetworkCard>& cards) {
  std::vector<network::NetworkCard> all;
  for (const hypervisor::NetworkCard& card : cards) {
    network::NetworkCard one{.mac = card.mac, .tap = card.tap, .interface = 0};
    const auto plug = std::ranges::find(plugs, card.tap, &network::PluggedInterface::tap);
    if (plug != plugs.end()) {
      const auto interface =
          std::ranges::find(contents.interfaces, plug->interface, &network::Interface::name);
      if (interface != contents.interfaces.end()) one.interface = interface->index;
    }
    all.push_back(std::move(one));
  }
  return all;
}

/// The network that the guest was told; empty: none yet.
std::string last_told(const std::filesystem::path& file) {
  try {
    return read_file(file, max_told_bytes);
  } catch (const Error&) {
    return {};
  }
}

void move_to(const hypervisor::NetworkCard& card, const NetworkNamespace& ns) {
  step("network card " + card.tap, [&] { network::move_tap(card.tap, ns, card.tap); });
}

/// Sockets of the namespace get reserved ports from now on. The range that was there before is kept in
/// `kept`.
void take_ports(const NetworkNamespace& ns, const std::filesystem::path& kept) {
  const network::PortRange before = network::read_ports(ns);
  if (before == network::reserved_ports) return;
  write_file_atomic(kept, network::to_string(before), 0600);
  network::use_ports(ns, network::reserved_ports);
}

/// A range that an administrator has changed since stays, and so does the range of a VM which took none.
void give_ports_back(const NetworkNamespace& ns, const std::filesystem::path& kept) {
  if (!std::filesystem::exists(kept)) return;
  if (network::read_ports(ns) != network::reserved_ports) return;
  network::use_ports(ns, network::parse_port_range(read_file(kept, max_ports_bytes)));
}

}  // namespace

NetworkFacts find_network_facts(const std::filesystem::path& path) {
  const auto ns = step("open network namespace", [&] { return NetworkNamespace::of_path(path); });
  NetworkFacts facts{.path = path,
                     .id = namespace_at(path, "net"),
                     .is_the_hosts = ns.is_the_hosts(),
                     .vm = {},
                     .tap = {},
                     .cards_needed = 0};
  if (facts.is_the_hosts) return facts;
  facts.vm = find_vm_with(facts.id, "net");
  if (!facts.vm.empty()) return facts;
  const network::NamespaceContents contents = network::read_namespace(ns);
  const auto tap = std::ranges::find_if(contents.interfaces, network::is_own_tap);
  if (tap != contents.interfaces.end()) facts.tap = tap->name;
  facts.cards_needed = network::cards_needed(contents);
  return facts;
}

NetworkNamespace network_of(const ProcessIdentity& shim) {
  return step("the shim", [&] { return NetworkNamespace::of_process(shim); });
}

void place_taps(const std::vector<hypervisor::NetworkCard>& cards, const ProcessIdentity& shim) {
  if (cards.empty()) return;
  const auto ns = network_of(shim);
  for (const hypervisor::NetworkCard& card : cards) move_to(card, ns);
}

void park_taps(const std::vector<hypervisor::NetworkCard>& cards,
               const std::filesystem::path& parking) {
  const NetworkNamespace ns = NetworkNamespace::make();
  write_new_file(AT_FDCWD, parking, "", 0400);
  const UniqueFd bound = copy_mount(fd_path(ns.fd()), false);
  set_propagation(bound.get(), MS_PRIVATE, false);
  attach_mount(bound.get(), parking);
  for (const hypervisor::NetworkCard& card : cards) move_to(card, ns);
}

void place_parked_taps(const std::vector<hypervisor::NetworkCard>& cards,
                       const std::filesystem::path& parking, const ProcessIdentity& shim) {
  const NetworkNamespace to = network_of(shim);
  {
    const network::InNetworkNamespace there(NetworkNamespace::of_path(parking));
    for (const hypervisor::NetworkCard& card : cards) move_to(card, to);
  }
  check_sys(::umount2(parking.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW),
            "unmount " + parking.string());
}

ContainerNetwork::ContainerNetwork(DirectoryLock lock, const ProcessIdentity& shim, VmHandle& vm,
                                   const hypervisor::ConnectHypervisor& connect,
                                   guestcomm::AgentClient& agent)
    : lock_(std::move(lock)) {
  const auto ns = network_of(shim);
  network::refuse_the_hosts(ns);  // the filters would take the host's frames away
  const network::NamespaceContents contents = network::read_namespace(ns);
  while (vm.cards().size() < network::cards_needed(contents)) {
    vm.attach_card(connect, [&](const hypervisor::NetworkCard& card) { move_to(card, ns); });
  }
  const Plugs plugs = network::find_plugs(ns);
  const network::NetworkPlan plan =
      network::plan_network(contents, cards_in(contents, plugs, vm.cards()));
  const bool is_plugged_anew = plug(vm.paths().network_ports(), ns, plan.plugs, plugs);
  const std::string wanted = nlohmann::json(plan.network).dump();
  if (!is_plugged_anew && wanted == last_told(vm.paths().told_network())) return;
  agent.call(guestcomm::ConfigureNetwork{plan.network}, configure_patience);
  write_file_atomic(vm.paths().told_network(), wanted, 0600);
}

bool ContainerNetwork::plug(const std::filesystem::path& ports, const NetworkNamespace& ns,
                            const std::vector<network::PlannedPlug>& wanted, const Plugs& present) {
  if (!wanted.empty() && present.empty()) take_ports(ns, ports);
  for (const network::PlannedPlug& one : wanted) {
    const network::PluggedInterface as_present{one.interface, one.card.tap};
    if (std::ranges::find(present, as_present) == present.end())
      plugs_.emplace_back(ns, one.interface, one.card.tap);
  }
  return !plugs_.empty();
}

void ContainerNetwork::keep() noexcept {
  for (network::Plug& plug : plugs_) plug.keep();
}

void follow_network(const std::string& vm_id, const hypervisor::ConnectHypervisor& connect) {
  VmHandle vm = VmHandle::open(vm_id);
  DirectoryLock lock = vm.lock_network();
  const auto shims = vm.shims();
  if (shims.empty() || !std::filesystem::exists(vm.paths().told_network())) return;
  guestcomm::AgentClient agent = vm.connect(connect_patience);
  ContainerNetwork network(std::move(lock), shims.front(), vm, connect, agent);
  network.keep();
}

void unplug_all(const std::filesystem::path& network_namespace, const std::string& vm_id) {
  try {
    const auto ns = NetworkNamespace::of_path(network_namespace);
    const Plugs plugs = network::find_plugs(ns);
    const auto is_of_another = [&](const network::Interface& interface) {
      const auto plug =
          std::ranges::find(plugs, interface.name, &network::PluggedInterface::interface);
      return plug != plugs.end() && !hypervisor::is_tap_of(vm_id, plug->tap);
    };
    for (const network::Interface& interface : network::read_namespace(ns).interfaces)
      if (!network::is_loopback(interface) && !network::is_own_tap(interface) &&
          !is_of_another(interface))
        network::unplug(ns, interface.name);
    const auto is_others = [&](const auto& plug) {
      return !hypervisor::is_tap_of(vm_id, plug.tap);
    };
    if (std::ranges::none_of(plugs, is_others)) give_ports_back(ns, VmPaths(vm_id).network_ports());
  } catch (const Error& e) {
    if (e.sys_errno() == ENOENT) return;
    log(LogLevel::warning, e.what());  // what it was for is gone
  }
}

}  // namespace husk::runtime
