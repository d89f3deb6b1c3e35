// SPDX-License-Identifier: Apache-2.0
// A BPF program that picks the socket for new connections. Part of loopback_listener.
#pragma once

#include "lib/base/unique_fd.hpp"
#include "lib/network/namespace.hpp"

namespace husk::network {

/// New TCP connections to 127.0.0.1 and ::1 in that namespace go to `listener`, a listening socket of
/// both families, until the result (a BPF link) is closed. Throws system; unsupported where the
/// kernel knows no such program.
UniqueFd steer_loopback(const NetworkNamespace& in, int listener);

}  // namespace husk::network
