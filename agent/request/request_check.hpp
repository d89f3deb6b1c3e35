// SPDX-License-Identifier: Apache-2.0
// What a request of the host may name in the guest.
#pragma once

#include "lib/guestcomm/protocol/create_messages.hpp"

namespace husk::agent {

/// The id, and that root.path and every bind source lie below the container's own folder of the
/// share. Throws invalid_argument naming the field.
void check_create_request(const guestcomm::CreateContainer& request);

/// The process's name, that it has arguments, and that its cgroup is one below the container's.
void check_create_request(const guestcomm::CreateProcess& request);

}  // namespace husk::agent
