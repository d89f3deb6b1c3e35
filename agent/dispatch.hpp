// SPDX-License-Identifier: Apache-2.0
// From a request of the host (lib/guestcomm/protocol) to what it does here.
#pragma once

#include <functional>

#include "agent/container/container_table.hpp"
#include "agent/container/guest_resizer.hpp"
#include "agent/network/configurator.hpp"
#include "agent/stream/pending_streams.hpp"
#include "agent/stream/port_connector.hpp"
#include "lib/guestcomm/protocol/rpc.hpp"
#include "lib/guestcomm/protocol/vm_messages.hpp"

namespace husk::agent {

/// The components that serve requests.
struct Services {
  ContainerTable& containers;
  PendingStreams& streams;
  NetworkConfigurator& network;
  PortConnector& ports;
  GuestResizer& size;
  const std::function<void(const guestcomm::ClaimVm&)>& claim;
  const std::optional<std::string>& refusal;  ///< BootOptions::refusal
};

/// Throws Error, or answers `reply` now or later. Everything but hello, which is the connection's.
void dispatch(const Services& services, ConnectionId connection, const guestcomm::Request& request,
              const Reply& reply);

}  // namespace husk::agent
