// SPDX-License-Identifier: Apache-2.0
// Reading what a caller (Docker, Podman, CNI) put into a network namespace.
#pragma once

#include "lib/network/contents.hpp"
#include "lib/network/namespace.hpp"

namespace husk::network {

/// Everything but what the kernel makes by itself: the routes of the table "local", those learnt
/// from routers, neighbours that were found. Throws system; unsupported for routes and rules that
/// cannot be said to the guest.
NamespaceContents read_namespace(const NetworkNamespace& from);

}  // namespace husk::network
