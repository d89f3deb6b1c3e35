// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/vm/adoption.hpp"

#include <string>

#include "lib/base/error.hpp"
#include "lib/base/log.hpp"
#include "lib/network/changes.hpp"
#include "lib/network/loopback_listener.hpp"
#include "lib/runtime/vm/container_network.hpp"
#include "lib/runtime/vm/kill_socket.hpp"

namespace husk::runtime {
namespace {

/// Few need it: a host whose kernel cannot do it has all the rest.
network::LoopbackListener listen_if_possible(const network::NetworkNamespace& ns) {
  try {
    return network::listen_on_loopback(ns);
  } catch (const Error& e) {
    log(LogLevel::warning, std::string("port forwarding is not available: ") + e.what());
    return {};
  }
}

}  // namespace

void hand_over(handoff::VmKeeper& keeper, const VmPaths& paths, const VmProcesses& vm,
               const ProcessIdentity& shim) {
  const auto ns = network_of(shim);
  const UniqueFd changes = network::watch_changes(ns);
  const UniqueFd kills = make_kill_socket(paths);
  const network::LoopbackListener loopback = listen_if_possible(ns);
  keeper.hand_over({.vm = vm.hypervisor,
                    .helpers = vm.helpers,
                    .shims = {shim},
                    .changes = changes.get(),
                    .kills = kills.get(),
                    .listener = loopback.socket.get(),
                    .held = loopback.steering.get()});
}

}  // namespace husk::runtime
