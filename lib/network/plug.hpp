// SPDX-License-Identifier: Apache-2.0
// Tying an interface of a network namespace to the tap device of a VM's card: what arrives at one
// leaves by the other. docs/network.md.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/network/namespace.hpp"

namespace husk::network {

/// Moves the tap from the caller's namespace into `to`, where the tap is down. Throws system, not_found,
/// what refuse_the_hosts() throws.
void move_tap(const std::string& tap, const NetworkNamespace& to, const std::string& new_name);

/// Owns the connection of an interface with a tap, both in that namespace, unless kept: then it stays
/// until unplug(), or until the tap goes with its VM. The interface's addresses, state and MAC stay
/// as they are; one that is down carries nothing until the caller sets it up.
///
/// Answers that arrive at the interface for the namespace's own sockets (reserved_ports.hpp) are
/// left to them, and neighbour discovery goes to both. All else that arrives goes to the VM only.
/// Frames that the VM sends with another source MAC than the interface's are dropped: no foreign name
/// leaves here. (So a guest that changes its MAC loses its network.)
class Plug {
 public:
  /// Leavings of a VM that is gone are taken away first. Leaves nothing behind when it throws:
  /// not_found; already_exists for an ingress qdisc of someone else, or another VM's plug; unsupported for the
  /// host's own namespace; system.
  /// "network interface eth0: cannot add an ingress qdisc: ..."
  Plug(const NetworkNamespace& in, const std::string& interface, const std::string& tap);
  Plug(Plug&& other) noexcept
      : in_(std::move(other.in_)), interface_(std::exchange(other.interface_, {})) {}
  Plug& operator=(Plug&&) = delete;
  Plug(const Plug&) = delete;
  Plug& operator=(const Plug&) = delete;
  ~Plug();
  void keep() noexcept { interface_.clear(); }

 private:
  NetworkNamespace in_;
  std::string interface_;  ///< empty: kept, or moved away
};

/// Takes away what Plug put there, and sets the tap down. Fine if there is nothing, or no such
/// interface; what others put there stays. Throws system.
void unplug(const NetworkNamespace& in, const std::string& interface);

struct PluggedInterface {
  std::string interface, tap;
  bool operator==(const PluggedInterface&) const = default;
};
/// The interfaces whose tap is there, that is whose VM runs. Throws system.
std::vector<PluggedInterface> find_plugs(const NetworkNamespace& in);

}  // namespace husk::network
